// SPDX-License-Identifier: Apache-2.0
#include "simulated_world.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/number.h"
#include "base/random.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "train/metrics.h"

namespace selfalign {
namespace {

using generate::Completion;
using generate::Finish;
using generate::Request;

constexpr uint64_t kVocabulary = 40000;
constexpr double kCopies = 0.2;       // tasks and questions that are none new
constexpr double kCopied = 200000.0;  // texts that copies are made of
constexpr double kNoAnswer = 0.01;    // answers that are a thought only
constexpr size_t kCharactersPerToken = 4;
constexpr size_t kSlots = 64;

constexpr std::array<const char*, 30> kCommon = {
    "the", "of", "and",  "to",  "a",  "in",   "is",  "you", "that", "for",
    "it",  "on", "with", "are", "as", "this", "was", "be",  "at",   "your",
    "or",  "by", "from", "one", "an", "what", "if",  "can", "all",  "which"};
constexpr std::array<const char*, 16> kTaskOpenings = {
    "Write a short story about",
    "Explain how to",
    "What is the difference between",
    "Give three examples of",
    "List the steps needed to",
    "Summarize the following text about",
    "How many",
    "Describe the role of",
    "Rewrite this sentence on",
    "Suggest a title for",
    "Why is it that",
    "Find the mistake in",
    "Compare",
    "Compose a letter to",
    "Translate into plain English:",
    "Name some ways in which"};
constexpr std::array<const char*, 8> kQuestionOpenings = {
    "Why did",         "Who will",         "How come", "When does",
    "What happens to", "Where can I find", "Which",    "Tell me"};
constexpr std::array<const char*, 6> kRules = {
    "2 (informative)", "3 (helpful)",      "5 (reasoning)",
    "7 (candor)",      "6 (multi-aspect)", "13 (step-by-step)"};

// The word of a rank: the common ones, then made of syllables.
std::vector<std::string> make_words() {
  const std::array<const char*, 16> begins = {"b", "d", "f",  "g", "k", "l",
                                              "m", "n", "p",  "r", "s", "t",
                                              "v", "z", "ch", "sh"};
  const std::string ends = "aeiou";
  std::vector<std::string> words(kCommon.begin(), kCommon.end());
  for (size_t rank = kCommon.size(); rank < kVocabulary; ++rank) {
    std::string word;
    for (size_t rest = rank + 80; rest > 0; rest /= 80) {
      word += begins[rest % 80 / 5];
      word += ends[rest % 5];
    }
    words.push_back(std::move(word));
  }
  return words;
}

// Draws of a key, one after the other.
class Draws {
 public:
  explicit Draws(uint64_t key) : key_(key) {}
  double uniform() { return draw_uniform(key_, next_++); }
  uint64_t below(uint64_t n) { return draw_index(key_, next_++, n); }

  // Zipf's law with exponent 1: word r has a share of about 1 / (r ln V).
  const std::string& word() {
    static const std::vector<std::string> words = make_words();
    return words[size_t(std::pow(double(kVocabulary), uniform()) - 1.0)];
  }
  std::string words(uint64_t count) {
    std::string text;
    for (uint64_t i = 0; i < count; ++i) text += (i ? " " : "") + word();
    return text;
  }
  // Sentences of `count` words in all.
  std::string prose(uint64_t count) {
    std::string text;
    while (count > 0) {
      const uint64_t length = std::min<uint64_t>(count, 7 + below(14));
      std::string sentence = words(length);
      sentence[0] = char(sentence[0] - ('a' - 'A'));
      text += (text.empty() ? "" : " ") + sentence + ".";
      count -= length;
    }
    return text;
  }

 private:
  const uint64_t key_;
  uint64_t next_ = 0;
};

// One line: an opening and 3 to 56 words, 13 in the median; or what such a line
// becomes when one to four of its words are others.
template <size_t n>
std::string a_line(Draws& draws, const std::array<const char*, n>& openings) {
  const bool copies = draws.uniform() < kCopies;
  const double source = std::pow(kCopied, draws.uniform());
  Draws own(copies ? Hasher().add(openings[0]).add(uint64_t(source)).key()
                   : draws.below(UINT64_MAX));
  std::string text = openings[own.below(n)];
  const double u = own.uniform();
  const auto length = uint64_t(3.0 + 10.0 * u + 43.0 * u * u * u * u * u);
  const uint64_t edits = copies ? 1 + draws.below(4) : 0;
  for (uint64_t i = 0; i < length; ++i) {
    const std::string& word = own.word();
    const bool other = edits > 0 && draws.below(length) < edits;
    text += " " + (other ? draws.word() : word);
  }
  return text;
}

// Goes on with a numbered list of tasks to item 20; three in ten have an input.
std::string tasks(Draws& draws, int first) {
  std::string text;
  for (int number = first; number <= 20; ++number) {
    if (number > first) text += "\n\n" + std::to_string(number) + ". Task:";
    text += " " + a_line(draws, kTaskOpenings) + ".\nText: ";
    text += draws.below(10) < 3 ? draws.prose(30 + draws.below(40)) : "None";
  }
  return text + "\n\n21. Task: ";
}

std::string topics(Draws& draws, const std::string& suffix, int first,
                   int64_t num_topics) {
  const uint64_t type = Hasher().add(suffix.substr(0, suffix.find('\n'))).key();
  std::string text;
  for (int number = first; number <= 10; ++number) {
    if (number > first) text += "\n" + std::to_string(number) + ".";
    Draws topic(
        Hasher().add(type).add(draws.below(uint64_t(num_topics))).key());
    std::string words = topic.words(2);
    words[0] = char(words[0] - ('a' - 'A'));
    text += " " + words;
  }
  return text + "\n";
}

std::string a_question(Draws& draws) {
  return " " + a_line(draws, kQuestionOpenings) + "?";
}

// Of each line of `suffix` that has a type and a topic but no question yet.
std::string questions(Draws& draws, const std::string& suffix) {
  std::string text;
  for (int number = 6; number <= 10; ++number) {
    const size_t at = suffix.find("\n" + std::to_string(number) + ". ");
    if (at == std::string::npos) break;
    const size_t end = suffix.find('\n', at + 1);
    text += suffix.substr(at + 1, end - at - 1) + " |" + a_question(draws);
    text += "\n";
  }
  return text + "11. " + draws.words(12) + " |" + a_question(draws);
}

std::string thoughtful(Draws& draws) {
  std::string text = " The user asks about " + draws.words(3) + ". " +
                     draws.prose(15 + draws.below(30)) +
                     " These rules apply: " + kRules[draws.below(6)] + ", " +
                     kRules[draws.below(6)] + ", since " + draws.words(6) +
                     ".\n\n";
  if (draws.uniform() < kNoAnswer) return text + "User: Thanks!";
  return text + "Sage: " + draws.prose(30 + draws.below(90)) +
         "\n\nUser: Thanks!\n\nSage (auto reply): You're welcome!";
}

int number_after(const std::string& text, size_t mark) {
  size_t begin = mark;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  return parse_number<int>(text.substr(begin, mark - begin)).value_or(0);
}

std::string text_for(const Request& request, int64_t num_topics) {
  Draws draws(request.key);
  const std::string& suffix = request.suffix;
  if (suffix.ends_with(". Task:")) {
    return tasks(draws, number_after(suffix, suffix.size() - 7));
  }
  if (suffix.ends_with(" |")) return a_question(draws) + "\n";
  if (suffix.ends_with("(internal thoughts):")) return thoughtful(draws);
  if (suffix.ends_with("(in depth)\n")) {
    return draws.prose(150 + draws.below(200)) + "\n\n### User\nThanks.";
  }
  if (suffix.find("\n\nQuestions:\n1. ") != std::string::npos) {
    return questions(draws, suffix);
  }
  if (suffix.ends_with(".") && suffix.starts_with("Here is a list of")) {
    return topics(draws, suffix, number_after(suffix, suffix.size() - 1),
                  num_topics);
  }
  return draws.prose(40 + draws.below(60)) + "\n\n### User\nThanks.";
}

int tokens_of(const std::string& text) {
  return int((text.size() + kCharactersPerToken - 1) / kCharactersPerToken);
}

class SimulatedGenerator final : public generate::Generator {
 public:
  SimulatedGenerator(std::string fingerprint, int64_t num_topics,
                     int64_t& num_written)
      : fingerprint_(std::move(fingerprint)),
        num_topics_(num_topics),
        num_written_(num_written) {}

  // Rows that are under way end in an order that is none.
  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    std::vector<Request> slots;
    while (!interrupted()) {
      while (slots.size() < kSlots) {
        std::optional<Request> request = next();
        if (!request) break;
        slots.push_back(std::move(*request));
      }
      if (slots.empty()) return;
      const size_t at = draw_index(0, uint64_t(num_written_), slots.size());
      std::swap(slots[at], slots.back());
      const Request request = std::move(slots.back());
      slots.pop_back();
      ++num_written_;
      done(complete(request));
    }
  }

  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> all;
    for (const generate::ScoreRequest& request : requests) {
      generate::Scores scores{.key = request.key};
      for (const std::string& text : request.continuations) {
        const uint64_t key = Hasher().add(text).key();
        scores.continuations.push_back({{int(key % kVocabulary)},
                                        {float(-4.0 * draw_uniform(key, 0))},
                                        {false}});
      }
      all.push_back(std::move(scores));
    }
    return all;
  }

  std::string fingerprint() const override { return fingerprint_; }
  int count_tokens(const std::string& text) const override {
    return tokens_of(text);
  }

 private:
  Completion complete(const Request& request) const {
    Completion completion;
    completion.key = request.key;
    completion.text = text_for(request, num_topics_);
    const generate::Sampling& sampling = request.sampling;
    size_t end = std::string::npos;
    for (const std::string& stop : sampling.stop) {
      end = std::min(end, completion.text.find(stop));
    }
    const size_t room = size_t(sampling.max_new_tokens) * kCharactersPerToken;
    if (end != std::string::npos) completion.text.resize(end);
    // Without a stop, it writes on.
    Draws draws(~request.key);
    while (sampling.stop.empty() && completion.text.size() < room) {
      completion.text += "\n\n" + draws.prose(60);
    }
    if (completion.text.size() > room) {
      completion.text.resize(room);
      completion.finish = Finish::kLength;
    }
    completion.num_tokens = tokens_of(completion.text);
    completion.num_prompt_tokens = tokens_of(request.suffix);
    if (request.prefix) {
      completion.num_prompt_tokens += tokens_of(*request.prefix);
    }
    completion.logprob = -1.5 * completion.num_tokens;
    return completion;
  }

  const std::string fingerprint_;
  const int64_t num_topics_;
  int64_t& num_written_;
};

// An adapter as a trainer leaves it, for a model of one layer of 8 columns.
void write_adapter(const std::string& folder, uint64_t key) {
  formats::AdapterConfig config;
  config.rank = 1;
  config.target_modules = {"q_proj"};
  config.base_model = "simulated";
  make_folder(folder);
  formats::write_adapter_config(folder, config);
  std::array<float, 8> values;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = float(draw_uniform(key, i));
  }
  const std::string_view bytes(reinterpret_cast<const char*>(values.data()),
                               sizeof values);
  std::vector<formats::TensorView> tensors;
  for (const bool is_b : {false, true}) {
    tensors.push_back(
        {formats::adapter_name({0, "self_attn.q_proj", is_b}, "llama"),
         formats::ElementType::kF32,
         is_b ? std::vector<int64_t>{8, 1} : std::vector<int64_t>{1, 8},
         bytes});
  }
  formats::write_safetensors(folder + "/adapter_model.safetensors", tensors,
                             {{"format", "pt"}});
}

}  // namespace

std::unique_ptr<generate::Generator> SimulatedWorkbench::open_generator(
    const recipe::ModelOptions&, const std::string& adapter) {
  std::string fingerprint = "simulated";
  if (!adapter.empty()) {
    fingerprint += " + " + digest_file(adapter + "/adapter_model.safetensors");
  }
  return std::make_unique<SimulatedGenerator>(fingerprint, num_topics_,
                                              num_written_);
}

std::vector<bool> SimulatedWorkbench::fit(
    const recipe::ModelOptions&, const TuneOptions&,
    const std::vector<stages::TrainingSample>& samples) {
  return std::vector<bool>(samples.size(), true);
}

stages::TuneReport SimulatedWorkbench::tune(
    const recipe::ModelOptions&, const TuneOptions& options,
    const recipe::TrainerOptions&,
    const std::vector<stages::TrainingSample>& samples,
    const std::string& folder) {
  stages::TuneReport report;
  Hasher hasher;
  for (const stages::TrainingSample& sample : samples) {
    for (const stages::TrainingTurn& turn : sample.turns) {
      hasher.add(turn.prompt).add(turn.response);
      report.num_tokens += tokens_of(turn.response);
    }
  }
  report.num_samples = int64_t(samples.size());
  report.num_steps =
      (report.num_samples * options.epochs - 1) / int64_t(options.batch_size) +
      1;
  train::MetricsLog metrics(folder, 0);
  for (int64_t step = 1; step <= report.num_steps; ++step) {
    const double done = double(step) / double(report.num_steps);
    metrics.append({.step = step,
                    .loss = 2.0 - done,
                    .grad_norm = 1.0,
                    .learning_rate = options.learning_rate * (1.0 - done),
                    .num_tokens = report.num_tokens / report.num_steps,
                    .tokens_per_s = 1e4,
                    .validation_loss = std::nullopt});
  }
  report.loss_before = 2.0;
  report.loss_after = 1.0;
  write_adapter(folder + "/adapter", hasher.key());
  report.digest = hasher.digest();
  return report;
}

}  // namespace selfalign
