// SPDX-License-Identifier: Apache-2.0
// Judges whose verdicts are known, asked the way of the real one.
#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/random.h"
#include "eval/items.h"
#include "generate/scripted.h"
#include "judge/judging.h"
#include "text/wrap.h"

namespace selfalign::judge {
namespace {

using eval::PairCounts;

constexpr char kMark = '\x1f';  // between the answers; in neither

// Prompts that hold the two answers judged and nothing else.
JudgePrompts bare_prompts() {
  JudgePrompts prompts;
  for (const char* end : {"", "_reference"}) {
    prompts.prompts[std::string("pair") + end].text =
        std::string("{answer_a}") + kMark + "{answer_b}";
    prompts.prompts[std::string("pair_turns") + end].text =
        std::string("{answer_a_2}") + kMark + "{answer_b_2}";
  }
  return prompts;
}

PairCounts counts_of(
    const Contest& contest,
    std::function<std::string(const generate::Request&)> script) {
  generate::ScriptedOptions scripted;
  scripted.script = std::move(script);
  const auto generator = generate::make_scripted_generator(scripted);
  JudgeOptions options;
  options.name = "self-test";
  options.generator = generator.get();
  options.prompts = bare_prompts();
  Judge judge(options, nullptr);
  return count_pairs(pair_verdicts(judge, contest));
}

std::string prefer_longer(const generate::Request& request) {
  const size_t mark = request.suffix.find(kMark);
  const size_t a = text::num_characters(request.suffix.substr(0, mark));
  const size_t b = text::num_characters(request.suffix.substr(mark + 1));
  if (a == b) return "[[C]]";
  return a > b ? "[[A]]" : "[[B]]";
}

// 0 where nothing was judged.
double rate_of(const PairCounts& counts) {
  return counts.win_rate.value_or(0.0);
}

eval::SelfTest check_longer(const Contest& contest) {
  const PairCounts found = counts_of(contest, prefer_longer);
  PairCounts expected;
  for (const AnswerPair& pair : contest.pairs) {
    for (size_t turn = 0; turn < num_judged_turns(pair.a); ++turn) {
      const size_t a = text::num_characters(pair.a.answers[turn]);
      const size_t b = text::num_characters(pair.b.answers[turn]);
      ++expected.num_items;
      ++(a == b ? expected.ties : a > b ? expected.wins_a : expected.wins_b);
    }
  }
  const auto words = [](const PairCounts& counts) {
    return str(counts.wins_a, " to ", counts.wins_b, ", ", counts.flips,
               " flips");
  };
  return {"a judge that prefers the longer answer", words(expected),
          words(found), words(expected) == words(found)};
}

}  // namespace

std::vector<eval::SelfTest> check_pairs(const Contest& contest, uint64_t seed) {
  std::vector<eval::SelfTest> tests = {check_longer(contest)};
  const PairCounts first =
      counts_of(contest, [](const auto&) { return "[[A]]"; });
  tests.push_back(
      {"a judge that always prefers the first answer",
       str(first.num_items, " flips, 0 wins"),
       str(first.flips, " flips, ", first.wins_a + first.wins_b, " wins"),
       first.flips == first.num_items && first.wins_a + first.wins_b == 0});
  const PairCounts random =
      counts_of(contest, [seed](const generate::Request& request) {
        return draw_index(request.key, seed, 2) == 0 ? "[[A]]" : "[[B]]";
      });
  // One of four items is won and one lost: the deviation of the rate is
  // sqrt(1/8 / n); five of them.
  const double slack =
      5 * std::sqrt(0.125 / std::max(1.0, double(random.num_items)));
  tests.push_back(
      {"a random judge", "50.0 % +- " + eval::percent(slack),
       eval::percent(rate_of(random)),
       random.num_items == 0 || std::abs(rate_of(random) - 0.5) <= slack});
  Contest swapped{contest.task, contest.b, contest.a, {}};
  for (const AnswerPair& pair : contest.pairs) {
    swapped.pairs.push_back({pair.b, pair.a});
  }
  const double one = rate_of(counts_of(contest, prefer_longer));
  const double other = rate_of(counts_of(swapped, prefer_longer));
  tests.push_back({"swapped subjects", eval::percent(1 - one),
                   eval::percent(other),
                   contest.pairs.empty() || std::abs(one + other - 1) < 1e-9});
  return tests;
}

}  // namespace selfalign::judge
