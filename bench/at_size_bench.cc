// SPDX-License-Identifier: Apache-2.0
// A run of the paper's size, or of a share of it, on a simulated model
// (simulated_world.h) with everything else as it is: stages, filters, search
// for duplicates, store, report. The run is killed (SIGKILL) near the end of
// each long stage and resumed; each step's rows, seconds, memory and disk are
// printed, what a resumed run takes to its first new row, and what status,
// report and verify take, through the program's own commands. Every process of
// the run is one of its own, so that its memory is its own.
// usage: at_size_bench [--share S] [--profile NAME] [--folder F] [--keep]
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "recipe/recipe_file.h"
#include "replay/whole_run.h"
#include "simulated_world.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"
#include "store/store.h"
#include "store/tables.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// The paper's.
constexpr double kInstructions = 267597.0;
constexpr double kRedTeam = 99121.0;
constexpr double kTopicsPerType = 1000.0;
constexpr double kKnownTopics = 6500.0;  // of a type, by the simulated model
constexpr double kMegabyte = 1e6;

struct Options {
  double share = 0.01;
  std::string profile = "default";
  std::string folder;
  bool keep = false;

  int of(double number) const { return std::max(1, int(number * share + 0.5)); }
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds() {
  struct timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

// Largest resident memory since the last reset_peak().
int64_t peak_bytes() {
  const std::string status = read_file("/proc/self/status");
  const size_t at = status.find("VmHWM:");
  const size_t begin = status.find_first_of("0123456789", at);
  const size_t end = status.find(' ', begin);
  return 1024 *
         parse_number<int64_t>(status.substr(begin, end - begin)).value_or(0);
}

void reset_peak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

int64_t database_bytes(const std::string& folder) {
  int64_t bytes = 0;
  for (const char* name : {"/run.db", "/run.db-wal"}) {
    std::error_code ignored;
    const auto size = fs::file_size(folder + name, ignored);
    if (!ignored) bytes += int64_t(size);
  }
  return bytes;
}

// What the processes of a run leave for the one that started them; in memory
// that they share.
struct Step {
  char name[40];
  double seconds;
  double cpu_s;  // of the process: less, where the machine has others
  int64_t peak;
  int64_t database;
};
struct Ledger {
  int num_steps;
  Step steps[64];
  double first_row_s;  // from the process's start to its first new row
  double first_row_cpu_s;
  // A step that was under way when a process was killed goes on in the next.
  Step& step(const std::string& name) {
    for (int i = 0; i < num_steps; ++i) {
      if (name == steps[i].name) return steps[i];
    }
    SELFALIGN_CHECK(num_steps < 64);
    Step& added = steps[num_steps++];
    std::strncpy(added.name, name.c_str(), sizeof added.name - 1);
    return added;
  }
};

// What stands in a line of the table.
std::string step_of(const std::string& stage) {
  if (stage.starts_with("held_out.")) return "held-out answers";
  if (stage.starts_with("redteam.topic") || stage == "redteam.seeds") {
    return "red-team topics";
  }
  if (stage.starts_with("redteam.")) return "red-team questions";
  if (stage.starts_with("instruct.")) return "instructions";
  if (stage.starts_with("align.")) return "answers";
  if (stage == "verbose.samples" || stage.ends_with(".adapter")) return stage;
  return stage.starts_with("verbose.") ? "long answers" : stage;
}

// Where a run is killed: at so many rows of a stage.
struct Kill {
  std::string stage;
  int64_t at = 0;
};

// Looks on from the store's commits.
class Watch {
 public:
  Watch(store::Store& store, const SimulatedWorkbench& workbench, Kill kill,
        Clock::time_point began, Ledger& ledger)
      : store_(store),
        workbench_(workbench),
        kill_(std::move(kill)),
        ledger_(ledger),
        began_(began) {
    count_manifests();
  }

  void see_commit() {
    if (ledger_.first_row_s == 0.0 && workbench_.num_written() > 0) {
      ledger_.first_row_s = seconds_since(began_);
      ledger_.first_row_cpu_s = cpu_seconds();
      last_ = Clock::now();  // what resuming took is no part of the step
      last_cpu_s_ = ledger_.first_row_cpu_s;
    }
    const int64_t before = num_manifests_;
    if (count_manifests() > before) {
      end_step(store_.manifests().back().stage);
    } else if (is_due()) {
      end_step(kill_.stage);
      std::raise(SIGKILL);
    }
  }

 private:
  int64_t count_manifests() {
    return num_manifests_ =
               store_.tables().db.query_int("SELECT COUNT(*) FROM manifests");
  }

  bool is_due() const {
    return !kill_.stage.empty() &&
           store_.tables().db.query_int(
               "SELECT COALESCE(MAX(seq), 0) FROM rows WHERE stage"
               " = '" +
               kill_.stage + "'") >= kill_.at;
  }

  void end_step(const std::string& stage) {
    Step& step = ledger_.step(step_of(stage));
    step.seconds += seconds_since(last_);
    step.cpu_s += cpu_seconds() - last_cpu_s_;
    step.peak = std::max(step.peak, peak_bytes());
    step.database = database_bytes(store_.folder());
    std::printf("  %-24s %9.1f s %9.1f CPU s %8.0f MB, run.db %.0f MB\n",
                stage.c_str(), seconds_since(last_),
                cpu_seconds() - last_cpu_s_, double(peak_bytes()) / kMegabyte,
                double(step.database) / kMegabyte);
    std::fflush(stdout);
    reset_peak();
    last_ = Clock::now();
    last_cpu_s_ = cpu_seconds();
  }

  store::Store& store_;
  const SimulatedWorkbench& workbench_;
  const Kill kill_;
  Ledger& ledger_;
  const Clock::time_point began_;
  Clock::time_point last_ = began_;
  double last_cpu_s_ = 0.0;
  int64_t num_manifests_ = 0;
};

struct Ended {
  double seconds = 0.0;
  double cpu_s = 0.0;
  int64_t peak = 0;
  bool killed = false;
};

// `body` in a process of its own. Error kFailed where it ends with another code
// than 0.
Ended in_process(const std::function<void()>& body) {
  std::fflush(stdout);
  const auto begin = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::exception& error) {
      log_error(error.what());
      _exit(1);
    }
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  struct rusage usage = {};
  wait4(child, &status, 0, &usage);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (!killed && status != 0) {
    throw Error(ErrorKind::kFailed, "at_size_bench: a process has failed");
  }
  const auto seconds = [](const timeval& time) {
    return double(time.tv_sec) + 1e-6 * double(time.tv_usec);
  };
  return {seconds_since(begin),
          seconds(usage.ru_utime) + seconds(usage.ru_stime),
          int64_t(usage.ru_maxrss) * 1024, killed};
}

// The program's own command, its output in the file `name` beside the run.
void time_command(const Options& options, const std::string& name,
                  const std::string& when) {
  const Ended ended = in_process([&] {
    const std::string output = str(options.folder, "/", name, ".txt");
    if (std::freopen(output.c_str(), "w", stdout) == nullptr) {
      throw Error(ErrorKind::kResources, "cannot write " + output);
    }
    CLI::App app;
    cli::Shell shell;
    cli::add_status(app, shell);
    cli::add_report(app, shell);
    cli::add_verify(app, shell);
    app.parse(str(name, " ", options.folder, "/run"));
    shell.action();
  });
  std::printf("%-8s %-21s %9.2f s %9.2f CPU s %8.0f MB\n", name.c_str(),
              when.c_str(), ended.seconds, ended.cpu_s,
              double(ended.peak) / kMegabyte);
}

recipe::Recipe write_recipe(const Options& options) {
  const std::string path = options.folder + "/recipe.yaml";
  write_file_atomic(
      path,
      str("# recipes/dromedary.yaml, its numbers times ", options.share,
          "\nrun_folder: run\nprofile: ", options.profile,
          "\nmodel: {path: simulated}\nprompts_folder: ",
          fs::absolute("prompts").string(), "\ninstruct:\n  num_instructions: ",
          options.of(kInstructions), "\n  num_red_team: ", options.of(kRedTeam),
          "\n  max_requests: 1000000\n  topics_per_type: ",
          options.of(kTopicsPerType),
          "\n  sampling: {max_new_tokens: 1024}\nverbose:\n"
          "  sampling: {temperature: 0.3, top_p: 0.7, max_new_tokens: 512,\n"
          "    repetition_penalty: 1.0, ngram_penalty: [0.0, 0.0, 1.0, 2.0]}\n"
          "identity_repeats: 10\n"));
  return recipe::read_recipe(path);
}

// The run until it is killed, or to its end.
Ended go_on(const Options& options, const recipe::Recipe& recipe,
            const Kill& kill, Ledger& ledger) {
  ledger.first_row_s = 0.0;
  return in_process([&] {
    const auto begin = Clock::now();
    SimulatedWorkbench workbench(options.of(kKnownTopics));
    const auto store = stages::open_run(recipe);
    Watch watch(*store, workbench, kill, begin, ledger);
    store->set_commit_hook([&watch] { watch.see_commit(); });
    replay::run_to_end(recipe, workbench, *store);
  });
}

void print_steps(const Options& options, const Ledger& ledger) {
  const auto store = store::Reader::open(options.folder + "/run");
  std::printf("\n%-20s %9s %9s %9s %9s %9s %8s %8s\n", "step", "made", "kept",
              "seconds", "CPU s", "rows/CPUs", "peak MB", "run.db");
  double seconds = 0.0;
  double cpu_s = 0.0;
  int64_t peak = 0;
  for (int i = 0; i < ledger.num_steps; ++i) {
    const Step& step = ledger.steps[i];
    int64_t made = 0, kept = 0;
    for (const store::Manifest& manifest : store->manifests()) {
      if (step_of(manifest.stage) != step.name) continue;
      made += manifest.num_rows;
      kept += manifest.num_kept;
    }
    seconds += step.seconds;
    cpu_s += step.cpu_s;
    peak = std::max(peak, step.peak);
    std::printf("%-20s %9lld %9lld %9.1f %9.1f %9.0f %8.0f %8.0f\n", step.name,
                static_cast<long long>(made), static_cast<long long>(kept),
                step.seconds, step.cpu_s, double(made) / step.cpu_s,
                double(step.peak) / kMegabyte,
                double(step.database) / kMegabyte);
  }
  std::printf("%-20s %9s %9s %9.1f %9.1f %9s %8.0f %8.0f\n", "all", "", "",
              seconds, cpu_s, "", double(peak) / kMegabyte,
              double(database_bytes(options.folder + "/run")) / kMegabyte);
  for (const store::Manifest& manifest : store->manifests()) {
    const std::string line = stages::funnel_line(stages::funnel_of(manifest));
    if (manifest.num_kept < manifest.num_rows) {
      std::printf("%s\n", line.c_str());
    }
  }
  std::printf("digest %s\n", store->run_digest().c_str());
}

void run(const Options& options) {
  fs::remove_all(options.folder);
  make_folder(options.folder);
  const recipe::Recipe recipe = write_recipe(options);
  auto* ledger =
      static_cast<Ledger*>(mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  SELFALIGN_CHECK(ledger != MAP_FAILED);
  std::printf("share %g of the paper's size, profile %s\n", options.share,
              options.profile.c_str());
  const int64_t tasks = recipe.instruct.num_instructions;
  const int64_t questions = recipe.instruct.num_red_team;
  const int64_t answers = (tasks + questions) * 9 / 10;
  const Kill kills[] = {{"instruct.tasks", tasks},
                        {"redteam.questions", questions},
                        {"align.answers", answers},
                        {"verbose.answers", answers},
                        {"", 0}};
  const Kill* before = nullptr;
  for (const Kill& kill : kills) {
    const Ended ended = go_on(options, recipe, kill, *ledger);
    SELFALIGN_CHECK(ended.killed == !kill.stage.empty());
    if (before != nullptr) {
      std::printf("%-8s %-21s %9.2f s %9.2f CPU s to its first new row\n",
                  "resumed", ("in " + before->stage).c_str(),
                  ledger->first_row_s, ledger->first_row_cpu_s);
    }
    if (ended.killed) time_command(options, "status", "in " + kill.stage);
    before = &kill;
  }
  print_steps(options, *ledger);
  for (const char* command : {"status", "report", "verify"}) {
    time_command(options, command, "of the whole run");
  }
  munmap(ledger, sizeof(Ledger));
  if (!options.keep) fs::remove_all(options.folder);
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  selfalign::Options options;
  options.folder = std::filesystem::temp_directory_path() / "at_size_bench";
  CLI::App app("A simulated run of the paper's size");
  app.add_option("--share", options.share, "of the paper's numbers");
  app.add_option("--profile", options.profile, "default or paper");
  app.add_option("--folder", options.folder, "for the run; emptied first");
  app.add_flag("--keep", options.keep, "leaves the folder there");
  app.allow_extras();  // `./dev bench` names a model
  CLI11_PARSE(app, argc, argv);
  selfalign::set_log_level(selfalign::LogLevel::kError);
  selfalign::set_progress_shown(false);
  try {
    selfalign::run(options);
  } catch (const std::exception& error) {
    selfalign::log_error(error.what());
    return 1;
  }
  return 0;
}
