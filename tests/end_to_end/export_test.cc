// SPDX-License-Identifier: Apache-2.0
// Exports of a finished run of the scripted world.
#include "export/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/testing.h"
#include "formats/datasets.h"
#include "scripted_runs.h"
#include "stages/pipeline.h"
#include "store/testing.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using exports::ExportOptions;
using exports::ExportReport;
using ::testing::HasSubstr;
using ::testing::Not;

class ExportTest : public ScriptedRunsTest {
 protected:
  ExportTest() {
    recipe_ = small_recipe(path("run"));
    recipe_.model.path = path("model.gguf");
    run(recipe_);
    store_ = open("run");
    write_file_atomic(recipe_.model.path, "weights");
  }

  std::string folder(const std::string& form) const {
    return path("out/" + form);
  }
  ExportReport write(const std::string& form, const std::string& set = "") {
    return exports::export_dataset(*store_, recipe_,
                                   {set, form, folder(form), "selfalign test"});
  }
  std::string text(const std::string& form, const std::string& file) const {
    return read_file(folder(form) + "/" + file);
  }
  Json json(const std::string& form, const std::string& file) const {
    return parse_json(text(form, file), file);
  }

  recipe::Recipe recipe_;
  std::unique_ptr<store::Reader> store_;
};

TEST_F(ExportTest, EveryJsonFormHoldsTheSameFinishedPairs) {
  std::vector<formats::DatasetRow> first;
  for (const char* form : {"alpaca", "sharegpt", "messages"}) {
    const ExportReport report = write(form, "engrave");
    EXPECT_EQ(report.num_written + report.num_cut_off,
              store_->num_rows("align.pairs"));
    const auto rows = formats::read_dataset(folder(form) + "/train.jsonl");
    ASSERT_EQ(int64_t(rows.size()), report.num_written);
    if (first.empty()) first = rows;
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto& turns = rows[i].conversation.turns;
      ASSERT_EQ(turns.size(), 2u);
      EXPECT_EQ(turns[0].text, first[i].conversation.turns[0].text);
      EXPECT_EQ(turns[1].text, first[i].conversation.turns[1].text);
    }
  }
  EXPECT_EQ(first[0].conversation.turns[1].text,
            store_->row("align.pairs", 0)->content["response"]);
}

TEST_F(ExportTest, TheManifestHashesEveryInputAndOutput) {
  const ExportReport report = write("messages");
  EXPECT_EQ(report.set, "verbose");
  const Json manifest = json("messages", "manifest.json");
  std::set<std::string> listed;
  for (const Json& file : manifest["outputs"]) {
    const std::string name = file["name"];
    listed.insert(name);
    EXPECT_EQ(file["sha256"], sha256_file(folder("messages") + "/" + name));
  }
  for (const auto& entry : fs::directory_iterator(folder("messages"))) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(listed.contains(name) || name == "manifest.json") << name;
  }
  std::set<std::string> inputs;
  for (const Json& file : manifest["inputs"]) {
    const std::string name = file["name"];
    inputs.insert(name);
    const std::string path = name == "model/model.gguf"
                                 ? recipe_.model.path
                                 : recipe_.run_folder + "/" + name;
    EXPECT_EQ(file["sha256"], sha256_file(path)) << name;
    EXPECT_EQ(file["bytes"], fs::file_size(path));
  }
  EXPECT_TRUE(inputs.contains("recipe.resolved.yaml"));
  EXPECT_TRUE(inputs.contains("prompts/principles.yaml"));
  EXPECT_TRUE(inputs.contains("model/model.gguf"));
  EXPECT_EQ(manifest["run"]["digest"], store_->run_digest());
  EXPECT_EQ(manifest["run"]["stages"].size(), store_->manifests().size());
  EXPECT_EQ(manifest["program"], "selfalign test");
}

TEST_F(ExportTest, AModelThatIsGoneIsMarked) {
  fs::remove(recipe_.model.path);
  write("messages");
  EXPECT_THAT(text("messages", "manifest.json"),
              HasSubstr("\"missing\": true"));
}

TEST_F(ExportTest, TheCardSaysHowItWasMade) {
  write("sharegpt");
  const std::string card = text("sharegpt", "README.md");
  const size_t end = card.find("\n---\n");
  ASSERT_NE(end, std::string::npos);
  const YAML::Node header = YAML::Load(card.substr(4, end - 4));
  EXPECT_EQ(header["license"].Scalar(), "unknown");
  EXPECT_EQ(header["size_categories"][0].Scalar(), "n<1K");
  EXPECT_EQ(header["configs"][0]["data_files"][0]["path"].Scalar(),
            "train.jsonl");
  for (const std::string& part :
       {std::string("| align.answers | 20 |"), store_->run_digest(),
        std::string("1. **ethical**: Sage "), std::string("no_answer"),
        std::string("max_new_tokens: 70"), std::string("model.gguf"),
        std::string("## Known limits")}) {
    EXPECT_THAT(card, HasSubstr(part));
  }
  EXPECT_EQ(card.find(ScriptedRuns::folder()),
            std::string::npos);  // no places of this machine
}

TEST_F(ExportTest, TheStanzasFitTheForm) {
  for (const char* form : {"alpaca", "sharegpt", "messages", "parquet"}) {
    write(form);
    const Json entry = json(form, "dataset_info.json")["small-verbose"];
    const std::string file = entry["file_name"];
    EXPECT_TRUE(fs::exists(folder(form) + "/" + file));
    const YAML::Node axolotl =
        YAML::Load(text(form, "axolotl.yaml"))["datasets"][0];
    EXPECT_EQ(axolotl["path"].Scalar(), file);
    if (std::string(form) == "parquet") {
      EXPECT_EQ(axolotl["ds_type"].Scalar(), "parquet");
      EXPECT_EQ(entry["columns"]["messages"], "messages");
      continue;
    }
    // Every name that a stanza gives is in the data's first row.
    const std::string lines = text(form, file);
    const Json row = parse_json(lines.substr(0, lines.find('\n')), file);
    for (const auto& [_, column] : entry["columns"].items()) {
      EXPECT_TRUE(row.contains(column.get<std::string>())) << column;
    }
    if (!entry.contains("tags")) continue;
    const Json& turn = row[axolotl["field_messages"].Scalar()][0];
    EXPECT_EQ(turn[entry["tags"]["role_tag"].get<std::string>()],
              entry["tags"]["user_tag"]);
    const YAML::Node names = axolotl["message_property_mappings"];
    EXPECT_TRUE(turn.contains(names["role"].Scalar()));
    EXPECT_TRUE(turn.contains(names["content"].Scalar()));
    EXPECT_EQ(axolotl["roles"]["user"][0].Scalar(),
              entry["tags"]["user_tag"].get<std::string>());
  }
}

TEST_F(ExportTest, PyarrowReadsTheTable) {
  const std::string reader = ".deps/pyarrow";
  if (!fs::exists(reader)) {
    GTEST_SKIP() << reader << " is not there; ./dev test fetches it";
  }
  const ExportReport report = write("parquet", "engrave");
  EXPECT_EQ(report.num_written, store_->num_rows("align.pairs"));
  const std::string script = path("read.py");
  write_file_atomic(script,
                    "import json,sys,pyarrow.parquet as p\n"
                    "json.dump(p.read_table(sys.argv[1]).to_pylist(),"
                    "open(sys.argv[2],'w'))\n");
  ASSERT_EQ(
      std::system(("PYTHONPATH=" + reader + " python3 " + script + " " +
                   folder("parquet") + "/train.parquet " + path("rows.json"))
                      .c_str()),
      0);
  const Json rows = parse_json(read_file(path("rows.json")), "rows");
  const auto pairs = store_->rows("align.pairs");
  ASSERT_EQ(rows.size(), pairs.size());
  std::set<std::string> types;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Json& content = pairs[i].content;
    EXPECT_EQ(rows[i]["instruction"], content["instruction"]);
    EXPECT_EQ(rows[i]["response"], content["response"]);
    EXPECT_EQ(rows[i]["rules"], content["rules"]);
    EXPECT_EQ(rows[i]["ends"], content["ends"]);
    EXPECT_EQ(rows[i]["stage"], "align.pairs");
    EXPECT_EQ(rows[i]["messages"][1]["content"], content["response"]);
    types.insert(rows[i]["type"].get<std::string>());
  }
  EXPECT_TRUE(types.contains("self-instruct"));
  EXPECT_GT(types.size(), 1u);
}

// Advice that helps: to go on is none for a run that has no more to do.
TEST_F(ExportTest, ARunWithoutSuchRowsIsToldWhy) {
  const auto refusal = [this](const std::string& name,
                              std::vector<std::string> stages) {
    recipe::Recipe recipe = recipe_;
    recipe.run_folder = path(name);
    recipe.stages = std::move(stages);
    recipe.data.path = recipe.has("tune") ? path("given.jsonl") : "";
    const auto store = stages::open_run(recipe);
    const Error error = error_of([&] {
      exports::export_dataset(*store, recipe,
                              {"", "messages", folder("m"), "test"});
    });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_FALSE(fs::exists(folder("m")));
    return std::string(error.what());
  };
  const std::string tuned = refusal("t", {"tune"});
  EXPECT_THAT(tuned, HasSubstr("tuned on data that were given"));
  EXPECT_THAT(tuned, HasSubstr(path("given.jsonl")));
  EXPECT_THAT(tuned, Not(HasSubstr("resume")));
  const std::string prompted = refusal("p", {});
  EXPECT_THAT(prompted, HasSubstr("the recipe's stages do not make them"));
  EXPECT_THAT(prompted, Not(HasSubstr("resume")));
  EXPECT_THAT(refusal("a", {"instruct", "align"}),
              HasSubstr("let the run go on with: selfalign resume"));
}

TEST_F(ExportTest, ARunThatAnotherHandChangedIsNotExported) {
  store::edit_store(path("run"), "UPDATE completions SET thought = 'other'");
  EXPECT_EQ(kind_of([&] { write("alpaca"); }), ErrorKind::kDamaged);
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(ExportTest, WhatALinkLeadsToIsNotExported) {
  const std::string tuning = path("run/verbose");
  const std::string elsewhere = path("elsewhere");
  make_folder(elsewhere + "/adapter");
  write_file_atomic(elsewhere + "/adapter/chat_template.jinja", "secret");
  fs::remove(tuning + "/adapter/chat_template.jinja");
  fs::create_symlink(elsewhere + "/adapter/chat_template.jinja",
                     tuning + "/adapter/chat_template.jinja");
  EXPECT_EQ(kind_of([&] { write("alpaca"); }), ErrorKind::kDamaged);
  fs::remove_all(tuning);
  fs::create_directory_symlink(elsewhere, tuning);
  EXPECT_EQ(kind_of([&] { write("alpaca"); }), ErrorKind::kDamaged);
  EXPECT_FALSE(fs::exists(folder("alpaca")));
}

TEST_F(ExportTest, RefusesWhatIsThereAndWhatIsUnknown) {
  write("messages");
  EXPECT_THROW(write("messages"), Error);
  EXPECT_THROW(write("csv"), Error);
  EXPECT_THROW(write("alpaca", "final"), Error);
  EXPECT_FALSE(fs::exists(folder("alpaca")));
  // What a killed export left is not in the way.
  make_folder(folder("alpaca") + ".partial");
  write_file_atomic(folder("alpaca") + ".partial/half", "x");
  // Known by its mark; without one it is somebody's.
  EXPECT_EQ(kind_of([&] { write("alpaca"); }), ErrorKind::kUsage);
  EXPECT_TRUE(is_file(folder("alpaca") + ".partial/half"));
  write_file_atomic(folder("alpaca") + ".partial/.selfalign-partial", "");
  write("alpaca");
  EXPECT_FALSE(fs::exists(folder("alpaca") + "/half"));
}

}  // namespace
}  // namespace selfalign::tests
