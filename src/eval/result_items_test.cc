// SPDX-License-Identifier: Apache-2.0
#include "eval/result_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "eval/item_log.h"
#include "eval/questions.h"
#include "eval/testing.h"
#include "judge/judged_answers.h"
#include "report/tables.h"

namespace selfalign::eval {
namespace {

using ::testing::HasSubstr;

class ResultItemsTest : public testing::Test {
 protected:
  ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
};

// What `evaluate` does with one subject and Vicuna's questions, of which there
// are two here.
class Vicuna {
 public:
  explicit Vicuna(std::string folder) : folder_(std::move(folder)) {
    const std::string data = folder_ + "/data/vicuna_bench";
    make_folder(data);
    write_file_atomic(data + "/question.jsonl",
                      R"({"question_id": 1, "category": "x", "turns": ["Why?"]}
{"question_id": 2, "category": "x", "turns": ["How?"]}
)");
    options_.data_folder = folder_ + "/data";
    subject_.name = "base";
    subject_.generator = &model_;
    subject_.form = std::make_shared<PlainForm>();
  }

  // A model that answers `answer`, drawn by `seed`.
  TaskResult ask(const std::string& answer, uint64_t seed, int64_t limit = 0) {
    model_.answer = [answer](const std::string&) { return answer; };
    options_.seed = seed;
    options_.limit = limit;
    ItemLog log(folder_ + "/items/base/vicuna.jsonl");
    TaskResult result = run_vicuna(subject_, log, options_);
    result.items = "items/base/vicuna.jsonl";
    result.keys = log.take_used();
    return result;
  }
  int num_asked() const { return model_.num_asked; }

 private:
  std::string folder_;
  ScoringModel model_;
  Subject subject_;
  TaskOptions options_;
};

TEST_F(ResultItemsTest, OfALogOfTwoSettingsOnlyTheResultsOwn) {
  Vicuna vicuna(folder_);
  const TaskResult first = vicuna.ask("of seed 1", 1);
  const TaskResult second = vicuna.ask("of seed 2", 2);
  ASSERT_EQ(vicuna.num_asked(), 4);
  // The first again: nothing is asked, and its items are not the last ones.
  const TaskResult again = vicuna.ask("never", 1);
  ASSERT_EQ(vicuna.num_asked(), 4);
  EXPECT_EQ(again.keys, first.keys);
  EXPECT_EQ(first.keys.size(), 2u);
  const auto answers = [&](const TaskResult& result) {
    std::string found;
    for (const judge::JudgedAnswer& one :
         judge::read_answers(folder_, {{}, {result}, {}}, "vicuna", "base")) {
      found += one.id + " " + one.answers.at(0) + ", ";
    }
    return found;
  };
  EXPECT_EQ(answers(again), "1 of seed 1, 2 of seed 1, ");
  EXPECT_EQ(answers(second), "1 of seed 2, 2 of seed 2, ");
  const auto tables = report::items_by_task(folder_, {{}, {again}, {}, {}}, 9);
  const report::ShownItems& shown = *find_named(tables, "vicuna");
  EXPECT_EQ(shown.num_items, 2);
  EXPECT_EQ(find_named(shown.items.at(0).answers, "base")->answer, "of seed 1");
  // Of fewer questions there are fewer, whatever the log holds.
  const TaskResult fewer = vicuna.ask("never", 2, 1);
  EXPECT_EQ(read_items(folder_, fewer).size(), 1u);
  TaskResult kept = from_json<TaskResult>(to_json(fewer), "here");
  EXPECT_EQ(kept.keys, fewer.keys);
  // A result that names no keys is of an older version.
  kept.keys.clear();
  EXPECT_EQ(answers(kept), "1 of seed 2, 2 of seed 2, ");
}

TEST_F(ResultItemsTest, KeysAreHexDigits) {
  TaskResult result;
  result.keys = {1, 0xfedcba9876543210u};
  Json json = to_json(result);
  EXPECT_EQ(json["keys"], (Json{"0000000000000001", "fedcba9876543210"}));
  for (const Json& bad : {Json("1"), Json(1), Json("000000000000000G")}) {
    json["keys"] = Json::array({bad});
    EXPECT_THROW(from_json<TaskResult>(json, "here"), Error) << bad;
  }
}

TEST_F(ResultItemsTest, ACutLineIsNoneAndADamagedOneIsNamed) {
  TaskResult result;
  result.items = "items/mc.jsonl";
  const std::string path = folder_ + "/" + result.items;
  ItemLog(path).add(1, Json{{"id", "q0"}});
  std::ofstream(path, std::ios::app)
      << R"({"key": "000000000000000a", "item": {"id": "q5", "sco)";
  EXPECT_EQ(read_items(folder_, result).size(), 1u);
  std::ofstream(path, std::ios::app) << "\n";
  EXPECT_THAT(
      refusal_of([&] { read_items(folder_, result); }, ErrorKind::kDamaged),
      HasSubstr("mc.jsonl:2"));
}

TEST_F(ResultItemsTest, AJudgesLogHoldsSeveralSubjectsAndTasks) {
  ItemLog log(folder_ + "/judgements/j.jsonl");
  auto say = [&log, key = uint64_t(0)](const char* subject, const char* task,
                                       const char* kind, int turn,
                                       Json verdict) mutable {
    log.add(++key, Json{{"id", "q"},
                        {"group", "math"},
                        {"kind", kind},
                        {"turn", turn},
                        {"task", task},
                        {"subject", subject},
                        {"text", "Rating"},
                        {"verdict", verdict}});
  };
  say("base", "mt_bench", "single", 1, 3);
  say("base", "mt_bench", "single", 2, 5);
  say("base", "vicuna", "single", 1, 9);
  say("verbose", "mt_bench", "single", 1, 8);
  say("base", "mt_bench", "identical", 1, "tie");
  say("base", "mt_bench", "truthful", 1, true);
  say("base", "mt_bench", "informative", 1, nullptr);
  log.add(90, Json{{"kind", "pair"}, {"id", "q"}, {"a", "x"}, {"b", "y"}});
  TaskResult result;
  result.task = "mt_bench.judge";
  result.subject = "base";
  result.items = "judgements/j.jsonl";
  const auto items = read_items(folder_, result);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["group"], "math");
  EXPECT_EQ(items[0]["scores"],
            (Json{{"single", 3}, {"single of turn 2", 5}, {"truthful", 1}}));
}

TEST_F(ResultItemsTest, ItemsLieInTheFolder) {
  for (const char* place : {"../items.jsonl", "/etc/passwd", "a/../../b"}) {
    TaskResult result;
    result.items = place;
    EXPECT_THROW(read_items(folder_, result), Error) << place;
  }
}

// A figure without its items is no figure: it is never passed over.
TEST_F(ResultItemsTest, LostItemsAreDamage) {
  TaskResult result;
  result.items = "items/mc.jsonl";
  result.keys = {1, 2};
  const auto said = [&] {
    return refusal_of([&] { read_items(folder_, result); },
                      ErrorKind::kDamaged);
  };
  EXPECT_THAT(said(), HasSubstr("items/mc.jsonl: expected the items that "
                                "figures in "));
  EXPECT_THAT(said(), HasSubstr("found no file"));
  ItemLog log(folder_ + "/items/mc.jsonl");
  EXPECT_THAT(said(), HasSubstr("found 0 of 2"));
  log.add(2, Json{{"id", "q2"}});
  EXPECT_THAT(said(), HasSubstr("found 1 of 2"));
  log.add(1, Json{{"id", "q1"}});
  EXPECT_EQ(said(), "no error");
}

}  // namespace
}  // namespace selfalign::eval
