// SPDX-License-Identifier: Apache-2.0
#include "stages/decisions.h"

#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "parse/thoughts.h"
#include "stages/funnel.h"
#include "stages/stage_table.h"

namespace selfalign::stages {
namespace {

using store::Decision;
using store::Reader;
using store::Review;
using store::Row;
using store::Store;

std::string sealed_name(const std::string& consumer) {
  return "dropped." + consumer;
}

constexpr char kReplay[] = "replay";

std::string sealed_decisions(const std::string& stage) {
  return "decided." + stage;
}

// Decisions on rows of `stage`, of those that samples are made of.
std::vector<Review> decided(const Reader& store, const std::string& stage) {
  if (!store.meta(kReplay)) return store.reviews(stage);
  std::vector<Review> sealed;
  const auto text = store.meta(sealed_decisions(stage));
  if (!text) return sealed;
  for (const Json& item : parse_json(*text, stage)) {
    Review review;
    review.key = key_from_hex(json_string(item, "key", stage));
    review.text = json_string(item, "text", stage);
    const std::string name = json_string(item, "decision", stage);
    for (const Decision decision :
         {Decision::kKeep, Decision::kDrop, Decision::kEdit}) {
      if (name == store::decision_name(decision)) {
        review.decision = decision;
      }
    }
    sealed.push_back(std::move(review));
  }
  return sealed;
}

std::set<uint64_t> dropped_now(const std::vector<Row>& rows,
                               const Reader& store) {
  std::set<std::string> stages;
  for (const Row& row : rows) stages.insert(row.stage);
  std::set<uint64_t> dropped;
  for (const std::string& stage : stages) {
    for (const Review& review : store.reviews(stage)) {
      if (review.decision == Decision::kDrop) {
        dropped.insert(review.key);
      }
    }
  }
  return dropped;
}

std::set<uint64_t> dropped_then(const std::string& sealed) {
  std::set<uint64_t> dropped;
  constexpr size_t kDigits = 16;
  for (size_t at = 0; at < sealed.size(); at += kDigits) {
    dropped.insert(key_from_hex(sealed.substr(at, kDigits)));
  }
  return dropped;
}

// An answer that the filter had rejected and a person wants.
ReviewedPair kept_answer(const Reader& store, Row row, const Review& review) {
  ReviewedPair pair;
  pair.instruction = json_string(row.content, "instruction", row.stage);
  pair.response = review.text;
  pair.reviewed = true;
  if (review.decision == Decision::kKeep) {
    const auto stored = store.completion(row.key);
    // Cut off by length, and nothing came after the answer.
    pair.ends = !stored ||
                stored->completion.finish == generate::Finish::kStop ||
                !parse::trim(stored->completion.text).ends_with(review.text);
  }
  pair.row = std::move(row);
  return pair;
}

// Stage 2's pairs stand in several stages where rules were refilled.
std::vector<Row> with_refills(const Reader& store, const std::string& pairs) {
  std::vector<Row> rows = store.rows(pairs);
  if (pairs != "align.pairs") return rows;
  for (int round = 1; stage_done(store, refill_stages(round).pairs); ++round) {
    for (Row& row : store.rows(refill_stages(round).pairs)) {
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace

std::vector<Row> without_dropped(std::vector<Row> rows,
                                 const std::string& consumer, Store& store) {
  const std::string name = sealed_name(consumer);
  const auto sealed = store.meta(name);
  std::set<uint64_t> dropped;
  if (store.num_rows(consumer) > 0 || store.meta(kReplay)) {
    dropped = dropped_then(sealed.value_or(""));
  } else {
    dropped = dropped_now(rows, store);
    std::string text;
    for (const uint64_t key : dropped) text += key_to_hex(key);
    if (text != sealed.value_or("")) store.set_meta(name, text);
  }
  std::erase_if(rows,
                [&](const Row& row) { return dropped.contains(row.key); });
  return rows;
}

std::vector<ReviewedPair> reviewed_pairs(const Reader& store,
                                         const std::string& pairs) {
  std::map<uint64_t, Review> decisions;
  for (Review& review : decided(store, pairs)) {
    decisions[review.key] = std::move(review);
  }
  const std::string where = store.folder() + ": " + pairs;
  std::vector<ReviewedPair> result;
  for (Row& row : with_refills(store, pairs)) {
    ReviewedPair pair{{},
                      json_string(row.content, "instruction", where),
                      json_string(row.content, "response", where),
                      json_bool(row.content, "ends", where)};
    const auto decided = decisions.find(row.key);
    if (decided != decisions.end()) {
      if (decided->second.decision == Decision::kDrop) continue;
      if (decided->second.decision == Decision::kEdit) {
        pair.response = decided->second.text;
        pair.ends = pair.reviewed = true;
      }
    }
    pair.row = std::move(row);
    result.push_back(std::move(pair));
  }
  for (const Review& review : decided(store, answers_of(pairs))) {
    if (review.decision == Decision::kDrop || review.text.empty()) {
      continue;
    }
    result.push_back(kept_answer(store, *store.row(review.key), review));
  }
  return result;
}

void seal_decisions(Store& store, const std::string& pairs) {
  if (store.meta(kReplay)) return;
  for (const std::string& stage : {pairs, answers_of(pairs)}) {
    Json list = Json::array();
    for (const Review& review : store.reviews(stage)) {
      list.push_back({{"key", key_to_hex(review.key)},
                      {"decision", store::decision_name(review.decision)},
                      {"text", review.text}});
    }
    const std::string name = sealed_decisions(stage);
    if (list.empty() && !store.meta(name)) continue;
    store.set_meta(name, dump_json(list));
  }
}

void replay_decisions(const Reader& from, Store& to) {
  to.set_meta(kReplay, "1");
  const auto copy = [&](const std::string& name) {
    if (const auto sealed = from.meta(name)) to.set_meta(name, *sealed);
  };
  for (const Stage& stage : stage_table()) {
    if (stage.deciders.empty()) continue;
    copy(sealed_decisions(stage.name));
    for (const std::string& decider : stage.deciders) {
      copy(sealed_name(decider));
    }
  }
}

std::string answers_of(const std::string& pairs) {
  constexpr std::string_view kEnd = ".pairs";
  SELFALIGN_CHECK(pairs.ends_with(kEnd), pairs);
  return pairs.substr(0, pairs.size() - kEnd.size()) + ".answers";
}

bool can_be_decided(const std::string& stage) {
  const Stage* entry = find_stage(stage);
  return entry && !entry->deciders.empty();
}

std::string made_already(const Reader& store, const std::string& stage) {
  const Stage* entry = find_stage(stage);
  if (!entry) return "";
  for (const std::string& decider : entry->deciders) {
    if (store.num_rows(decider) > 0) return decider;
  }
  return "";
}

}  // namespace selfalign::stages
