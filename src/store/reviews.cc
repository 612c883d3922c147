// SPDX-License-Identifier: Apache-2.0
// A person's decisions, and looking through rows for one.
#include "base/error.h"
#include "store/store_impl.h"

namespace selfalign::store {
namespace {

constexpr Decision kDecisions[] = {Decision::kKeep, Decision::kDrop,
                                   Decision::kEdit};

Decision stored_decision(const Database& db, const std::string& name) {
  for (const Decision decision : kDecisions) {
    if (name == decision_name(decision)) return decision;
  }
  damaged(db, str("the decision \"", name, "\""));
}

std::vector<Review> read_reviews(const Database& db, Statement& query) {
  std::vector<Review> annotations;
  while (query.step()) {
    annotations.push_back({query.get_key(0), query.get_text(1),
                           stored_decision(db, query.get_text(2)),
                           query.get_text(3), query.get_text(4),
                           query.get_double(5)});
  }
  return annotations;
}

}  // namespace

const char* decision_name(Decision decision) {
  switch (decision) {
    case Decision::kKeep:
      return "keep";
    case Decision::kDrop:
      return "drop";
    case Decision::kEdit:
      return "edit";
  }
  return "";
}

void Store::set_annotation_source(const Store* from) {
  impl_->review_source = from;
}

void Store::add_review(const Review& review) {
  write([&] {
    SealedWrite upsert(
        impl_->db, impl_->seals, "annotations",
        "INSERT INTO annotations VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET "
        "author = excluded.author, decision = excluded.decision, "
        "text = excluded.text, note = excluded.note, "
        "time_s = excluded.time_s RETURNING *",
        "SELECT * FROM annotations WHERE key = ?");
    upsert.find().bind_key(review.key);
    upsert.write()
        .bind_key(review.key)
        .bind(review.author)
        .bind(decision_name(review.decision))
        .bind(review.text)
        .bind(review.note)
        .bind(review.time_s);
    upsert.run();
  });
}

std::optional<Review> Store::review(uint64_t key) const {
  if (!impl_->has_annotations()) return std::nullopt;
  Statement query(impl_->db,
                  "SELECT key, author, decision, text, note, time_s "
                  "FROM annotations WHERE key = ?");
  query.bind_key(key);
  std::vector<Review> found = read_reviews(impl_->db, query);
  if (found.empty()) return std::nullopt;
  return std::move(found[0]);
}

std::vector<Review> Store::reviews(const std::string& stage) const {
  if (!impl_->has_annotations()) return {};
  Statement query(impl_->db,
                  "SELECT a.key, a.author, a.decision, a.text, a.note, "
                  "a.time_s FROM annotations a JOIN rows r ON r.key = a.key "
                  "WHERE r.stage = ? ORDER BY r.seq");
  query.bind(stage);
  return read_reviews(impl_->db, query);
}

void Store::scan(const std::string& stage, const std::string& filter,
                 const std::function<bool(const SeenRow&)>& visit) const {
  Statement query(
      impl_->db,
      "SELECT r.key, r.seq, r.content, c.key IS NOT NULL, c.text, c.thought, "
      "c.finish, c.num_tokens, c.num_prompt_tokens, c.logprob, c.fingerprint, "
      "c.time_s, v.key IS NOT NULL, v.kept, v.reason, v.detail FROM rows r "
      "LEFT JOIN completions c ON c.key = r.key "
      "LEFT JOIN verdicts v ON v.key = r.key AND v.filter = ? "
      "WHERE r.stage = ? ORDER BY r.seq");
  query.bind(filter).bind(stage);
  while (query.step()) {
    SeenRow seen;
    seen.row.key = query.get_key(0);
    seen.row.stage = stage;
    seen.row.seq = query.get_int(1);
    seen.row.content = stored_json(impl_->db, query.get_text(2));
    if (query.get_int(3)) {
      seen.completion = impl_->read_completion(query, seen.row.key, 4);
    }
    if (query.get_int(12)) {
      seen.verdict = Verdict{seen.row.key, filter, query.get_int(13) != 0,
                             query.get_text(14), query.get_text(15)};
    }
    if (!visit(seen)) return;
  }
}

Activity Store::activity(const std::string& stage) const {
  Statement query(impl_->db,
                  "SELECT COUNT(*), COALESCE(SUM(c.num_tokens), 0), "
                  "COALESCE(MAX(c.time_s), 0.0) "
                  "FROM rows r JOIN completions c ON c.key = r.key "
                  "WHERE r.stage = ?");
  query.bind(stage).step();
  return {query.get_int(0), query.get_int(1), query.get_double(2)};
}

std::vector<std::string> Store::filters(const std::string& stage) const {
  Statement query(impl_->db,
                  "SELECT DISTINCT v.filter FROM rows r JOIN verdicts v "
                  "ON v.key = r.key WHERE r.stage = ? ORDER BY v.filter");
  query.bind(stage);
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.get_text(0));
  return names;
}

}  // namespace selfalign::store
