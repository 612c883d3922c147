// SPDX-License-Identifier: Apache-2.0
#include "scripted_world.h"

#include <array>
#include <csignal>
#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "generate/scripted.h"
#include "recipe/prompts.h"
#include "text/words.h"

namespace selfalign::tests {
namespace {

using generate::Request;

constexpr std::array<const char*, 40> kThings = {
    "river",  "lamp",   "bread",  "garden",  "engine", "violin", "planet",
    "cheese", "ladder", "forest", "letter",  "bridge", "magnet", "sailor",
    "winter", "museum", "ticket", "harbor",  "candle", "market", "pepper",
    "rocket", "school", "shadow", "thunder", "velvet", "walnut", "zebra",
    "basket", "copper", "desert", "falcon",  "guitar", "hammer", "island",
    "jacket", "kettle", "lemon",  "mirror",  "needle"};

// Draws words from the request's key, one after the other.
class Words {
 public:
  explicit Words(uint64_t key) : key_(key) {}
  uint64_t number(uint64_t n) { return draw_index(key_, next_++, n); }
  std::string thing() { return kThings[number(kThings.size())]; }
  std::string things(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i ? " " : "") + thing();
    return text;
  }

 private:
  uint64_t key_;
  uint64_t next_ = 0;
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string a_task(Words& words) {
  switch (words.number(7)) {
    case 0:
      return "Write a story about a " + words.thing() + " and the " +
             words.things(4) + ".";
    case 1:
      return "How does one " + words.thing() + " change a " + words.things(5) +
             "?";
    case 2:
      return "Draw a picture of the " + words.thing() + ".";
    case 3:
      return words.thing();
    case 4:
      return "Name the " + words.things(3) + " in the order of " +
             words.things(4) + ".";
    default:
      return "Explain to a " + words.things(3) + " why " + words.things(6) +
             " is old.";
  }
}

const recipe::AlignPrompt& align_prompt() {
  static const recipe::AlignPrompt prompt =
      recipe::load_prompts("prompts").align;
  return prompt;
}

// Goes on with a numbered list of tasks; the last item is cut off.
std::string tasks(Words& words) {
  std::string text = " " + a_task(words) + "\nText: None\n\n";
  for (int number = 7; number < 10; ++number) {
    text += std::to_string(number) + ". Task: " + a_task(words) +
            "\nText: " + (words.number(3) ? "None" : words.things(6)) + "\n\n";
  }
  return text + "10. Task: " + a_task(words);
}

// One of `num_topics` topics, or of hundreds.
std::string a_topic(Words& words, int num_topics) {
  if (num_topics == 0) return words.things(2);
  return "topic " + std::to_string(words.number(uint64_t(num_topics)));
}

// Goes on with a list of topics from item `first`.
std::string topics(Words& words, int first, int num_topics) {
  std::string text = " " + a_topic(words, num_topics) + "\n";
  for (int number = first + 1; number <= 10; ++number) {
    std::string topic = a_topic(words, num_topics);
    if (words.number(2)) topic[0] = char(topic[0] - ('a' - 'A'));
    text += std::to_string(number) + ". " + topic + "\n";
  }
  return text;
}

// Goes on with a list of questions for the hints in `suffix`: some are left
// out, lack their question or are no lines of the list; then it writes on.
std::string questions(Words& words, const std::string& suffix) {
  std::string text;
  std::string first;
  int number = 6;
  for (;; ++number) {
    const size_t at = suffix.find("\n" + std::to_string(number) + ". ");
    if (at == std::string::npos) break;
    const size_t begin = at + 1;
    const std::string line =
        suffix.substr(begin, suffix.find('\n', begin) - begin);
    if (first.empty()) first = line;
    switch (words.number(12)) {
      case 0:
        break;
      case 1:
        text += line + "\n";
        break;
      case 2:
        text += "Why " + line + " | not?\n";
        break;
      default:
        text += line + " | Why did the " + words.things(5) + "?\n";
    }
  }
  for (const std::string& line : {first, std::to_string(number) + ". a | b"}) {
    text += line + " | How come the " + words.things(5) + "?\n";
  }
  return text + first + " | And why " + words.things(90);
}

// `prompt` as the rows share it: a rule that is not in it is not named.
std::string thoughtful(const std::string& prompt, Words& words,
                       const WorldOptions& world) {
  const bool has_candor = prompt.find("(candor)") != std::string::npos;
  const std::string more =
      words.number(4) || !has_candor ? "3 (helpful)" : "3 (candor), 8";
  const std::string thought = " The user asks about a " + words.thing() +
                              ". Rules 2 (informative), " + more +
                              " apply.\n\n";
  if (words.number(6) == 0) return thought;  // never comes to the answer
  // Too short for the published filter, or long enough, with words that it
  // does not like or not.
  const std::string things = words.things(8);
  std::string answer = " The " + things + " is what you want.";
  if (words.number(3)) answer += " And the " + words.things(24) + " as well.";
  if (words.number(4) == 0) answer += " So says the president of the weather.";
  if (world.repeats && words.number(2)) answer += " So " + things + ".";
  answer = align_prompt().answer_tag + answer + "\n\n";
  if (world.answers_on) {
    return thought + answer + align_prompt().answer_tag + " " +
           words.things(600);
  }
  return thought + answer + align_prompt().user_tag + " Thanks.";
}

std::string loop(Words& words) {
  std::string text;
  const std::string again = words.things(3);
  for (int i = 0; i < 12; ++i) text += "The " + again + " again. ";
  return text;
}

// Of anything but what was asked.
std::string stray(Words& words) {
  std::string text;
  for (int i = 0; i < 45; ++i) {
    text += " off" + std::string(1, char('a' + words.number(26))) +
            char('a' + i % 26);
  }
  return text;
}

std::string script(const Request& request, const WorldOptions& world) {
  Words words(request.key);
  const std::string& suffix = request.suffix;
  const std::string prefix = request.prefix ? *request.prefix : "";
  // The second one is opened.
  if (ends_with(suffix, ". Task:")) return tasks(words);
  if (ends_with(prefix, ". Task:")) return tasks(words);
  for (int next = 2; next <= 6; ++next) {
    if (ends_with(suffix, "\n" + std::to_string(next) + ".")) {
      return topics(words, next, world.num_topics);
    }
  }
  if (ends_with(suffix, " |")) {
    return " Why did the " + words.things(5) + "?\n9. next";
  }
  if (const size_t mark = suffix.rfind(" | ");
      mark != std::string::npos && suffix.find(" | ") < mark &&
      suffix.find('\n') == std::string::npos) {  // a question, opened
    return " the " + words.things(5) + "?\n9. next";
  }
  if (suffix.find("\n\nQuestions:\n1. ") != std::string::npos) {
    return questions(words, suffix);
  }
  if (ends_with(suffix, align_prompt().thought_tag)) {
    return thoughtful(prefix, words, world);
  }
  if (words.number(8) == 0) return loop(words);
  if (ends_with(suffix, "(in depth)\n")) {
    if (world.strays && words.number(2))
      return "In depth:" + stray(words) + ".";
    return "In depth: " + words.things(45 + int(words.number(30))) + "." +
           (words.number(2) ? "\n\n### User\nmore" : "");
  }
  return "In short: " + words.things(12) + ".\n\n### User\nmore";
}

}  // namespace

void KillSwitch::tick() {
  if (ticks_left > 0 && --ticks_left == 0) std::raise(SIGKILL);
}

std::unique_ptr<generate::Generator> ScriptedWorkbench::open_generator(
    const recipe::ModelOptions&, const std::string& adapter) {
  ++num_opened_;
  generate::ScriptedOptions options;
  options.script = [this](const Request& request) {
    ++num_written_;
    if (options_.on_request) options_.on_request(request);
    return script(request, options_);
  };
  options.num_slots = options_.num_slots;
  options.kill_after = options_.kill_after;
  options.fingerprint = options_.base;
  if (!adapter.empty()) {
    options.fingerprint += " + " + read_file(adapter + "/digest");
  }
  options.num_score_calls = options_.num_score_calls;
  return generate::make_scripted_generator(options);
}

std::vector<bool> ScriptedWorkbench::fit(
    const recipe::ModelOptions&, const TuneOptions& options,
    const std::vector<stages::TrainingSample>& samples) {
  std::vector<bool> fits;
  for (const stages::TrainingSample& sample : samples) {
    std::string before;
    for (const stages::TrainingTurn& turn : sample.turns) {
      before += turn.prompt;
      if (turn.learn) break;
      before += turn.response;
    }
    fits.push_back(int64_t(text::count_words(before)) < options.max_length);
  }
  return fits;
}

// As a trainer does: a checkpoint on the way, the adapter at the end, the same
// result with and without the checkpoint.
stages::TuneReport ScriptedWorkbench::tune(
    const recipe::ModelOptions&, const TuneOptions& options,
    const recipe::TrainerOptions&,
    const std::vector<stages::TrainingSample>& samples,
    const std::string& folder) {
  samples_ = samples;
  ++num_tuned_;
  Hasher hasher;
  stages::TuneReport report;
  for (const stages::TrainingSample& sample : samples) {
    hasher.add(sample.key);
    for (const stages::TrainingTurn& turn : sample.turns) {
      hasher.add(turn.prompt).add(turn.response).add(turn.flags());
    }
  }
  hasher.add(options.seed).add(std::to_string(options.learning_rate));
  report.digest = hasher.digest();
  const auto step = [this](const std::string& path, const std::string& text) {
    if (std::filesystem::exists(path)) return;
    if (options_.kill) options_.kill->tick();
    write_file_atomic(path, text);
  };
  step(folder + "/checkpoint", "half way");
  make_folder(folder + "/adapter");
  step(folder + "/adapter/digest", report.digest);
  if (options_.kill) options_.kill->tick();
  report.num_samples = int64_t(samples.size());
  report.num_steps = 1 + report.num_samples / options.batch_size;
  report.loss_before = 2.0;
  report.loss_after = 1.0;
  return report;
}

recipe::Recipe small_recipe(const std::string& run_folder) {
  recipe::Recipe recipe;
  recipe.name = "small";
  recipe.run_folder = run_folder;
  recipe.prompts_folder = std::filesystem::absolute("prompts").string();
  recipe.model.path = "none";
  recipe.seed = 7;
  recipe.instruct.num_instructions = 14;
  recipe.instruct.num_red_team = 6;
  recipe.instruct.topics_per_type = 7;
  recipe.instruct.topic_rounds = 1;
  recipe.instruct.sampling.max_new_tokens = 60;
  recipe.instruct.sampling.ban_eos = true;
  recipe.align.sampling.max_new_tokens = 70;
  recipe.verbose.sampling.max_new_tokens = 80;
  recipe.num_held_out = 6;
  return recipe;
}

}  // namespace selfalign::tests
