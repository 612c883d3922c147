// SPDX-License-Identifier: Apache-2.0
// A recipe: everything that decides what a run makes. One YAML file, checked
// whole: every mistake is reported at file:line:column with the nearest known
// key, all at once; an unknown key is an error. Each struct describes its keys
// (base/settings.h); docs/recipe.md is made from that.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/tune_options.h"
#include "generate/generator.h"
#include "generate/remote_address.h"
#include "generate/usage.h"
#include "recipe/decoding.h"
#include "recipe/profile.h"

namespace selfalign::recipe {

// The copy of its recipe that a run keeps in its folder.
constexpr char kRecipeFile[] = "/recipe.resolved.yaml";

// Thresholds that nothing falls below: of a mean a token, and of a whole text.
constexpr double kNoThreshold = -100.0;
constexpr double kNoLikelihood = -10000.0;
constexpr int kMany = 100'000'000;

struct ModelOptions {
  std::string path;
  std::vector<std::string> servers;
  std::string device = "auto";
  std::string dtype = "auto";
  std::string weights = "full";
  int num_slots = 64;
  int max_context = 4096;
  int num_engines = 0;
  std::string prefix_cache = "full";
  std::string api = "auto";
  generate::Price price;
  std::string api_key_file;
  // No settings: the role that it was named for, "" for all; and whether
  // servers are asked to load an adapter, or were made to (serve.reload).
  std::string role;
  bool loads_adapters = true;

  bool operator==(const ModelOptions&) const = default;
  // Whether it is asked at servers; and whether it lies on this machine, too.
  bool is_served() const {
    return !servers.empty() || generate::is_remote_model(path);
  }
  bool is_here() const {
    return !path.empty() && !generate::is_remote_model(path);
  }
  // Where it is asked, for people.
  std::string place() const;
  // Of its servers, read again where a file names them; else its path alone.
  std::vector<std::string> addresses() const;

  // How a model of this machine is computed; and how many rows at a time.
  static void describe_compute(auto& visit, auto& model) {
    visit({"device", "auto, cpu or cuda; auto takes a GPU where there is one."},
          model.device, OneOf{{"auto", "cpu", "cuda"}});
    visit({"dtype",
           "auto, float32 or bfloat16; auto is what the device is fast in."},
          model.dtype, OneOf{{"auto", "float32", "bfloat16"}});
    if (visit.shows(model.weights != "full")) {
      visit(
          {"weights",
           "full, int8 or int4: bits of the weights that generate and of the "
           "frozen base that an adapter is trained on; on a CPU. w8a8, for "
           "speed: products of whole numbers of 8 bits, in generation, scores "
           "and the training of an adapter."},
          model.weights, OneOf{{"full", "int8", "int4", "w8a8"}});
    }
  }
  static void describe_engine(auto& visit, auto& model) {
    visit({"num_slots",
           "Rows decoded together: fewer answer one row sooner, more do more "
           "rows an hour. Part of every digest.",
           "rows", "--slots"},
          model.num_slots, ranges::kNumSlots);
    visit({"max_context", "Tokens of prompt and completion together, at most.",
           "tokens"},
          model.max_context, ranges::kMaxContext);
    if (visit.later(model.num_engines != 0)) {
      visit({"num_engines",
             "Copies of the model that generate side by side, each with "
             "num_slots rows, on processors or a GPU of its own; 0: one for "
             "each NUMA node, or each GPU.",
             "engines", "--engines"},
            model.num_engines, ranges::kNumEngines);
    }
    if (visit.later(model.prefix_cache != "full")) {
      visit({"prefix_cache",
             "full, or int8: rows see the keys and values of what they share "
             "in whole numbers of 8 bits; on a CPU."},
            model.prefix_cache, OneOf{{"full", "int8"}});
    }
  }
  // Of a model behind a server (generate/remote.h).
  static void describe_api(auto& visit, auto& model) {
    visit({"api",
           "auto, chat or completions; auto takes a chat where the server does "
           "not complete texts. Of a server's model."},
          model.api, OneOf{{"auto", "chat", "completions"}});
    visit({"price_input", "Of a million tokens of prompt. Of a server's model.",
           "money"},
          model.price.input, Range<double>{0.0, 1e9});
    visit({"price_output",
           "Of a million tokens of completion. Of a server's model.", "money"},
          model.price.output, Range<double>{0.0, 1e9});
    if (visit.shows(!model.api_key_file.empty())) {
      visit({"api_key_file",
             "File of lines HOST KEY, which only you may read. Of a server's "
             "model."},
            model.api_key_file, OnePath());
    }
  }
  static void describe(auto& visit, auto& model) {
    visit({"path",
           "HF folder, GGUF file, or http://HOST:PORT/v1#NAME of an "
           "OpenAI-compatible server. Required where there are no servers."},
          model.path, OnePath());
    if (visit.shows(!model.servers.empty())) {
      visit({"servers",
             "Addresses of servers that all have the model, or files of them, "
             "one a line, which are read again as they change: these are "
             "asked, and path is the model on this machine, for training."},
            model.servers, Paths());
    }
    describe_compute(visit, model);
    describe_engine(visit, model);
    if (visit.shows(model.is_served())) describe_api(visit, model);
  }
};

// Who trains.
struct TrainerOptions {
  std::string with = "local";
  std::string command;

  bool is_command() const { return with == "command"; }
  static void describe(auto& visit, auto& trainer) {
    visit({"with",
           "local, or command: a program of yours trains, on as many machines "
           "as it likes, what lies in a hand-off folder (docs/handoff.md)."},
          trainer.with, OneOf{{"local", "command"}});
    visit({"command",
           "What /bin/sh runs in that folder, such as torchrun "
           "--nproc-per-node 8 train.py."},
          trainer.command, AnyText());
  }
};

// What is done with a model.
enum class Role { kInstruct, kAlign, kVerbose, kEvaluate, kJudge, kTrain };
const char* role_name(Role role);  // as a recipe names it
const std::vector<Role>& all_roles();

// A model for each role.
struct RoleModels {
  ModelOptions usual;  // that of a role which names none
  ModelOptions instruct, align, verbose, evaluate, judge, train;

  // All roles have this one.
  explicit RoleModels(const ModelOptions& model = {})
      : usual(model),
        instruct(model),
        align(model),
        verbose(model),
        evaluate(model),
        judge(model),
        train(model) {}

  ModelOptions& of(Role role);
  const ModelOptions& of(Role role) const {
    return const_cast<RoleModels*>(this)->of(role);
  }
  bool names_any() const;
  static void describe(auto& visit, auto& models) {
    const auto role = [&](const char* key, const char* help, auto& model) {
      if (visit.shows(model != models.usual)) visit.group({key, help}, model);
    };
    role("instruct",
         "Writes topics, questions and instructions; may be another model than "
         "the base.",
         models.instruct);
    role("align", "Answers under the principles.", models.align);
    role("verbose", "Answers at length, with the engraved adapter.",
         models.verbose);
    role("evaluate",
         "Held-out answers and evaluations, with each adapter of the run.",
         models.evaluate);
    role("judge", "Judges where no --judge is given.", models.judge);
    role("train", "Is tuned: a model on this machine.", models.train);
  }
};

// Servers that cannot load an adapter by a call.
struct ServeOptions {
  std::string reload;

  static void describe(auto& visit, auto& serve) {
    visit({"reload",
           "What /bin/sh runs to have the servers answer with another model: "
           "that in $SELFALIGN_ADAPTER, a folder, or the base where it is "
           "empty (docs/scale.md)."},
          serve.reload, AnyText());
  }
};

struct InstructOptions {
  int num_instructions = 80;
  int num_red_team = 40;
  int num_exemplars = 5;
  int opening_words = 0;  // openings.h
  int max_requests = 2000;
  double max_rouge_l = 0.7;
  int topics_per_type = 10;
  int topic_rounds = 20;  // topic_growth.h
  int num_machine_exemplars = 0;
  std::string balance = "quota";  // balance.h
  int hints_per_request = 1;      // question_form.h
  int shard_size = 8192;
  bool strict_form = false;                   // request_form.h
  double min_log_likelihood = kNoLikelihood;  // likelihood.h
  generate::Sampling sampling;
  generate::Sampling topic_sampling;
  generate::Sampling question_sampling;

  static void describe(auto& visit, auto& instruct) {
    visit({"num_instructions", "Instructions of Self-Instruct that are kept.",
           "rows"},
          instruct.num_instructions, Range<int>{0, kMany});
    visit({"num_red_team",
           "Questions of topic-guided red-teaming that are kept.", "rows"},
          instruct.num_red_team, Range<int>{0, kMany});
    visit({"num_exemplars",
           "Seed tasks shown in a request (paper: section 3.1)."},
          instruct.num_exemplars, Range<int>{1, 50});
    visit({"opening_words",
           "First words of another seed that open what a request writes, for "
           "the model to go on with; 0: it begins by itself.",
           "words"},
          instruct.opening_words, Range<int>{0, 8});
    visit({"max_requests", "Requests until stage 1 gives up with what it has."},
          instruct.max_requests, Range<int>{1, kMany});
    visit({"max_rouge_l",
           "ROUGE-L with an earlier instruction above which one is a "
           "duplicate."},
          instruct.max_rouge_l, ranges::kRougeL);
    visit({"topics_per_type",
           "Topics asked for of each type of question, beside the seed "
           "topics. Plays no part in profile paper where topic_rounds is over "
           "1."},
          instruct.topics_per_type, Range<int>{0, 10000});
    visit({"topic_rounds",
           "Rounds until each type has its topics, at most; a type whose "
           "requests bring hardly any new ones ends before. Profile paper, "
           "over 1: rounds of a request for each topic there is, all types cut "
           "to the smallest before each."},
          instruct.topic_rounds, Range<int>{1, 20});
    visit({"num_machine_exemplars",
           "Instructions of the run itself shown beside the seeds "
           "(Self-Instruct: 2 and 6)."},
          instruct.num_machine_exemplars, Range<int>{0, 50});
    visit({"balance",
           "How red-team questions are spread over the types: quota, smallest "
           "or none."},
          instruct.balance, OneOf{{"quota", "smallest", "none"}});
    visit({"hints_per_request",
           "Types and topics that a request for questions names, each for one "
           "question."},
          instruct.hints_per_request, Range<int>{1, 50});
    visit({"shard_size",
           "Profile paper: tasks kept per shard, the reach of its comparison.",
           "rows"},
          instruct.shard_size, Range<int>{1, kMany});
    visit({"strict_form",
           "Rejects as `incoherent` what has not the form of a request. "
           "Profile default."},
          instruct.strict_form, AnyValue());
    visit({"min_log_likelihood",
           "Rejects as `incoherent` what the model finds less likely than this "
           "as a user's words, the whole of it; -10000: never. Profile "
           "default.",
           "nats"},
          instruct.min_log_likelihood, Range<double>{kNoLikelihood, 0.0});
    visit.group({"sampling", "How instructions are written."},
                instruct.sampling);
    visit.follows(instruct.topic_sampling, instruct.sampling);
    visit.group({"topic_sampling",
                 "How topics are written; profile default: else as "
                 "instruct.sampling."},
                instruct.topic_sampling);
    visit.follows(instruct.question_sampling, instruct.sampling);
    visit.group({"question_sampling",
                 "How questions are written; profile default: else as "
                 "instruct.sampling."},
                instruct.question_sampling);
  }
};

// What generated rows must not hold (contamination.h). The held-out
// instructions are always guarded.
struct ContaminationOptions {
  std::vector<std::string> sets;
  int ngram_words = 13;
  double max_rouge_l = 0.7;

  static void describe(auto& visit, auto& contamination) {
    visit({"sets", "Files of evaluation sets."}, contamination.sets, Paths());
    describe_limits(visit, contamination);
  }
  static void describe_limits(auto& visit, auto& contamination) {
    visit({"ngram_words",
           "A row with so many words in a row of a set is contaminated.",
           "words"},
          contamination.ngram_words, ranges::kNgramWords);
    visit({"max_rouge_l",
           "A row whose ROUGE-L with a question of a set is above this is "
           "contaminated, too."},
          contamination.max_rouge_l, ranges::kRougeL);
  }
};

// What of a stage's answers is kept, beside what the profile's filter says.
struct AnswerLimits {
  double min_gain = kNoThreshold;  // likelihood.h
  double max_repetition = 1.0;     // parse/repetition.h
  double min_new_content = 0.0;    // subject.h
  bool need_end = false;

  static void describe(auto& visit, auto& limits) {
    visit({"min_gain",
           "Rejects as `off_topic` what has no word of content of the "
           "instruction and is made likelier by it by less a token; -100: "
           "never. Profile default.",
           "nats"},
          limits.min_gain, Range<double>{kNoThreshold, -kNoThreshold});
    visit({"max_repetition",
           "Rejects as `repetition` of whose 3-grams a larger share stood "
           "there before; 1: never. Profile default."},
          limits.max_repetition, Range<double>{0.0, 1.0});
    visit(
        {"min_new_content",
         "Rejects as `copies_instruction` what has a smaller share of content "
         "words that are not the instruction's; 0: never. Profile default."},
        limits.min_new_content, Range<double>{0.0, 1.0});
    visit({"need_end",
           "Rejects as `cut_off` what was ended by length; else it is kept, "
           "and its end is not learnt. Profile default."},
          limits.need_end, AnyValue());
  }
};

// A stage that answers.
struct AnswerOptions {
  generate::Sampling sampling;
  AnswerLimits limits;

  static void describe(auto& visit, auto& answers) {
    visit.group({"sampling", "How answers are written."}, answers.sampling);
    AnswerLimits::describe(visit, answers.limits);
  }
};

// Further questions of the types in which a principle fires most (refill.h).
struct RefillOptions {
  int min_per_rule = 0;
  int max_requests = 1000;

  static void describe(auto& visit, auto& refill) {
    visit({"min_per_rule",
           "Kept answers that name each principle, at least; 0: no refill.",
           "rows"},
          refill.min_per_rule, Range<int>{0, kMany});
    visit({"max_requests", "Requests for questions, in all."},
          refill.max_requests, Range<int>{1, kMany});
  }
};

// How models are asked where they are compared: the held-out instructions, and
// `evaluate` with the run's models.
struct ComparisonOptions {
  std::string decoding = "one";
  generate::Sampling sampling = comparison_sampling();

  static void describe(auto& visit, auto& comparison) {
    visit({"decoding",
           "one: all models alike, as comparison.sampling says; own: each as "
           "its stage samples."},
          comparison.decoding, OneOf{{"one", "own"}});
    visit.group({"sampling", "How compared models answer."},
                comparison.sampling);
  }
};

// A file of prompts or conversations that a person gives (formats/datasets.h).
struct GivenData {
  std::string path;  // "": none
  int64_t max_rows = 0;

  static void describe(auto& visit, auto& given) {
    visit({"path", "The file; none where it is empty."}, given.path, OnePath());
    visit({"max_rows", "Takes the first ones of the file; 0: all.", "rows"},
          given.max_rows, Range<int64_t>{0, kMany});
  }
};

// Limits of `stages`: some of stage_names(), in any order.
struct StageNames {};
// Those that a recipe may name, in the order of the method.
struct StageName {
  const char* name;
  const char* needs = "";  // another, whose work it goes on with
  const char* what = "";   // of that, for people
};
inline constexpr StageName kStages[] = {
    {"instruct"},
    {"align"},
    {"engrave", "align", "the answers of align"},
    {"verbose", "engrave", "the model of engrave"},
    {"tune"}};
const std::vector<std::string>& stage_names();

struct Recipe {
  std::string name;
  std::string run_folder;
  std::string profile = "default";  // profile.h
  uint64_t seed = 0;
  // What is done, in the order of the method; the paper's variants are subsets:
  // without verbose Dromedary (non-verbose); without instruct, on given
  // prompts, Dromedary-2; tune alone a baseline on given data; none at all the
  // prompted base.
  std::vector<std::string> stages = {"instruct", "align", "engrave", "verbose"};
  ModelOptions model;
  RoleModels models;
  ServeOptions serve;
  std::string prompts_folder;
  std::vector<std::string> prompts_overlay;
  GivenData instructions;
  InstructOptions instruct;
  ContaminationOptions contamination;
  AnswerOptions align;
  RefillOptions refill;
  TuneOptions engrave;
  AnswerOptions verbose;
  TuneOptions final;
  GivenData data;
  TuneOptions tune;
  TrainerOptions train;
  int identity_repeats = 1;
  double identity_share = 0.25;
  int num_held_out = 50;
  ComparisonOptions comparison;

  static void describe(auto& visit, auto& recipe) {
    visit({"name", "A plain name; else that of the file."}, recipe.name,
          AnyText());
    visit({"run_folder", "Folder of the run; else runs/NAME."},
          recipe.run_folder, OnePath());
    visit({"profile",
           "default; paper or paper2: settings and filters as published."},
          recipe.profile, OneOf{profile_names()});
    visit({"seed", "Decides every draw."}, recipe.seed, AnyValue());
    visit({"stages",
           "What is done: instruct, align, engrave and verbose, or a part of "
           "them; or tune alone."},
          recipe.stages, StageNames());
    visit.group({"model", "The base model."}, recipe.model);
    visit.follows(recipe.models, recipe.model);
    if (visit.shows(recipe.models.names_any())) {
      visit.group({"models",
                   "Roles that another model has, or the same at another "
                   "place. Keys that a role leaves out are those of model."},
                  recipe.models);
    }
    if (visit.shows(!recipe.serve.reload.empty())) {
      visit.group({"serve", "How servers get adapters."}, recipe.serve);
    }
    visit({"prompts_folder", "Folder of prompt files. Required."},
          recipe.prompts_folder, OnePath());
    visit({"prompts_overlay",
           "Folders whose files replace those of prompts_folder; later ones "
           "win."},
          recipe.prompts_overlay, Paths());
    visit.group({"instructions", "Prompts in place of stage instruct."},
                recipe.instructions);
    visit.group({"instruct", "Stage 1: the model writes instructions."},
                recipe.instruct);
    visit.group({"contamination", "What generated rows must not hold."},
                recipe.contamination);
    visit.group({"align", "Stage 2: it answers under the principles."},
                recipe.align);
    visit.group({"refill",
                 "Further questions until each principle fired often enough."},
                recipe.refill);
    visit.group({"engrave", "Stage 3: the tuning on those answers."},
                recipe.engrave);
    visit.group({"verbose", "Stage 4: the engraved model answers at length."},
                recipe.verbose);
    visit.group({"final", "The tuning on those answers."}, recipe.final);
    visit.group({"data", "Conversations for stage tune."}, recipe.data);
    visit.group({"tune", "The tuning of the base on them."}, recipe.tune);
    if (visit.shows(recipe.train.is_command())) {
      visit.group({"train", "Who does these tunings."}, recipe.train);
    }
    visit({"identity_repeats",
           "Times that the self-identification rows are used."},
          recipe.identity_repeats, Range<int>{0, 1000});
    visit({"identity_share",
           "Share of a tuning's samples that these rows are, at most; what is "
           "over is left out. 1: no limit (profile paper)."},
          recipe.identity_share, Range<double>{0.0, 1.0});
    visit(
        {"num_held_out", "Held-out instructions used for the report.", "rows"},
        recipe.num_held_out, Range<int>{0, 10000});
    visit.group({"comparison", "How the models are asked that are compared."},
                recipe.comparison);
  }

  bool has(const std::string& stage) const;
  // That of kTrain is the one on this machine, without servers.
  ModelOptions model_for(Role role) const;
  // Whether a stage tunes a model.
  bool trains() const { return has("engrave") || has("tune"); }
  // What the stages ask or tune that is to be one base, without repetitions:
  // the models of all roles but instruct and judge.
  std::vector<ModelOptions> base_models() const;
  // What the stages ask or tune at all, the same way.
  std::vector<ModelOptions> used_models() const;
  // Self-identification rows in the samples of a tuning on `num_pairs` pairs,
  // where the prompts have `num_rows`: all of their repeats, or as many as
  // identity_share lets in.
  int64_t num_identity(int64_t num_rows, int64_t num_pairs) const;
};

// What a recipe has that says nothing of its own, in profile default.
Recipe default_recipe();

// Changes every path that a recipe names; empty ones, too.
void change_paths(Recipe& recipe,
                  const std::function<void(std::string&)>& change);

}  // namespace selfalign::recipe
