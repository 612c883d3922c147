// SPDX-License-Identifier: Apache-2.0
#include "replay/verify.h"

#include <filesystem>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "recipe/run_files.h"
#include "replay/replayed_run.h"
#include "replay/verify_files.h"
#include "stages/funnel.h"
#include "stages/likelihood.h"
#include "stages/tuning.h"
#include "store/checks.h"

// How it works. Three proofs, each of what the ones before leave open:
//
//   1. Counting. Every table is digested afresh against its seal, every stage
//      against its manifest, every manifest against the chain, every file
//      against its digest in the store. Finds what another hand changed.
//   2. Recipe and prompts against what the run was begun with. A run that was
//      edited cannot be played again; what was edited is named by its key.
//   3. Playing again. An empty run is made by the same recipe with a workbench
//      that has no model and takes completions and adapters from this run by
//      their keys (replayed_run.h). A row's key is the hash of all it was
//      made from, so the same keys mean the same prompts, draws and model;
//      manifests that come out the same mean the same parsing, filters, order
//      and samples.
//
// What could be changed without being seen: everything at once, with seals and
// chain computed anew and a replay that agrees. Only a signature holds against
// that. And what no digest can say is whether a model made a completion.
//
// A check that fails is a problem in the list and the next one goes on, since
// a person wants to know all that is wrong. Only the replay needs all before it
// to be sound: it would report every consequence again.
//
// Cost: every row is read and every completion parsed again, duplicates are
// searched again; no model is loaded.

namespace selfalign::replay {
namespace {

namespace fs = std::filesystem;
using store::Account;
using store::Manifest;
using store::Problem;
using store::Reader;

constexpr char kRestore[] = "restore it from a copy of the run";
constexpr char kStartAnew[] =
    "restore it from a copy of the run, or start a new one with what is sound: "
    "selfalign resume RUN --fork NEW";

int64_t num_rejected(const Account& account) {
  int64_t sum = 0;
  for (const auto& reason : account.rejected) sum += reason.second;
  return sum;
}

// "20 rows = 17 kept + 3 rejected (2 no_answer, 1 repetition) + 0 pending"
std::string equation(const Account& account) {
  const std::string why = stages::counts_text(account.rejected);
  return str(account.num_rows, " rows = ", account.num_kept, " kept + ",
             num_rejected(account), " rejected",
             why.empty() ? "" : " (" + why + ")", " + ", account.num_pending,
             " pending");
}

// The problems of a verification, with what to do about each.
class ProblemList {
 public:
  explicit ProblemList(std::vector<Problem>& problems) : problems_(problems) {}

  // Whether a fork may be made, which takes nothing from tables that another
  // hand changed.
  void set_can_fork(bool can_fork) { can_fork_ = can_fork; }

  void add(const std::string& where, const std::string& expected,
           const std::string& found, const std::string& advice = "") {
    problems_.push_back({where, expected, found,
                         !advice.empty() ? advice
                         : can_fork_     ? kStartAnew
                                         : kRestore});
  }

  // What cannot be read is a problem like others.
  template <typename Check>
  void guard(const std::string& where, const Check& check) {
    try {
      check();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInterrupted ||
          error.kind() == ErrorKind::kResources) {
        throw;
      }
      add(where, "a sound run", error.what(), kRestore);
    } catch (const std::exception& error) {  // as of JSON of another shape
      add(where, "a sound run", error.what(), kRestore);
    }
  }

 private:
  std::vector<Problem>& problems_;
  bool can_fork_ = false;
};

// The first proof, of stages: each is counted and digested afresh.
class StageChecks {
 public:
  StageChecks(const Reader& store, ProblemList& problems,
              std::vector<StageCheck>& out)
      : store_(store), problems_(problems), out_(out) {}

  void check_done(const Manifest& manifest) {
    const std::string& stage = manifest.stage;
    const std::string filter = store::filter_of(manifest);
    StageCheck check;
    check.stage = stage;
    check.done = true;
    check.account = store_.account(stage, filter, manifest.num_rows);
    check.num_beyond = store_.num_rows(stage) - check.account.num_rows;
    if (is_digest_of_rows(manifest)) {
      problems_.guard(stage, [&] {
        const std::string digest =
            store_.digest(stage, filter, manifest.num_rows);
        check.digest_same = digest == manifest.digest;
        if (!check.digest_same) {
          problems_.set_can_fork(false);
          problems_.add(stage, "rows with digest " + manifest.digest,
                        "digest " + digest);
        }
      });
      check_account(manifest, check);
      check_heirs(manifest, filter);
    } else {
      check.digest_same = check_adapter(manifest);
    }
    out_.push_back(std::move(check));
  }

  void count_open(const std::string& stage) {
    StageCheck check;
    check.stage = stage;
    check.account = store_.account(stage, store_.main_filter(stage),
                                   store_.num_rows(stage));
    out_.push_back(std::move(check));
  }

 private:
  // A tuning and a scoring have no rows; theirs is a digest of something else.
  bool is_digest_of_rows(const Manifest& manifest) const {
    return manifest.num_rows > 0 || store_.num_rows(manifest.stage) > 0 ||
           manifest.report.contains("rejected");
  }

  void check_account(const Manifest& manifest, const StageCheck& check) {
    const Account& account = check.account;
    const std::string& stage = manifest.stage;
    std::string rejected;
    if (const auto found = manifest.report.find("rejected");
        found != manifest.report.end() && found->is_object()) {
      for (const auto& [reason, count] : found->items()) {
        rejected +=
            str(rejected.empty() ? "" : ", ", dump_json(count), " ", reason);
      }
    }
    if (account.num_rows != manifest.num_rows ||
        account.num_kept != manifest.num_kept || account.num_pending != 0 ||
        stages::counts_text(account.rejected) != rejected) {
      problems_.add(stage,
                    str(manifest.num_rows, " rows = ", manifest.num_kept,
                        " kept + ", rejected.empty() ? "none" : rejected,
                        " rejected + 0 pending, as its manifest says"),
                    equation(account));
    }
    if (account.num_completed > 0 &&
        account.num_completed != account.num_rows) {
      problems_.add(stage, "a completion of every request",
                    str("none of ", account.num_rows - account.num_completed,
                        " of ", account.num_rows, " requests"));
    }
    if (check.num_beyond > 0 && account.num_completed == 0) {
      problems_.add(stage,
                    str(manifest.num_rows, " rows, as its manifest says"),
                    str(check.num_beyond, " more"));
    }
  }

  void check_heirs(const Manifest& manifest, const std::string& filter) {
    for (const store::Row& row : store::heirs_of_nothing(
             store_, manifest.stage, filter, manifest.num_rows)) {
      if (row.stage == stages::scores_of(manifest.stage))
        continue;  // of any row
      problems_.add(str(row.stage, ":", row.seq),
                    "parents that are kept rows of " + manifest.stage,
                    "one that is rejected or beyond the stage's end");
    }
  }

  bool check_adapter(const Manifest& manifest) {
    if (!stages::is_adapter(manifest)) return true;
    bool same = true;
    const stages::AdapterReport report = stages::adapter_report(manifest);
    for (const auto& [file, digest] : report.files) {
      const std::string path = str(store_.folder(), "/", report.folder, "/",
                                   report.result, "/", file);
      std::string found = "no such file";
      std::error_code ignored;
      if (fs::is_regular_file(path, ignored)) {
        found = "digest " + digest_file(path);
      }
      if (found == "digest " + digest) continue;
      same = false;
      problems_.add(path,
                    "digest " + digest + ", as the manifest of " +
                        manifest.stage + " says",
                    found);
    }
    return same;
  }

  const Reader& store_;
  ProblemList& problems_;
  std::vector<StageCheck>& out_;
};

// The last proof: the run is played again.
class Replaying {
 public:
  Replaying(const Reader& store, ProblemList& problems, Verification& out)
      : store_(store), problems_(problems), out_(out) {}

  void run(const std::vector<Manifest>& manifests) {
    if (manifests.empty()) return;
    const ReplayedRun again(store_, stages::Judging::kOwn);
    out_.replay_end = again.end();
    compare(manifests, again.store(), again.can_be_made());
  }

 private:
  // `can_be_made`: whatever `again` lacks is missing here too.
  void compare(const std::vector<Manifest>& manifests, const Reader& again,
               bool can_be_made) {
    const std::vector<Manifest> made = again.manifests();
    for (size_t i = 0; i < manifests.size(); ++i) {
      const Manifest& stored = manifests[i];
      if (i >= made.size() && !can_be_made) return;
      if (i >= made.size()) {
        problems_.add(stored.stage,
                      "all that recipe and prompts make of it (played again)",
                      out_.replay_end.empty() ? "a stage that they do not make"
                                              : out_.replay_end);
        return;
      }
      const std::string was = store::filter_of(stored);
      const std::string is = store::filter_of(made[i]);
      if (stored.stage == made[i].stage && was != is) {
        out_.replay_end = str(stored.stage, " was judged by ", was,
                              ", this program has ", is);
        return;
      }
      if (stored.stage != made[i].stage || stored.digest != made[i].digest ||
          stored.num_kept != made[i].num_kept) {
        problems_.add(stored.stage, "the same when it is played again",
                      difference(stored, made[i], again));
        return;
      }
      ++out_.num_replayed;
    }
  }

  // The first row that is not the same.
  std::string difference(const Manifest& stored, const Manifest& made,
                         const Reader& again) const {
    if (stored.stage != made.stage) return "stage " + made.stage;
    for (int64_t seq = 0; seq < stored.num_rows; ++seq) {
      const auto row = store_.row(stored.stage, seq);
      const auto other = again.row(made.stage, seq);
      if (!row || !other) break;
      if (row->key == other->key && row->parents == other->parents &&
          dump_json(row->content) == dump_json(other->content)) {
        continue;
      }
      return str("another row ", row->stage, ":", seq, ": ",
                 dump_json(row->content), " in place of ",
                 dump_json(other->content));
    }
    return str(made.num_rows, " rows, ", made.num_kept, " kept, in place of ",
               stored.num_rows, " rows, ", stored.num_kept,
               " kept, or other verdicts");
  }

  const Reader& store_;
  ProblemList& problems_;
  Verification& out_;
};

class Verifying {
 public:
  // `report_digest` is what report.json says, if it is there.
  Verifying(const Reader& store, std::optional<std::string> report_digest,
            std::string public_key, Verification& out)
      : store_(store),
        report_digest_(std::move(report_digest)),
        public_key_(std::move(public_key)),
        out_(out),
        problems_(out.problems) {}

  void run() {
    out_.problems = store::find_problems(store_);
    problems_.set_can_fork(out_.problems.empty());
    StageChecks stages(store_, problems_, out_.stages);
    std::vector<Manifest> manifests;
    problems_.guard("manifests", [&] { manifests = store_.manifests(); });
    for (const Manifest& manifest : manifests) {
      problems_.guard(manifest.stage, [&] { stages.check_done(manifest); });
    }
    problems_.guard("stages", [&] {
      for (const std::string& stage : store_.stages()) {
        if (!store_.manifest(stage))
          problems_.guard(stage, [&] { stages.count_open(stage); });
      }
    });
    problems_.guard("run.db", [&] {
      out_.digest = store_.run_digest();
      out_.evidence = store::evidence_of(store_);
    });
    problems_.guard(store_.folder(), [&] {
      const FileCheck files = check_files(store_);
      out_.num_files = files.num_compared;
      for (const Problem& problem : files.problems) {
        problems_.add(problem.where, problem.expected, problem.found,
                      problem.advice);
      }
    });
    if (report_digest_ && *report_digest_ != out_.digest) {
      problems_.add(
          store_.folder() + "/report.json", "the run's digest " + out_.digest,
          *report_digest_,
          "if run.db is right, write it anew with: selfalign report RUN");
    }
    bool sound = true;
    problems_.guard("recipe.resolved.yaml",
                    [&] { sound = check_recipe() && sound; });
    problems_.guard("prompts", [&] { sound = check_prompts() && sound; });
    if (sound && out_.problems.empty()) {
      problems_.guard(
          "replay", [&] { Replaying(store_, problems_, out_).run(manifests); });
    } else {
      out_.replay_end = "not tried, as the run is damaged";
    }
    check_signer();
  }

 private:
  // A signature that is not right is among the store's own problems.
  void check_signer() {
    const std::optional<std::string>& found = out_.evidence.signed_by;
    if (public_key_.empty() || found == public_key_) return;
    problems_.add(store_.folder() + "/run.db", "a signature by " + public_key_,
                  found ? "one by " + *found : "none",
                  "ask who made the run for the signed one, or for the key");
  }

  bool check_recipe() {
    const std::string edited = recipe::edited_recipe(store_);
    recipe::run_recipe(store_.folder());
    if (edited.empty()) return true;
    problems_.add(store_.folder() + recipe::kRecipeFile,
                  "the recipe this run was begun with", "others:" + edited,
                  kRestore);
    return false;
  }

  bool check_prompts() {
    const auto expected = store_.meta("prompts.digest");
    if (!expected) return true;
    const std::string path = store_.folder() + "/prompts";
    const std::string found = recipe::run_prompts(store_.folder()).digest;
    if (*expected == found) return true;
    problems_.add(
        path, "the prompts this run was begun with, digest " + *expected,
        str("digest ", found, recipe::edited_prompts(store_)), kRestore);
    return false;
  }

  const Reader& store_;
  const std::optional<std::string> report_digest_;
  const std::string public_key_;
  Verification& out_;
  ProblemList problems_;
};

// Written once the run is whole, so it must be read before the run is.
std::optional<std::string> read_report_digest(const std::string& folder) {
  const std::string path = folder + "/report.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  try {
    return json_string(parse_json(read_file(path), path), "digest", path);
  } catch (const Error& error) {
    return std::string("no digest: ") + error.what();
  }
}

// What is held by what, so that nobody takes a run for better kept than it is.
std::string evidence_text(const Verification& v) {
  const store::Evidence& evidence = v.evidence;
  if (evidence.version < 3) {
    return str("made before there were seals (store version ", evidence.version,
               "): times, thoughts, losses and what is not played again are "
               "not checked; a resume seals them as they are\n");
  }
  std::string text;
  if (evidence.made_before > 0) {
    text += str("made by store version ", evidence.made_before,
                ", sealed later: what was changed before that is not seen\n");
  }
  return text + str("chain ", evidence.chain, "; ", v.num_files, " files; ",
                    evidence.signed_by ? "signed by " + *evidence.signed_by
                                       : "not signed",
                    "\n");
}

std::string stage_line(const StageCheck& check) {
  std::string line = str("  ", check.stage, ": ", equation(check.account));
  if (check.num_beyond > 0) {
    line += str(" (and ", check.num_beyond, " under way at its end)");
  }
  return line +
         (!check.done         ? "; not done"
          : check.digest_same ? "; digest right"
                              : "; digest WRONG") +
         "\n";
}

}  // namespace

Verification verify_run(const std::string& folder,
                        const std::string& public_key) {
  Verification out;
  out.folder = folder;
  try {
    const auto store = Reader::open(folder);
    const auto report_digest = read_report_digest(folder);
    store->snapshot(
        [&] { Verifying(*store, report_digest, public_key, out).run(); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kDamaged) throw;
    out.problems.push_back({folder, "a sound run", error.what(), kRestore});
  }
  return out;
}

std::string verification_text(const Verification& v) {
  std::string text = "run " + v.folder + "\n";
  for (const StageCheck& check : v.stages) text += stage_line(check);
  text += evidence_text(v);
  text += str("played again: ", counted(v.num_replayed, "stage"),
              v.replay_end.empty() ? "" : "; " + v.replay_end, "\ndigest ",
              v.digest, "\n");
  for (const Problem& problem : v.problems) {
    text += str("PROBLEM ", problem.where, ": expected ", problem.expected,
                ", found ", problem.found, "; ", problem.advice, "\n");
  }
  return text + (v.problems.empty()
                     ? "nothing lost, nothing twice\n"
                     : counted(v.problems.size(), "problem") + "\n");
}

Json verification_json(const Verification& v) {
  Json list = Json::array();
  for (const StageCheck& check : v.stages) {
    Json rejected = Json::object();
    for (const auto& [reason, count] : check.account.rejected) {
      rejected[reason] = count;
    }
    list.push_back({{"stage", check.stage},
                    {"done", check.done},
                    {"rows", check.account.num_rows},
                    {"completions", check.account.num_completed},
                    {"kept", check.account.num_kept},
                    {"rejected", std::move(rejected)},
                    {"pending", check.account.num_pending},
                    {"beyond", check.num_beyond},
                    {"digest_same", check.digest_same}});
  }
  Json problems = Json::array();
  for (const Problem& problem : v.problems) {
    problems.push_back({{"where", problem.where},
                        {"expected", problem.expected},
                        {"found", problem.found},
                        {"advice", problem.advice}});
  }
  return {{"run", v.folder},
          {"digest", v.digest},
          {"chain", v.evidence.chain},
          {"made_before", v.evidence.made_before},
          {"signed_by", v.evidence.signed_by.value_or("")},
          {"files", v.num_files},
          {"replayed", v.num_replayed},
          {"replay_end", v.replay_end},
          {"stages", std::move(list)},
          {"problems", std::move(problems)}};
}

}  // namespace selfalign::replay
