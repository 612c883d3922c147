// SPDX-License-Identifier: Apache-2.0
#include "stages/align.h"

#include <algorithm>

#include "base/log.h"
#include "base/record.h"
#include "recipe/profile.h"
#include "stages/funnel.h"
#include "stages/instructions.h"
#include "text/unicode.h"

namespace selfalign::stages {

namespace {

// The published bias against words that are not wanted.
constexpr double kBan = -100.0;

// The words that all of `thoughts` begin with.
std::string common_opening(const std::vector<std::string>& thoughts) {
  if (thoughts.empty()) return "";
  size_t size = thoughts[0].size();
  for (const std::string& thought : thoughts) {
    size_t same = 0;
    while (same < std::min(size, thought.size()) &&
           thought[same] == thoughts[0][same]) {
      ++same;
    }
    size = same;
  }
  const std::string opening = thoughts[0].substr(0, size);
  const size_t sentence = opening.find(". ");
  if (sentence != std::string::npos) return opening.substr(0, sentence + 1);
  return parse::trim(opening.substr(0, opening.find_last_of(" \n") + 1));
}

struct BannedTokens {
  std::vector<int> tokens;

  static void describe(auto& visit, auto& self) {
    visit("tokens", self.tokens);
  }
};

// Bans the words of the run's profile: the same tokens every time.
void ban_profile_words(const Run& run, generate::Sampling& sampling) {
  const std::vector<std::string>& words =
      recipe::profile_named(run.recipe.profile).banned_words;
  if (words.empty()) return;
  if (const auto known = run.store.meta(kBannedTokens)) {
    const std::string where = run.store.folder() + ": " + kBannedTokens;
    for (const int token :
         from_json<BannedTokens>(parse_json(*known, where), where).tokens) {
      sampling.logit_bias[token] = kBan;
    }
    return;
  }
  ban_words(words, run.models.base(recipe::Role::kAlign), sampling);
  BannedTokens banned;
  banned.tokens.reserve(sampling.logit_bias.size());
  for (const auto& [token, bias] : sampling.logit_bias) {
    banned.tokens.push_back(token);
  }
  run.store.set_meta(kBannedTokens, dump_json(to_json(banned)));
}

// A word's first character.
std::string initial_of(const std::string& word) {
  return word.substr(0, text::utf8_char(word, 0).length);
}

}  // namespace

void ban_words(const std::vector<std::string>& words,
               generate::Generator& generator, generate::Sampling& sampling) {
  if (words.empty()) return;
  generate::ScoreRequest request;
  request.context = "\n";
  for (const std::string& word : words) {
    const std::string initial = initial_of(word);
    request.continuations.insert(request.continuations.end(),
                                 {word, initial, " " + word, " " + initial});
  }
  bool banned = false;
  for (const generate::Scores& scores : generator.score({request})) {
    for (size_t i = 0; i + 1 < scores.continuations.size(); i += 2) {
      const std::vector<int>& word = scores.continuations[i].tokens;
      const std::vector<int>& initial = scores.continuations[i + 1].tokens;
      if (word.empty() || initial.empty()) continue;
      if (word[0] == initial[0]) continue;
      sampling.logit_bias[word[0]] = kBan;
      banned = true;
    }
  }
  if (banned) return;
  // A server that tells no ids, or a tokenizer of single characters.
  log_warning("align: the profile's banned words cannot be banned here");
}

parse::AnswerFrame align_frame(const recipe::Prompts& prompts) {
  const recipe::AlignPrompt& align = prompts.align;
  parse::AnswerFrame frame;
  frame.assistant = align.assistant;
  frame.answer_tag = align.answer_tag;
  frame.user_tag = align.user_tag;
  frame.turn_tags = {align.user_tag, align.thought_tag, align.answer_tag};
  frame.marks = {align.thought_tag, align.answer_tag};
  std::vector<std::string> thoughts;
  for (const recipe::Exemplar& exemplar : prompts.exemplars) {
    for (const recipe::ExemplarTurn& turn : exemplar.turns) {
      frame.exemplars.push_back(turn.answer);
      thoughts.push_back(turn.thought);
    }
  }
  frame.opening = common_opening(thoughts);
  return frame;
}

AnswerPlan align_plan(const Run& run, std::vector<store::Row> instructions) {
  const recipe::Prompts& prompts = run.prompts;
  AnswerPlan plan;
  plan.title = "align";
  plan.requests = "align.answers";
  plan.pairs = "align.pairs";
  plan.instructions = std::move(instructions);
  plan.prefix =
      std::make_shared<const std::string>(recipe::align_prefix(prompts));
  plan.suffix_template = prompts.align.suffix;
  plan.sampling = run.recipe.align.sampling;
  plan.sampling.stop = prompts.align.stop;
  plan.frame = align_frame(prompts);
  return plan;
}

AnswerPlan stage_plan(const Run& run, std::vector<store::Row> instructions) {
  const recipe::Profile& profile = recipe::profile_named(run.recipe.profile);
  AnswerPlan plan = align_plan(run, std::move(instructions));
  plan.limits = run.recipe.align.limits;
  if (!profile.stops_at_turns) plan.sampling.stop.clear();
  ban_profile_words(run, plan.sampling);
  return plan;
}

void run_align(const Run& run) {
  if (stage_done(run.store, "align.pairs")) return;
  answer_all(stage_plan(run, instructions_for("align.answers", run.store)),
             run.models.base(recipe::Role::kAlign), run);
}

}  // namespace selfalign::stages
