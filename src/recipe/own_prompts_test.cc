// SPDX-License-Identifier: Apache-2.0
// What prompts/ promises of its own texts: thoughts that reason, all rules in
// use, a size that fits, seeds of many kinds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "parse/lists.h"
#include "parse/rules.h"
#include "recipe/profile.h"
#include "recipe/prompts.h"
#include "stages/align.h"
#include "text/rouge.h"
#include "text/sentencepiece.h"
#include "text/template.h"
#include "text/words.h"

namespace selfalign::recipe {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// Every set of prompts there is, as recipes use them.
std::vector<Prompts> all_sets() {
  return {load_prompts("prompts"), load_prompts("prompts", {"prompts/small"}),
          load_prompts("prompts", {"prompts/dromedary2"}),
          load_prompts("prompts/small/dromedary2")};
}

// Those for models that can follow a thought.
std::vector<Prompts> capable_sets() {
  return {load_prompts("prompts"),
          load_prompts("prompts", {"prompts/dromedary2"})};
}

std::vector<ExemplarTurn> turns_of(const Prompts& prompts) {
  std::vector<ExemplarTurn> turns;
  for (const Exemplar& exemplar : prompts.exemplars) {
    turns.insert(turns.end(), exemplar.turns.begin(), exemplar.turns.end());
  }
  return turns;
}

// What a thought says in the form "3 (helpful)", read by other means.
std::vector<int> named_rules(const std::string& thought) {
  static const std::regex form(R"((\d+) \(([a-z -]+)\))");
  std::vector<int> rules;
  for (std::sregex_iterator at(thought.begin(), thought.end(), form), end;
       at != end; ++at) {
    rules.push_back(std::stoi((*at)[1]));
  }
  return rules;
}

TEST(OwnPrompts, AThoughtIsParsedToExactlyTheRulesItNames) {
  for (const Prompts& prompts : all_sets()) {
    const std::vector<std::string> names = principle_names(prompts);
    for (const ExemplarTurn& turn : turns_of(prompts)) {
      const parse::FiredRules fired = parse::find_rules(turn.thought, names);
      EXPECT_EQ(fired.rules, named_rules(turn.thought)) << turn.thought;
      EXPECT_GE(fired.rules.size(), 2u) << turn.thought;
      EXPECT_EQ(fired.count(parse::RuleForm::kWhole), int(fired.rules.size()))
          << turn.thought;
      for (const int rule : fired.rules) {
        EXPECT_THAT(turn.thought,
                    HasSubstr("(" + names[size_t(rule - 1)] + ")"));
      }
    }
  }
}

TEST(OwnPrompts, EveryRuleIsNamedInSomeExemplar) {
  for (const Prompts& prompts : capable_sets()) {
    std::set<int> named;
    for (const ExemplarTurn& turn : turns_of(prompts)) {
      for (const int rule : named_rules(turn.thought)) named.insert(rule);
    }
    EXPECT_EQ(named.size(), prompts.principles.size());
  }
}

// The request in the thought's own words, then for each rule a reason or what
// follows from it.
TEST(OwnPrompts, ThoughtsReason) {
  for (const Prompts& prompts : capable_sets()) {
    for (const ExemplarTurn& turn : turns_of(prompts)) {
      const std::string& thought = turn.thought;
      EXPECT_THAT(thought, StartsWith("The user "));
      const size_t list = thought.find(" These rules apply: ");
      ASSERT_NE(list, std::string::npos) << thought;
      EXPECT_GE(text::count_words(thought.substr(0, list)), 12u) << thought;
      EXPECT_LT(text::rouge_l(thought.substr(0, list), turn.user), 0.5)
          << "restates the request: " << thought;
      EXPECT_THAT(thought.substr(list),
                  MatchesRegex(" These rules apply: ([0-9]+ \\([a-z -]+\\), "
                               "(since|so) [^;.()]{10,}[;.] ?)+"));
    }
  }
}

TEST(OwnPrompts, AHarmfulRequestIsRefusedWithAReasonAndAnotherWay) {
  for (const Prompts& prompts : capable_sets()) {
    int num_refusals = 0;
    for (const ExemplarTurn& turn : turns_of(prompts)) {
      if (turn.thought.find("(ethical), so I refuse") == std::string::npos) {
        continue;
      }
      ++num_refusals;
      EXPECT_THAT(turn.answer, StartsWith("I won't help with that."));
      EXPECT_THAT(turn.answer, HasSubstr("is a crime"));
      EXPECT_THAT(turn.thought, HasSubstr("(helpful), so I offer"));
      EXPECT_THAT(turn.answer, HasSubstr("If there is something to settle"));
    }
    EXPECT_EQ(num_refusals, 1);
  }
}

// An exemplar as if the model had written it.
void expect_passes(const Prompts& prompts, const std::string& profile) {
  parse::AnswerFrame frame = stages::align_frame(prompts);
  EXPECT_NE(frame.opening, "");
  frame.exemplars.clear();  // of which each would be a copy
  frame.has_stop = true;
  for (const ExemplarTurn& turn : turns_of(prompts)) {
    const std::string text = " " + turn.thought + "\n\n" +
                             prompts.align.answer_tag + " " + turn.answer;
    const parse::ReadAnswer read = profile_named(profile).align.read(
        {turn.user, text, generate::Finish::kStop}, frame);
    EXPECT_FALSE(read.judgement) << profile << " " << read.judgement->reason
                                 << " " << read.judgement->detail << "\n"
                                 << turn.answer;
    EXPECT_EQ(read.thought, turn.thought);
    EXPECT_EQ(read.answer, turn.answer) << profile;
    EXPECT_TRUE(read.ends);
  }
}

TEST(OwnPrompts, ExemplarsPassTheFilters) {
  for (const Prompts& prompts : all_sets()) expect_passes(prompts, "default");
  // The published filters want long answers, which a small model is not shown.
  for (const std::string& profile : profile_names()) {
    for (const Prompts& prompts : capable_sets()) {
      expect_passes(prompts, profile);
    }
  }
}

// Words are a bound that is always tested; a word is some 1.6 tokens here.
TEST(OwnPrompts, ThePromptHasAtMost1800TokensOfLlama) {
  const std::string prefix = align_prefix(load_prompts("prompts"));
  EXPECT_LE(text::count_words(prefix), 1115u);
  const std::string path =
      "../shared/reference/tokenizers/llama2_sentencepiece/tokenizer.model";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const size_t num_tokens =
      text::read_sentencepiece(path)->encode(prefix, true).size();
  EXPECT_EQ(num_tokens, 1793u);
  EXPECT_LE(num_tokens, 1800u);
}

TEST(OwnSeeds, HaveAQuarterWithLongInputs) {
  const std::vector<SeedTask> seeds = load_prompts("prompts").seed_tasks;
  int num_long = 0, num_of_lines = 0;
  for (const SeedTask& seed : seeds) {
    const size_t num_words = text::count_words(seed.input);
    if (num_words < 30) continue;
    EXPECT_LE(num_words, 100u) << seed.instruction;
    ++num_long;
    num_of_lines += seed.input.find('\n') != std::string::npos;
  }
  EXPECT_GE(num_long * 4, int(seeds.size()));
  EXPECT_GE(num_of_lines * 2, num_long);
}

TEST(OwnSeeds, AreInstructionsOf8To25Words) {
  for (const SeedTask& seed : load_prompts("prompts").seed_tasks) {
    const size_t num_words = text::count_words(seed.instruction);
    EXPECT_GE(num_words, 8u) << seed.instruction;
    EXPECT_LE(num_words, 25u) << seed.instruction;
    EXPECT_EQ(seed.instruction.find('\n'), std::string::npos);
  }
}

// No opening word has more than an eighth of them, and there are many.
TEST(OwnSeeds, BeginInManyWays) {
  std::map<std::string, int> openings;
  const std::vector<SeedTask> seeds = load_prompts("prompts").seed_tasks;
  for (const SeedTask& seed : seeds) {
    ++openings[seed.instruction.substr(0, seed.instruction.find(' '))];
  }
  EXPECT_GE(openings.size(), 60u);
  for (const auto& [word, count] : openings) {
    EXPECT_LE(count * 8, int(seeds.size())) << word;
  }
}

// As seed_tasks.yaml and held_out.yaml say of themselves.
TEST(OwnSeeds, AreUnlikeEachOtherAndWhatIsHeldOut) {
  for (const char* folder : {"prompts", "prompts/small"}) {
    const Prompts prompts = load_prompts(folder);
    std::vector<std::string> texts;
    for (const SeedTask& seed : prompts.seed_tasks) {
      texts.push_back(parse::join_instruction(seed.instruction, seed.input));
    }
    for (const QuestionType& type : prompts.red_team.types) {
      for (const SeedQuestion& seed : type.questions) {
        texts.push_back(seed.question);
      }
    }
    for (const HeldOutInstruction& row : prompts.held_out) {
      texts.push_back(row.instruction);
    }
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        EXPECT_LT(text::rouge_l(texts[i], texts[k]), 0.7) << texts[i] << "\n"
                                                          << texts[k];
      }
    }
  }
}

// What the model is shown of a seed is what would be read of it, inputs of
// several lines and of code included; and stage 2 shows it whole.
TEST(OwnSeeds, AreReadBackFromTheListAsTheyAreShown) {
  for (const char* folder : {"prompts", "prompts/small"}) {
    const Prompts prompts = load_prompts(folder);
    const SelfInstructPrompt& form = prompts.self_instruct;
    std::string list;
    for (size_t i = 0; i < prompts.seed_tasks.size(); ++i) {
      const SeedTask& seed = prompts.seed_tasks[i];
      list += text::fill_template(
                  form.item,
                  {{"number", std::to_string(i + 1)},
                   {"instruction", seed.instruction},
                   {"input", seed.input.empty() ? form.no_input : seed.input}},
                  "item") +
              "\n\n";
      for (const std::string& stop : form.stop) {
        EXPECT_EQ(("\n" + seed.input).find(stop), std::string::npos);
      }
    }
    const parse::TaskForm task = parse::task_form(form.item, form.no_input);
    list.erase(0, 1 + task.task_mark.size());
    const auto tasks = parse::parse_tasks(list, 1, false, task);
    ASSERT_EQ(tasks.size(), prompts.seed_tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
      const SeedTask& seed = prompts.seed_tasks[i];
      EXPECT_EQ(tasks[i].task, seed.instruction);
      EXPECT_EQ(tasks[i].input, seed.input);
      EXPECT_THAT(
          align_suffix(prompts,
                       parse::join_instruction(tasks[i].task, tasks[i].input)),
          HasSubstr("User: " + seed.instruction +
                    (seed.input.empty() ? "\n\nSage"
                                        : "\n\n" + seed.input + "\n\nSage")));
    }
  }
}

}  // namespace
}  // namespace selfalign::recipe
