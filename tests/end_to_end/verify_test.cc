// SPDX-License-Identifier: Apache-2.0
// Every kind of damage to a run is found and named by verify.
#include "replay/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "replay/fork.h"
#include "replay/whole_run.h"
#include "report/report.h"
#include "scripted_runs.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"
#include "store/seals.h"
#include "store/signing.h"
#include "store/sqlite.h"
#include "store/testing.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class VerifyRunTest : public ScriptedRunsTest {
 protected:
  void make_run() {
    run(small_recipe(run_));
    report::write_report(run_);
  }

  void exec(const std::string& sql) const { store::edit_store(run_, sql); }

  // What another hand can do that knows the program: seals and chain that agree
  // with what is there now.
  void seal_again() const {
    store::make_older(run_, 2);
    store::Store::open(run_);
  }

  // A manifest that agrees with the rows as they are now.
  void commit_again(const std::string& stage) {
    std::string digest;
    {
      const auto store = open("run");
      const store::Manifest manifest = store->manifest(stage).value();
      digest = store->digest(
          stage, json_string_or(manifest.report, "filter", stage, ""),
          manifest.num_rows);
    }
    exec("UPDATE manifests SET digest = '" + digest + "' WHERE stage = '" +
         stage + "'");
    fs::remove(run_ + "/report.json");
    seal_again();
  }

  // Damages a copy of the run; true if a problem at `where` says `found`.
  testing::AssertionResult finds(const std::string& where,
                                 const std::string& found,
                                 const std::function<void()>& damage) {
    fs::copy(run_, run_ + ".sound", fs::copy_options::recursive);
    damage();
    const replay::Verification verification = replay::verify_run(run_);
    fs::remove_all(run_);
    fs::rename(run_ + ".sound", run_);
    for (const store::Problem& problem : verification.problems) {
      if (problem.where.find(where) != std::string::npos &&
          problem.found.find(found) != std::string::npos) {
        return testing::AssertionSuccess();
      }
    }
    return testing::AssertionFailure()
           << replay::verification_text(verification);
  }

  const std::string run_ = path("run");
};

// Of row `seq` of a stage.
std::string key_of(const std::string& stage, int seq) {
  return "(SELECT key FROM rows WHERE stage = '" + stage +
         "' AND seq = " + std::to_string(seq) + ")";
}

TEST_F(VerifyRunTest, ASoundRunIsPlayedAgainToTheSameDigests) {
  make_run();
  const auto store = open("run");
  const replay::Verification verification = replay::verify_run(run_);
  EXPECT_TRUE(verification.problems.empty())
      << replay::verification_text(verification);
  EXPECT_EQ(verification.num_replayed, int(store->manifests().size()));
  EXPECT_EQ(verification.replay_end, "");
  EXPECT_EQ(verification.digest, store->run_digest());
  const std::string text = replay::verification_text(verification);
  EXPECT_THAT(text, HasSubstr("align.answers: 20 rows = "));
  EXPECT_THAT(text, HasSubstr(" + 0 pending"));
  EXPECT_THAT(text, HasSubstr("nothing lost, nothing twice"));
  const Json json = replay::verification_json(verification);
  EXPECT_EQ(json["problems"].size(), 0u);
  EXPECT_EQ(json["stages"][0]["rows"], 175);
}

TEST_F(VerifyRunTest, AWriterAtWorkIsNoProblem) {
  const recipe::Recipe recipe = small_recipe(run_);
  ScriptedWorkbench workbench({});
  const auto store = stages::open_run(recipe);
  int commits = 0, num_checked = 0;
  store->set_commit_hook([&] {
    if (++commits % 9 != 0) return;
    const replay::Verification verification = replay::verify_run(run_);
    EXPECT_TRUE(verification.problems.empty())
        << replay::verification_text(verification);
    EXPECT_EQ(verification.num_replayed, int(store->manifests().size()));
    ++num_checked;
  });
  replay::run_to_end(recipe, workbench, *store);
  EXPECT_GT(num_checked, 4);
}

TEST_F(VerifyRunTest, DamagedRowsAreFound) {
  make_run();
  const auto sql = [this](const std::string& text) {
    return [this, text] { exec(text); };
  };
  EXPECT_TRUE(finds("align.answers", "digest",
                    sql("UPDATE completions SET text = text || '.' WHERE key "
                        "= " +
                        key_of("align.answers", 3))));
  EXPECT_TRUE(finds("align.answers", "none of 1 of 20",
                    sql("DELETE FROM completions WHERE key = " +
                        key_of("align.answers", 3))));
  EXPECT_TRUE(finds(
      "align.answers", "1 pending",
      sql("DELETE FROM verdicts WHERE key = " + key_of("align.answers", 3))));
  EXPECT_TRUE(finds("instruct.tasks", "rows = ",
                    sql("UPDATE verdicts SET reason = 'other' WHERE key IN "
                        "(SELECT key FROM rows WHERE stage = "
                        "'instruct.tasks') AND kept = 0")));
  EXPECT_TRUE(finds("align.pairs:", "rejected",
                    sql("UPDATE verdicts SET kept = 0, reason = 'x' WHERE key "
                        "= (SELECT parent FROM parents WHERE key = " +
                        key_of("align.pairs", 2) + ")")));
  EXPECT_TRUE(finds("engrave.samples", "numbered",
                    sql("UPDATE rows SET seq = 9999 WHERE key = " +
                        key_of("engrave.samples", 1))));
  EXPECT_TRUE(finds("align.pairs", "1 more",
                    sql("INSERT INTO rows SELECT 5, 'align.pairs', COUNT(*), "
                        "'{}' FROM rows WHERE stage = 'align.pairs'")));
  EXPECT_TRUE(finds("verbose.pairs", "digest",
                    sql("UPDATE manifests SET digest = 'd' WHERE stage = "
                        "'verbose.pairs'")));
  EXPECT_TRUE(finds("redteam.topics", "kept",
                    sql("UPDATE manifests SET num_kept = num_kept + 1 WHERE "
                        "stage = 'redteam.topics'")));
  EXPECT_TRUE(finds("report.json", "",
                    sql("DELETE FROM manifests WHERE stage = "
                        "'held_out.verbose.pairs'")));
}

// The digests agree with the rows, but not with what they come from.
TEST_F(VerifyRunTest, RowsThatNobodyMadeAreFoundByPlayingAgain) {
  make_run();
  EXPECT_TRUE(finds("align.pairs", "another row align.pairs:2", [&] {
    exec(
        "UPDATE rows SET content = replace(content, 'The', 'THE') WHERE key "
        "= " +
        key_of("align.pairs", 2));
    commit_again("align.pairs");
  }));
  EXPECT_TRUE(finds("instruct.requests", "no completion of row", [&] {
    exec(
        "PRAGMA foreign_keys=OFF; UPDATE completions SET key = 77 WHERE key "
        "= " +
        key_of("instruct.requests", 0) +
        "; UPDATE parents SET key = 77 WHERE key = " +
        key_of("instruct.requests", 0) +
        "; UPDATE parents SET parent = 77 WHERE parent = " +
        key_of("instruct.requests", 0) +
        "; UPDATE rows SET key = 77 WHERE key = " +
        key_of("instruct.requests", 0));
    commit_again("instruct.requests");
    commit_again("instruct.tasks");
  }));
  EXPECT_TRUE(finds("engrave.adapter", "no adapter", [&] {
    exec(
        "UPDATE manifests SET report = replace(report, '\"inputs\":\"', "
        "'\"inputs\":\"0') WHERE stage = 'engrave.adapter'");
    seal_again();
  }));
}

// A program whose filters decide otherwise cannot play the run again.
TEST_F(VerifyRunTest, OtherVersionsOfAFilterAreNoDamage) {
  make_run();
  const auto store = open("run");
  const std::string now = json_string(store->manifest("align.answers")->report,
                                      "filter", "align.answers");
  exec("UPDATE verdicts SET filter = 'align.old.0' WHERE filter = '" + now +
       "'; UPDATE manifests SET report = replace(report, '" + now +
       "', 'align.old.0')");
  commit_again("align.answers");
  commit_again("held_out.prompted.answers");
  const replay::Verification verification = replay::verify_run(run_);
  EXPECT_TRUE(verification.problems.empty())
      << replay::verification_text(verification);
  EXPECT_THAT(verification.replay_end, HasSubstr("was judged by align.old.0"));
}

TEST_F(VerifyRunTest, DamagedFilesAreFound) {
  make_run();
  EXPECT_TRUE(finds("engraved/adapter/digest", "digest ", [&] {
    write_file_atomic(run_ + "/engraved/adapter/digest", "other");
  }));
  EXPECT_TRUE(finds("verbose/adapter/digest", "no such file",
                    [&] { fs::remove(run_ + "/verbose/adapter/digest"); }));
  EXPECT_TRUE(finds("/prompts", "prompts/principles.yaml", [&] {
    replace("run/prompts/principles.yaml", "helpful", "useful");
  }));
  EXPECT_TRUE(finds("prompts", "meta.yaml",
                    [&] { fs::remove(run_ + "/prompts/meta.yaml"); }));
  EXPECT_TRUE(finds("recipe.resolved.yaml", "(was 4e-04, is 3e-04)", [&] {
    replace("run/recipe.resolved.yaml", "learning_rate: 4e-04",
            "learning_rate: 3e-04");
  }));
  EXPECT_TRUE(finds("recipe.resolved.yaml", "recipe.resolved.yaml",
                    [&] { fs::remove(run_ + "/recipe.resolved.yaml"); }));
  EXPECT_TRUE(finds("report.json", "0000", [&] {
    write_file_atomic(run_ + "/report.json", "{\"digest\": \"0000\"}");
  }));
  // Whatever run.db names: changed, missing, unknown, no plain file.
  for (const char* name : {"prompts/meta.yaml", "engraved/adapter/digest",
                           "report.txt", "report.json"}) {
    const std::string path = run_ + "/" + name;
    EXPECT_TRUE(finds(name, "SHA-256", [&] {
      write_file_atomic(path, read_file(path) + "\n");
    }));
    EXPECT_TRUE(finds(name, "no such file", [&] { fs::remove(path); }));
    EXPECT_TRUE(finds(name, "a link", [&] {
      fs::rename(path, run_ + "/moved");
      fs::create_symlink(run_ + "/moved", path);
    }));
  }
  for (const char* name : {"prompts/more.yaml", "verbose/adapter/more"}) {
    EXPECT_TRUE(finds(name, "another one",
                      [&] { write_file_atomic(run_ + "/" + name, "more"); }));
  }
  // Of a tuning that this run has none of.
  EXPECT_TRUE(finds("tuned/metrics.jsonl", "another one", [&] {
    make_folder(run_ + "/tuned");
    write_file_atomic(run_ + "/tuned/metrics.jsonl", "{}");
  }));
  for (const char* name : {"prompts/more", "verbose/adapter/more"}) {
    EXPECT_TRUE(finds(name, "another folder", [&] {
      fs::create_directories(run_ + "/" + name + "/deep");
    }));
  }
  EXPECT_TRUE(finds("adapter", "a link", [&] {
    fs::rename(run_ + "/engraved", run_ + "/moved");
    fs::create_directory_symlink(run_ + "/moved", run_ + "/engraved");
  }));
  EXPECT_TRUE(finds("/etc/passwd", "a path out of the folder", [&] {
    exec("INSERT INTO files VALUES ('../../etc/passwd', '')");
  }));
  EXPECT_TRUE(finds(run_, "run.db", [&] {
    fs::resize_file(run_ + "/run.db", fs::file_size(run_ + "/run.db") / 2);
  }));
}

// Values that nothing is computed from, as those that are.
TEST_F(VerifyRunTest, AnyChangeBySqlIsFound) {
  make_run();
  {  // In no digest, as older runs have one of the other profile.
    const auto store = store::Store::open(run_);
    const uint64_t key = store->row("align.answers", 0).value().key;
    store->set_verdicts({{key, "align.paper.1", true, "", ""}});
  }
  for (const char* sql :
       {"UPDATE manifests SET report = replace(report, '.', '.0') WHERE stage "
        "= "
        "'engrave.adapter'",
        "UPDATE manifests SET report = replace(report, '.', '.1') WHERE stage "
        "LIKE '%.loss'",
        "UPDATE completions SET logprob = -1, num_tokens = 1, time_s = 0, "
        "num_prompt_tokens = 7",
        "UPDATE completions SET fingerprint = 'other model'",
        "UPDATE completions SET thought = 'tampered' WHERE thought <> ''",
        "UPDATE verdicts SET reason = 'x', detail = 'y' WHERE filter LIKE "
        "'%paper%'",
        "UPDATE verdicts SET kept = 1 - kept WHERE filter LIKE '%paper%'",
        "UPDATE verdicts SET detail = 'z'",
        "UPDATE completions SET text = 'tampered' WHERE key IN (SELECT r.key "
        "FROM rows r JOIN manifests m ON m.stage = r.stage WHERE r.seq >= "
        "m.num_rows)",
        "UPDATE meta SET value = value || ' ' WHERE name LIKE 'work.%'",
        "UPDATE meta SET value = value || ' ' WHERE name NOT LIKE 'prompts%'",
        "CREATE TRIGGER t AFTER INSERT ON completions BEGIN DELETE FROM rows; "
        "END",
        "DELETE FROM manifests WHERE stage = 'held_out.verbose.pairs'",
        "INSERT INTO stages VALUES ('more', 99)",
        "INSERT INTO rows VALUES (5, 'more', 0, '{}')"}) {
    EXPECT_TRUE(finds("", "", [&] { exec(sql); })) << sql;
  }
}

// A fork helps where a file of a tuning is damaged, and takes nothing from
// tables that were changed.
TEST_F(VerifyRunTest, AForkIsAdvisedWhereItHelps) {
  make_run();
  const auto advice = [&](const std::function<void()>& damage) {
    fs::copy(run_, run_ + ".sound", fs::copy_options::recursive);
    damage();
    std::string all;
    for (const store::Problem& problem : replay::verify_run(run_).problems) {
      all += problem.advice + "\n";
    }
    fs::remove_all(run_);
    fs::rename(run_ + ".sound", run_);
    return all;
  };
  EXPECT_THAT(advice([&] {
                write_file_atomic(run_ + "/verbose/adapter/digest", "other");
              }),
              HasSubstr("--fork"));
  for (const std::string& found :
       {advice([&] { exec("UPDATE completions SET text = 'tampered'"); }),
        advice([&] { exec("UPDATE meta SET value = 'x: 1'"); }),
        advice([&] { fs::remove(run_ + "/prompts/meta.yaml"); })}) {
    EXPECT_THAT(found, HasSubstr("restore"));
    EXPECT_THAT(found, Not(HasSubstr("--fork")));
  }
}

TEST_F(VerifyRunTest, HowFarARunHasComeIsSaid) {
  run_until(small_recipe(run_), [](store::Store& store) {
    return store.num_completions("align.answers") > 0;
  });
  const replay::Verification found = replay::verify_run(run_);
  EXPECT_TRUE(found.problems.empty()) << replay::verification_text(found);
  EXPECT_THAT(found.replay_end,
              HasSubstr("the run is not done and goes no further (no "
                        "completion of row"));
}

TEST_F(VerifyRunTest, DoneIsWhatTheStoreSays) {
  make_run();
  fs::remove(run_ + "/report.json");
  EXPECT_TRUE(stages::run_done(*open("run")));
  exec("DELETE FROM meta WHERE name = 'done'");
  write_file_atomic(run_ + "/report.json", "{}");
  EXPECT_FALSE(stages::run_done(*open("run")));
  // As before there was such an entry.
  store::make_older(run_, 2);
  EXPECT_TRUE(stages::run_done(*open("run")));
}

TEST_F(VerifyRunTest, ASignatureIsAskedFor) {
  make_run();
  const std::string path = this->path("key.pem");
  write_file_atomic(path, store::kSigningKey);
  fs::permissions(path, fs::perms(0600));
  const auto key = std::make_shared<const store::SigningKey>(path);
  const auto found = [&](const std::string& public_key) {
    const auto all = replay::verify_run(run_, public_key).problems;
    return all.empty() ? "" : all[0].found;
  };
  EXPECT_EQ(found(key->public_key()), "none");
  const auto unsigned_yet = replay::verify_run(run_, key->public_key());
  EXPECT_EQ(unsigned_yet.replay_end, "");
  EXPECT_GT(unsigned_yet.num_replayed, 0);
  store::Store::open(run_)->set_signing_key(key);
  EXPECT_EQ(found(key->public_key()), "");
  EXPECT_EQ(found(""), "");
  EXPECT_EQ(found(std::string(64, '0')), "one by " + key->public_key());
  const auto text = [&] {
    return replay::verification_text(replay::verify_run(run_));
  };
  EXPECT_THAT(text(), HasSubstr("signed by " + key->public_key()));
  // Changed, and sealed and chained again, with the signature that there was.
  const std::string signature = [&] {
    store::Database db(run_ + "/run.db", false);
    store::Statement query(db, "SELECT signature FROM signatures");
    return query.step() ? query.get_text(0) : "";
  }();
  exec("UPDATE completions SET thought = 'other'");
  seal_again();
  EXPECT_EQ(found(key->public_key()), "none");
  exec("INSERT INTO signatures VALUES ('" + key->public_key() + "', '" +
       signature + "')");
  EXPECT_THAT(found(key->public_key()), HasSubstr("where nobody signed"));
  exec("INSERT INTO meta VALUES ('store.signer', '" + key->public_key() +
       "'); DELETE FROM seals");
  store::Seals().make(store::Database(run_ + "/run.db", true));
  EXPECT_EQ(found(key->public_key()), "something else");
}

TEST_F(VerifyRunTest, NothingIsTakenOverFromAChangedRun) {
  make_run();
  exec("UPDATE completions SET text = 'tampered'");
  recipe::Recipe recipe = small_recipe(path("fork"));
  EXPECT_EQ(kind_of([&] { replay::open_fork(recipe, run_, ""); }),
            ErrorKind::kDamaged);
}

// What a run of an older program is held by is said with it.
TEST_F(VerifyRunTest, AnOlderRunIsCheckedAsFarAsItCanBe) {
  make_run();
  store::make_older(run_, 2);
  const auto old = replay::verify_run(run_);
  EXPECT_TRUE(old.problems.empty()) << replay::verification_text(old);
  EXPECT_THAT(replay::verification_text(old),
              HasSubstr("made before there were seals (store version 2)"));
  store::Store::open(run_);
  const auto sealed = replay::verify_run(run_);
  EXPECT_TRUE(sealed.problems.empty()) << replay::verification_text(sealed);
  EXPECT_THAT(replay::verification_text(sealed), HasSubstr("sealed later"));
}

}  // namespace
}  // namespace selfalign::tests
