// A recipe: everything that decides what a run makes. One YAML file, checked
// whole: every mistake is reported at file:line:column with the nearest known
// key, all at once; an unknown key is an error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "generate/usage.h"
#include "recipe/decoding.h"

namespace selfalign::recipe {

// The copy of its recipe that a run keeps in its folder.
constexpr char kRecipeFile[] = "/recipe.resolved.yaml";

// Thresholds that nothing falls below: of a mean a token, and of a whole text.
constexpr double kNoThreshold = -100.0;
constexpr double kNoLikelihood = -10000.0;

struct ModelOptions {
  std::string path;  // HF folder, GGUF file or http://HOST:PORT/v1#NAME
  std::string device = "auto";  // auto, cpu, cuda
  std::string dtype = "auto";   // auto, float32, bfloat16
  int num_slots = 64;           // rows decoded together; part of every digest
  int max_context = 4096;       // tokens of prompt and completion, at most
  // Of a model behind a server: auto, chat or completions (remote.h), and what
  // it costs.
  std::string api = "auto";
  generate::Price price;
  std::string api_key_file;  // of keys and their servers (remote_key.h)
};

struct InstructOptions {
  int num_instructions = 80;  // kept, of Self-Instruct
  int num_red_team = 40;      // kept, of topic-guided red-teaming
  int num_exemplars = 5;      // seed tasks per prompt (paper: section 3.1)
  // Instructions of the run itself shown beside them (Self-Instruct: 2 and 6).
  int num_machine_exemplars = 0;
  // First words of another seed that open what a request writes, and that the
  // model goes on with (openings.h); 0: it begins by itself.
  int opening_words = 0;
  int max_requests = 2000;   // gives up with what is there
  double max_rouge_l = 0.7;  // above is a duplicate
  int topics_per_type = 10;  // asked for, beside the seed topics
  // At most so many rounds until each type has its topics (topic_growth.h); a
  // type whose requests bring hardly any new ones ends before. Profile paper,
  // where over 1: as published, rounds of a request for each topic there is,
  // all types cut to the smallest before each (topics_per_type then plays no
  // part; max_requests ends it).
  int topic_rounds = 20;
  // How red-team questions are spread over the types: quota, smallest, none
  // (balance.h).
  std::string balance = "quota";
  // Types and topics that a request for red-team questions names, each for a
  // question (question_form.h).
  int hints_per_request = 1;
  // Profile paper: tasks kept per shard, the reach of its comparison.
  int shard_size = 8192;
  // For models whose instructions are often noise (profile default): reject as
  // `incoherent` what has not the form of a request (request_form.h), and what
  // the model finds less likely than this as a user's words, in nats, the whole
  // of it (likelihood.h); -10000: never.
  bool strict_form = false;
  double min_log_likelihood = -10000.0;
  generate::Sampling sampling;  // temperature 1.0, top_p 0.98
  // Of red-teaming; a recipe that is silent on them has `sampling`, except in
  // profile paper.
  generate::Sampling topic_sampling;
  generate::Sampling question_sampling;
};

// What generated rows must not hold (contamination.h). The held-out
// instructions are always guarded.
struct ContaminationOptions {
  std::vector<std::string> sets;  // files of evaluation sets
  int ngram_words = 13;           // as many words in a row in common
  double max_rouge_l = 0.7;       // with a question of a set
};

// What of a stage's answers is kept, beside what the profile's filter says.
struct AnswerLimits {
  // Reject as `off_topic` what has no word of content of the instruction and is
  // made likelier by it by less nats a token (likelihood.h); -100: never.
  double min_gain = -100.0;
  // Reject as `repetition` of whose 3-grams a larger share stood there before
  // (stats.h, repeated_share); 1: never.
  double max_repetition = 1.0;
  // Reject as `copies_instruction` what has a smaller share of content words
  // that the instruction has not (subject.h, new_content_share); 0: never.
  double min_new_content = 0.0;
  // Reject as `cut_off` what was ended by length. Else it is kept, and its end
  // is not learnt.
  bool need_end = false;
};

// A stage that answers.
struct AnswerOptions {
  generate::Sampling sampling;
  AnswerLimits limits;
};

// Further questions of the types in which a principle fires most, until each
// fired in enough kept answers (refill.h).
struct RefillOptions {
  int min_per_rule = 0;     // kept answers that name it; 0: no refill
  int max_requests = 1000;  // for questions, in all
};

// A LoRA tuning of the base model (paper: appendix on hyper-parameters).
struct TuneOptions {
  int64_t rank = 16;
  double alpha = 16.0;
  double dropout = 0.05;
  int epochs = 1;
  int batch_size = 768;  // samples per optimizer step
  int max_length = 512;  // tokens per sample, at most
  double learning_rate = 4e-4;
  int warmup_steps = 100;  // logarithmic, then linear decay to 0
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;  // 0: no clipping
  int checkpoint_steps = 10;   // optimizer steps between checkpoints
  uint64_t seed = 0;
};

// How models are asked where they are compared: the held-out instructions, and
// `evaluate` with the run's models.
struct ComparisonOptions {
  // one: all alike, as `sampling` says; own: each as its stage samples.
  std::string decoding = "one";
  generate::Sampling sampling = comparison_sampling();
};

// A file of prompts or conversations that a person gives (formats/datasets.h).
struct GivenData {
  std::string path;      // "": none
  int64_t max_rows = 0;  // the first ones of the file; 0: all
};

struct Recipe {
  std::string name;
  std::string run_folder;           // default "runs/<name>"
  std::string profile = "default";  // profile.h
  uint64_t seed = 0;
  // What is done, in the order of the method; the paper's variants are subsets:
  // without verbose Dromedary (non-verbose); without instruct, on given
  // prompts, Dromedary-2; tune alone a baseline on given data; none at all the
  // prompted base.
  std::vector<std::string> stages = {"instruct", "align", "engrave", "verbose"};
  ModelOptions model;
  std::string prompts_folder;  // relative to the recipe's folder
  // Folders whose files replace those of prompts_folder; later ones win.
  std::vector<std::string> prompts_overlay;
  GivenData instructions;  // prompts in place of stage instruct
  InstructOptions instruct;
  ContaminationOptions contamination;
  AnswerOptions align;  // temperature 0.5, top_p 0.9, 256 new tokens
  RefillOptions refill;
  TuneOptions engrave;
  AnswerOptions verbose;  // temperature 0.3, top_p 0.7, 512 new tokens
  TuneOptions final;
  GivenData data;            // conversations for stage tune
  TuneOptions tune;          // of the base on them, the same way as the others
  int identity_repeats = 1;  // times the self-identification rows are used
  // Share of a tuning's samples that these rows are at most, what is over is
  // left out; 1: no limit (profile paper). In [0, 1].
  double identity_share = 0.25;
  int num_held_out = 50;  // held-out instructions used for the report
  ComparisonOptions comparison;

  bool has(const std::string& stage) const;
  // Self-identification rows in the samples of a tuning on `num_pairs` pairs,
  // where the prompts have `num_rows`: all of their repeats, or as many as
  // identity_share lets in.
  int64_t num_identity(int64_t num_rows, int64_t num_pairs) const;
};

// What a recipe has that says nothing of its own, in profile default.
Recipe default_recipe();
}  // namespace selfalign::recipe
