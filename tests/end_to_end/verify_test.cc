// Every kind of damage to a run is found and named by verify.
#include "stages/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "scripted_runs.h"
#include "stages/pipeline.h"
#include "store/testing.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class VerifyRunTest : public ScriptedRunsTest {
 protected:
  void make_run() { run(small_recipe(run_)); }

  void exec(const std::string& sql) const { store::edit_store(run_, sql); }

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
  }

  // Damages a copy of the run; true if a problem at `where` says `found`.
  testing::AssertionResult finds(const std::string& where,
                                 const std::string& found,
                                 const std::function<void()>& damage) {
    fs::copy(run_, run_ + ".sound", fs::copy_options::recursive);
    damage();
    const stages::Verification verification = stages::verify_run(run_);
    fs::remove_all(run_);
    fs::rename(run_ + ".sound", run_);
    for (const store::Problem& problem : verification.problems) {
      if (problem.where.find(where) != std::string::npos &&
          problem.found.find(found) != std::string::npos) {
        return testing::AssertionSuccess();
      }
    }
    return testing::AssertionFailure()
           << stages::verification_text(verification);
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
  const stages::Verification verification = stages::verify_run(run_);
  EXPECT_TRUE(verification.problems.empty())
      << stages::verification_text(verification);
  EXPECT_EQ(verification.num_replayed, int(store->manifests().size()));
  EXPECT_EQ(verification.replay_end, "");
  EXPECT_EQ(verification.digest, store->run_digest());
  const std::string text = stages::verification_text(verification);
  EXPECT_THAT(text, HasSubstr("align.answers: 20 rows = "));
  EXPECT_THAT(text, HasSubstr(" + 0 pending"));
  EXPECT_THAT(text, HasSubstr("nothing lost, nothing twice"));
  const Json json = stages::verification_json(verification);
  EXPECT_EQ(json["problems"].size(), 0u);
  EXPECT_EQ(json["stages"][0]["rows"], 175);
}

TEST_F(VerifyRunTest, AWriterAtWorkIsNoProblem) {
  const stages::Recipe recipe = small_recipe(run_);
  ScriptedWorkbench workbench({});
  const auto store = stages::open_run(recipe);
  int commits = 0, num_checked = 0;
  store->set_commit_hook([&] {
    if (++commits % 9 != 0) return;
    const stages::Verification verification = stages::verify_run(run_);
    EXPECT_TRUE(verification.problems.empty())
        << stages::verification_text(verification);
    EXPECT_EQ(verification.num_replayed, int(store->manifests().size()));
    ++num_checked;
  });
  run_pipeline(recipe, workbench, *store);
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
  const stages::Verification verification = stages::verify_run(run_);
  EXPECT_TRUE(verification.problems.empty())
      << stages::verification_text(verification);
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
  EXPECT_TRUE(finds(run_, "run.db", [&] {
    fs::resize_file(run_ + "/run.db", fs::file_size(run_ + "/run.db") / 2);
  }));
}

}  // namespace
}  // namespace selfalign::tests
