// SPDX-License-Identifier: Apache-2.0
#include "scripted_runs.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "replay/whole_run.h"
#include "stages/pipeline.h"

namespace selfalign::tests {

bool is_killed(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::exception& error) {
      log_error(error.what());
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return true;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return false;
}

ScriptedRuns::~ScriptedRuns() { set_interrupted(false); }

std::string ScriptedRuns::write(const std::string& name,
                                const std::string& text) const {
  write_file_atomic(path(name), text);
  return path(name);
}

void ScriptedRuns::replace(const std::string& name, const std::string& old,
                           const std::string& text) const {
  std::string content = read_file(path(name));
  const size_t at = content.find(old);
  ASSERT_NE(at, std::string::npos) << old;
  write(name, content.replace(at, old.size(), text));
}

std::string ScriptedRuns::run(const recipe::Recipe& recipe,
                              WorldOptions options) {
  ScriptedWorkbench workbench(std::move(options));
  const auto store = stages::open_run(recipe);
  replay::run_to_end(recipe, workbench, *store);
  samples_ = workbench.samples();
  return store->run_digest();
}

void ScriptedRuns::run_until(const recipe::Recipe& recipe,
                             const std::function<bool(store::Store&)>& stop,
                             const std::function<void(store::Store&)>& then,
                             WorldOptions options) const {
  ScriptedWorkbench workbench(std::move(options));
  const auto store = stages::open_run(recipe);
  store->set_commit_hook([&] { set_interrupted(stop(*store)); });
  EXPECT_EQ(kind_of([&] { replay::run_to_end(recipe, workbench, *store); }),
            ErrorKind::kInterrupted);
  set_interrupted(false);
  store->set_commit_hook(nullptr);
  if (then) then(*store);
}

bool ScriptedRuns::run_and_kill(const recipe::Recipe& recipe, int kill_at,
                                int kill_after) const {
  return is_killed([&] {
    KillSwitch kill{kill_at};
    WorldOptions options;
    options.kill = &kill;
    options.kill_after = kill_after;
    ScriptedWorkbench workbench(options);
    const auto store = stages::open_run(recipe);
    store->set_commit_hook([&kill] { kill.tick(); });
    replay::run_to_end(recipe, workbench, *store);
  });
}

std::unique_ptr<store::Reader> ScriptedRuns::open(
    const std::string& name) const {
  return store::Reader::open(path(name));
}

std::function<bool(store::Store&)> after_commits(int num) {
  return [num, count = 0](store::Store&) mutable { return ++count >= num; };
}

}  // namespace selfalign::tests
