// SPDX-License-Identifier: Apache-2.0
#include "store/checks.h"

#include "base/error.h"
#include "store/findings.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

constexpr int64_t kMaxAlike = 20;  // problems of one kind that are listed

constexpr char kRestore[] = "restore run.db from a copy or start a new run";

}  // namespace

Findings::~Findings() {
  for (const auto& [expected, count] : counts_) {
    if (count <= kMaxAlike) continue;
    problems_.push_back({db_.path(), expected,
                         str(count - kMaxAlike, " more that are not"),
                         kRestore});
  }
}

void Findings::add(const std::string& where, const std::string& expected,
                   const std::string& found) {
  if (++counts_[expected] > kMaxAlike) return;
  problems_.push_back({where, expected, found, kRestore});
}

void Findings::add_rows(const char* sql, const std::string& expected,
                        const std::string& found) {
  Statement query(db_, sql);
  while (query.step()) {
    add(str(query.get_text(0), ":", query.get_int(1)), expected,
        found + query.get_text(2));
  }
}

namespace {

void check_pages(const Database& db, Findings& findings) {
  Statement check(db, "PRAGMA integrity_check(20)");
  while (check.step()) {
    const std::string found = check.get_text(0);
    if (found != "ok") findings.add(db.path(), "a sound database", found);
  }
}

void check_sequence(const Database& db, Findings& findings) {
  Statement query(db,
                  "SELECT stage, COUNT(*), MIN(seq), MAX(seq) FROM rows "
                  "GROUP BY stage HAVING MIN(seq) <> 0 OR "
                  "MAX(seq) <> COUNT(*) - 1");
  while (query.step()) {
    findings.add(query.get_text(0), "rows numbered 0, 1, 2 without gaps",
                 str(query.get_int(1), " rows numbered ", query.get_int(2),
                     " to ", query.get_int(3)));
  }
}

void check_references(const Database& db, Findings& findings) {
  findings.add_rows(
      "SELECT r.stage, r.seq, printf('%016x', p.parent) FROM parents p "
      "JOIN rows r ON r.key = p.key LEFT JOIN rows q ON q.key = p.parent "
      "WHERE q.key IS NULL",
      "parents that are rows of this run", "none with key ");
  findings.add_rows(
      "SELECT r.stage, r.seq, '' FROM parents p JOIN rows r ON r.key = p.key "
      "GROUP BY p.key HAVING MIN(p.position) <> 0 OR "
      "MAX(p.position) <> COUNT(*) - 1",
      "parents numbered without gaps", "gaps");
  Statement query(db, "PRAGMA foreign_key_check");
  while (query.step()) {
    findings.add(db.path(), "entries that belong to a row",
                 str("entry ", query.get_int(1), " of ", query.get_text(0),
                     ", whose entry in ", query.get_text(2), " is gone"));
  }
}

void check_values(const Database& db, Findings& findings) {
  Statement rows(db, "SELECT stage, seq, content FROM rows");
  while (rows.step()) {
    try {
      parse_json(rows.get_text(2), "content");
    } catch (const Error& error) {
      findings.add(str(rows.get_text(0), ":", rows.get_int(1)),
                   "JSON as content", error.what());
    }
  }
  Statement finishes(db,
                     "SELECT r.stage, r.seq, c.finish FROM completions c "
                     "JOIN rows r ON r.key = c.key");
  while (finishes.step()) {
    const std::string name = finishes.get_text(2);
    try {
      generate::finish_from_name(name);
    } catch (const Error&) {
      findings.add(str(finishes.get_text(0), ":", finishes.get_int(1)),
                   "a known finish reason", name);
    }
  }
  findings.add_rows(
      "SELECT r.stage, r.seq, v.filter FROM verdicts v "
      "JOIN rows r ON r.key = v.key "
      "WHERE v.kept NOT IN (0, 1) OR (v.kept = 0 AND v.reason = '')",
      "verdicts that keep, or reject with a reason", "another one of ");
}

}  // namespace

std::vector<Problem> find_problems(const Reader& run) {
  std::vector<Problem> problems;
  Database& db = run.tables().db;
  {
    Findings findings(db, problems);
    // What cannot be read is a problem like others, and hides none of them.
    const auto guard = [&](const std::function<void()>& check) {
      try {
        check();
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kDamaged) throw;
        findings.add(db.path(), "a sound database", error.what());
      }
    };
    guard([&] { check_pages(db, findings); });
    guard([&] { check_header(run, db, findings); });
    if (run.tables().has_evidence()) {
      guard([&] { check_seals(db, findings); });
      guard([&] { check_chain(db, findings); });
      guard([&] { check_signature(evidence_of(run), db, findings); });
    }
    guard([&] { check_sequence(db, findings); });
    guard([&] { check_references(db, findings); });
    guard([&] { check_values(db, findings); });
  }
  return problems;
}

std::vector<Row> heirs_of_nothing(const Reader& run, const std::string& stage,
                                  const std::string& filter, int64_t num_rows) {
  Statement query(run.tables().db,
                  str("SELECT DISTINCT c.key, c.stage, c.seq, c.content "
                      "FROM rows r JOIN parents p ON p.parent = r.key "
                      "JOIN rows c ON c.key = p.key LEFT JOIN verdicts v "
                      "ON v.key = r.key AND v.filter = ? WHERE r.stage = ? "
                      "AND (v.kept = 0 OR r.seq >= ?)",
                      run.tables().has_annotations()
                          ? " AND r.key NOT IN (SELECT key FROM annotations)"
                          : "",
                      " ORDER BY c.key")
                      .c_str());
  query.bind(filter).bind(stage).bind(num_rows);
  return run.tables().read_rows(query);
}

}  // namespace selfalign::store
