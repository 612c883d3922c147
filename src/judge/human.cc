// SPDX-License-Identifier: Apache-2.0
#include "judge/human.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "text/wrap.h"

namespace selfalign::judge {
namespace {

double length_of(const JudgedAnswer& answer, size_t turn) {
  return double(text::num_characters(answer.answers[turn]));
}

}  // namespace

HumanSession::HumanSession(const Contest& contest, const std::string& name,
                           uint64_t seed, eval::ItemLog& log)
    : contest_(contest), name_(name), log_(log) {
  const auto num = uint32_t(contest.pairs.size());
  const uint64_t stream =
      Hasher().add("blind").add(contest.task).add(seed).key();
  for (const uint32_t number : draw_sample(stream, num, num)) {
    const auto& [a, b] = contest.pairs[number];
    for (size_t turn = 0; turn < num_judged_turns(a); ++turn) {
      Hasher key;
      key.add("human 1").add(name).add(contest.task).add(a.id).add(turn);
      for (const auto* side : {&a, &b}) {
        for (size_t i = 0; i <= turn; ++i) key.add(side->answers[i]);
      }
      key.add(contest.a).add(contest.b);
      const uint64_t draw = Hasher().add(stream).add(a.id).key();
      all_.push_back({number, turn, draw_index(draw, 0, 2) == 0, key.key()});
      if (log.find(key.key()) == nullptr) open_.push_back(all_.size() - 1);
    }
  }
}

BlindItem HumanSession::item() const {
  SELFALIGN_CHECK(!at_end());
  const Place& place = all_[open_[position_]];
  const auto& [a, b] = contest_.pairs[place.pair];
  BlindItem item;
  for (size_t i = 0; i <= place.turn; ++i) {
    item.turns.push_back(a.turns[i]);
    item.first.push_back((place.a_first ? a : b).answers[i]);
    item.second.push_back((place.a_first ? b : a).answers[i]);
  }
  return item;
}

void HumanSession::decide(Verdict verdict) {
  SELFALIGN_CHECK(!at_end() && verdict != Verdict::kNone);
  const Place& place = all_[open_[position_]];
  const auto& [a, b] = contest_.pairs[place.pair];
  Json item{{"id", a.id}};
  if (!a.category.empty()) item["group"] = a.category;
  item["kind"] = "pair";
  item["turn"] = place.turn + 1;
  item["task"] = contest_.task;
  item["a"] = contest_.a;
  item["b"] = contest_.b;
  item["first"] = place.a_first ? "a" : "b";
  item["orders"] = 1;
  item["answers"] = {answers_digest(a, place.turn),
                     answers_digest(b, place.turn)};
  item["length_a"] = length_of(a, place.turn);
  item["length_b"] = length_of(b, place.turn);
  item["verdict"] = verdict_name(verdict);
  log_.add(place.key, item);
  log_.sync();
  ++num_decided_;
  ++position_;
}

std::vector<PairVerdict> HumanSession::verdicts() const {
  std::vector<PairVerdict> all;
  for (const Place& place : all_) {
    const Json* item = log_.find(place.key);
    if (item == nullptr) continue;
    const auto& [a, b] = contest_.pairs[place.pair];
    const Verdict shown =
        verdict_from_name(json_string(*item, "verdict", log_.path()));
    const bool a_first = json_string(*item, "first", log_.path()) == "a";
    const Verdict verdict = a_first ? shown : swapped(shown);
    all.push_back({a.id, a.category, verdict, swapped(verdict),
                   length_of(a, place.turn), length_of(b, place.turn)});
  }
  return all;
}

eval::Comparison HumanSession::comparison(uint64_t seed) {
  eval::Comparison comparison;
  comparison.task = contest_.task;
  comparison.judge = name_;
  comparison.judge_fingerprint = name_;
  comparison.a = contest_.a;
  comparison.b = contest_.b;
  comparison.pairs = pair_figures(verdicts(), seed);
  comparison.pairs->orders.reset();  // one was seen
  comparison.judgements = "judgements/" + name_ + ".jsonl";
  comparison.keys = log_.take_used();
  comparison.num_open = int64_t(open_.size() - num_decided_);
  return comparison;
}

}  // namespace selfalign::judge
