// SPDX-License-Identifier: Apache-2.0
// A run whose models are asked at servers: real ones, of this program, which
// examples/cluster/serve.sh starts and gives the adapters to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "program.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_text.h"
#include "run_phrases.h"
#include "store/reader.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Ports that are free now.
std::vector<int> free_ports(int count) {
  std::vector<int> sockets;
  std::vector<int> ports;
  for (int i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd, generic, size) == 0) ::getsockname(fd, generic, &size);
    ports.push_back(ntohs(address.sin_port));
    sockets.push_back(fd);
  }
  for (const int fd : sockets) ::close(fd);
  return ports;
}

class FleetRun : public testing::Test, public tests::ProgramFolder {
 protected:
  FleetRun() {
    recipe::Recipe recipe = recipe::read_recipe("recipes/smollm2-demo.yaml");
    make_phrase_model(path("model"),
                      phrases_for(recipe::load_prompts(
                          recipe.prompts_folder, recipe.prompts_overlay)));
    recipe.run_folder = path("run");
    recipe.model = {};
    recipe.model.path = path("model");
    recipe.model.dtype = "float32";
    recipe.model.servers = {path("servers.txt")};
    recipe.model.num_slots = 4;
    recipe.model.max_context = 12000;
    recipe.serve.reload = "bash " + path("reload.sh");
    recipe.instruct.num_instructions = 6;
    recipe.instruct.num_red_team = 4;
    recipe.instruct.max_requests = 60;
    recipe.instruct.topics_per_type = 5;
    recipe.instruct.opening_words = 0;
    // This model's answers are of no language: all is measured, all passes.
    recipe.instruct.min_log_likelihood = -9000.0;
    for (recipe::AnswerLimits* limits :
         {&recipe.align.limits, &recipe.verbose.limits}) {
      *limits = {.min_gain = -50.0};
    }
    recipe.num_held_out = 2;
    for (TuneOptions* tune : {&recipe.engrave, &recipe.final}) {
      tune->epochs = 1;
      tune->batch_size = 4;
      tune->max_length = 1024;
      tune->warmup_steps = 1;
    }
    write_file_atomic(path("r.yaml"), recipe::recipe_to_yaml(recipe));
    std::string places;
    std::string addresses;
    for (const int port : free_ports(2)) {
      places += str("127.0.0.1:", port, " ");
      addresses += str("http://127.0.0.1:", port, "/v1\n");
    }
    write_file_atomic(path("servers.txt"), addresses);
    make_folder(path("bin"));
    fs::create_symlink(SELFALIGN_PROGRAM, path("bin/selfalign"));
    environment_ = str(
        "export PATH=", path("bin"), ":$PATH PLACES='", places,
        "' STATE=", path("state"),
        " SERVER=selfalign OPTIONS='--dtype float32 --max-context 12000'; ");
    write_file_atomic(
        path("reload.sh"),
        str("set -e\necho \"[$SELFALIGN_ADAPTER_NAME]\" >> ", path("reloads"),
            "\nbash ", serve_script(), "\n[ ! -e ", path("kill_one"),
            " ] || kill -9 $(cat ", path("state"),
            "/pid-* | head -n 1 | cut "
            "-d ' ' -f 1)\n"));
  }
  ~FleetRun() override {
    bash(environment_ + "bash " + serve_script() + " stop");
  }

  static std::string serve_script() {
    return fs::absolute("examples/cluster/serve.sh");
  }
  int selfalign(const std::string& arguments) {
    last_ = bash(environment_ + "selfalign --json " + arguments);
    return last_.code;
  }
  std::string log() const { return last_.out + last_.err; }

  tests::Outcome last_;
  std::string environment_;
};

// The command starts the servers, gives them each adapter, and one of them dies
// each time; the program is killed on the way, too.
TEST_F(FleetRun, ServersAnswerForTheBaseAndEachAdapter) {
  write_file_atomic(path("kill_one"), "");
  for (const char* seconds : {"4", "9"}) {
    bash(str(environment_, "command selfalign run r.yaml & sleep ", seconds,
             "; kill -9 $!"));
  }
  ASSERT_EQ(selfalign("run r.yaml"), 0) << log();
  const Json status = parse_json(last_.out, "stdout");
  EXPECT_EQ(status["done"], true);
  EXPECT_THAT(read_file(path("reloads")), HasSubstr("[]\n"));
  EXPECT_THAT(read_file(path("reloads")), HasSubstr("[selfalign-engraved-"));
  EXPECT_THAT(read_file(path("reloads")), HasSubstr("[selfalign-verbose-"));
  {
    const auto store = store::Reader::open(path("run"));
    EXPECT_TRUE(store->meta("probe.base"));
    EXPECT_TRUE(store->meta("probe.engraved"));
    EXPECT_THAT(*store->meta("fingerprint.engraved"),
                HasSubstr("selfalign-engraved-"));
    // Trained and scored here.
    EXPECT_THAT(*store->meta("fingerprint.base.train"), HasSubstr("local "));
  }
  ASSERT_EQ(selfalign("verify run"), 0) << log();
  EXPECT_EQ(parse_json(last_.out, "stdout")["digest"], status["digest"]);
  ASSERT_EQ(selfalign("report run"), 0) << log();
  EXPECT_THAT(read_file(path("run/report.md")),
              HasSubstr(" nats in the mean, at "));
  // A run folder's command wants a word.
  EXPECT_EQ(selfalign("resume run"), 2) << log();
  EXPECT_THAT(log(), HasSubstr("--allow-command"));
}

// Where an adapter is merged into a model of its own, and hardly changes what
// the model says, each is loaded anew when it is its turn.
TEST_F(FleetRun, MergedModelsAreNotTakenForEachOther) {
  environment_ += "export MERGE=1; ";
  ASSERT_EQ(selfalign("run r.yaml"), 0) << log();
  const std::string loaded = read_file(path("reloads"));
  std::string order;
  for (const char* name :
       {"[]", "engraved", "[]", "engraved", "verbose", "[]"}) {
    const size_t at = loaded.find(name, order.size());
    ASSERT_NE(at, std::string::npos) << loaded;
    order = loaded.substr(0, at + 1);
  }
  {
    const auto store = store::Reader::open(path("run"));
    for (const char* variant : {"base", "engraved", "verbose"}) {
      const auto rows = store->rows(str("held_out.", variant, ".answers"));
      ASSERT_FALSE(rows.empty());
      EXPECT_EQ(store->completion(rows[0].key)->fingerprint,
                *store->meta(str("fingerprint.", variant)));
    }
    EXPECT_NE(store->meta("fingerprint.base"),
              store->meta("fingerprint.engraved"));
  }
  ASSERT_EQ(selfalign("verify run"), 0) << log();
  // An evaluation has each model loaded when it is its turn, and a run folder's
  // command wants a word.
  write_file_atomic(path("q.jsonl"),
                    R"({"question_id": 1, "category": "c", "turns": ["Why?"]})"
                    "\n");
  const std::string evaluate =
      "evaluate run --questions q=q.jsonl --subjects base,engraved,verbose "
      "--temperature 0 --max-tokens 4 --price 1000000,1000000";
  EXPECT_EQ(selfalign(evaluate), 2) << log();
  EXPECT_THAT(log(), HasSubstr("--allow-command"));
  EXPECT_EQ(read_file(path("reloads")), loaded);
  // It starts the servers, too.
  bash(environment_ + "bash " + serve_script() + " stop");
  ASSERT_EQ(selfalign(evaluate + " --allow-command"), 0) << log();
  EXPECT_THAT(read_file(path("reloads")).substr(loaded.size()),
              MatchesRegex("(\\[\\]\n)?"
                           "\\[selfalign-engraved-[0-9a-f]*\\]\n"
                           "\\[selfalign-verbose-[0-9a-f]*\\]\n"));
  const Json results = parse_json(
      read_file(path("run/evaluation/results.json")), "results.json");
  EXPECT_EQ(results["subjects"].size(), 3);
  ASSERT_EQ(results["usage"].size(), 3) << results.dump();
  EXPECT_GT(results["usage"][0]["cost"].get<double>(), 3) << results.dump();
}

// Servers of another model are found out before a row is made.
TEST_F(FleetRun, AnotherModelIsRefusedWithBothValues) {
  write_file_atomic(path("reload.sh"),
                    "set -e\nexport SELFALIGN_BASE=" + path("other") +
                        "\nbash " + serve_script() + "\n");
  make_tiny_model(path("other"));
  EXPECT_EQ(selfalign("run r.yaml"), 2) << log();
  EXPECT_THAT(log(), HasSubstr("expected the base model of this run, found"));
}

}  // namespace
}  // namespace selfalign
