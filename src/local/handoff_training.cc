// SPDX-License-Identifier: Apache-2.0
#include "local/handoff_training.h"

#include <filesystem>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/shown.h"
#include "formats/model_path.h"
#include "train/handoff.h"
#include "train/metrics.h"

namespace selfalign::local {
namespace {

namespace fs = std::filesystem;

constexpr int kAgain = 75;  // sysexits' EX_TEMPFAIL
constexpr char kGoesOn[] =
    "the same command goes on from the training's last checkpoint";

// The metrics of the command as the own trainer's.
class Watcher {
 public:
  Watcher(const train::Handoff& handoff, const std::string& folder)
      : handoff_(handoff),
        log_(folder, 0),
        progress_("train", uint64_t(handoff.num_steps), "steps") {}

  void look() {
    for (const train::StepMetrics& step :
         train::new_metrics(handoff_, done_bytes_)) {
      if (step.step <= last_step_) continue;  // made once more
      last_step_ = step.step;
      log_.append(step);
      progress_.update(uint64_t(step.step), str("loss ", step.loss));
    }
  }

 private:
  const train::Handoff& handoff_;
  train::MetricsLog log_;
  Progress progress_;
  uint64_t done_bytes_ = 0;
  int64_t last_step_ = 0;
};

void run(const std::string& command, const train::Handoff& handoff,
         Watcher& watcher) {
  const std::string log = handoff.folder + "/log.txt";
  log_info(str("training by: ", command, " (in ", handoff.folder,
               ", what it writes is in log.txt)"));
  ChildProcess child(command, handoff.folder, log, handoff.folder + "/lock");
  const int status =
      status_at_end(child, kGoesOn, [&watcher] { watcher.look(); });
  if (status == 0) return;
  if (status == kAgain) {
    throw Error(ErrorKind::kInterrupted,
                str("the command that trains ended with status ", kAgain,
                    ", which asks to be started again; ", kGoesOn));
  }
  throw Error(ErrorKind::kFailed,
              str(handoff.folder, ": the command \"", shown(command),
                  "\" ended with status ", status,
                  "; the last that it wrote to ", log, ": ", last_words(log)));
}

train::Handoff hand_off(const std::string& base, const model::Weights& weights,
                        const std::vector<train::Sample>& samples,
                        const train::TrainOptions& options) {
  return train::write_handoff(options.folder + "/handoff",
                              fs::weakly_canonical(fs::absolute(base)), weights,
                              samples, options);
}

// A result that is refused makes room for the next, and one that was made by
// hand for what was there before.
train::TrainReport adopt(const train::Handoff& handoff,
                         const model::Weights& weights,
                         const train::TrainOptions& options,
                         const train::Placed& placed = {}) {
  try {
    return train::adopt_result(handoff, weights, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;  // not looked at yet
    std::error_code ignored;
    fs::rename(handoff.folder + "/result.json",
               handoff.folder + "/result.refused.json", ignored);
    train::withdraw_result(handoff, placed, options);
    throw;
  }
}

}  // namespace

void require_handoff_base(const std::string& base) {
  if (formats::model_form(base) == formats::ModelForm::kFolder) return;
  throw Error(ErrorKind::kUsage,
              str(base,
                  ": a command trains the model of an HF folder, and this is a "
                  "GGUF file; make the folder with: selfalign export ",
                  base, " --model merged --output FOLDER"));
}

train::TrainReport train_by_command(const std::string& command,
                                    const std::string& base,
                                    const model::Weights& weights,
                                    const std::vector<train::Sample>& samples,
                                    const train::TrainOptions& options) {
  require_handoff_base(base);
  const train::Handoff handoff = hand_off(base, weights, samples, options);
  {
    Watcher watcher(handoff, options.folder);
    watcher.look();
    if (!train::has_result(handoff)) run(command, handoff, watcher);
  }
  return adopt(handoff, weights, options);
}

train::TrainReport adopt_by_hand(const std::string& made,
                                 const std::string& base,
                                 const model::Weights& weights,
                                 const std::vector<train::Sample>& samples,
                                 const train::TrainOptions& options) {
  const train::Handoff handoff = hand_off(base, weights, samples, options);
  const train::Placed placed = train::place_result(handoff, made, options);
  return adopt(handoff, weights, options, placed);
}

}  // namespace selfalign::local
