// SPDX-License-Identifier: Apache-2.0
// A workbench that takes from another run what that run made already. Rows'
// keys hash all they depend on, so a completion stored under the same key is
// the one a model would write, and an adapter of the same samples and settings
// is the one a tuning would give. With a workbench for the rest this is a fork
// (pipeline.h: it comes out as a run from scratch would); without one it plays
// a run again, to see whether it comes to the same (verify.h).
#pragma once

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "stages/workbench.h"
#include "store/reader.h"
#include "text/tokenizer.h"

namespace selfalign::replay {

// Thrown where there is nobody to make what the other run lacks.
struct NotReplayed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ReplayWorkbench final : public stages::Workbench {
 public:
  // Both outlive this. `rest` null: what `from` lacks throws NotReplayed,
  // held-out rows' scores (which are in no digest) are empty, adapters stay
  // where they are, and of the model only the tokenizer is opened, where it is
  // there.
  ReplayWorkbench(const store::Reader& from, stages::Workbench* rest)
      : from_(from), rest_(rest) {}

  // Takes nothing over from `stage` on, in the order in which `from` did them;
  // "align" means the first stage of that name ("align.answers"). Error kUsage
  // names the stages there are.
  void redo_from(const std::string& stage);

  bool asks_models() const override {
    return rest_ != nullptr && rest_->asks_models();
  }
  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override;
  // Played again: as the other run judged the rows of the samples.
  std::vector<bool> fit(
      const recipe::ModelOptions& model, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) override;
  stages::TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override;

  int64_t num_completions() const { return num_completions_; }
  int num_adapters() const { return num_adapters_; }

 private:
  friend class ReplayGenerator;
  std::optional<generate::Completion> find_completion(uint64_t key);
  // Whether a server made the completion of that row.
  bool is_remote(uint64_t key) const;
  // What the row of the score `key` keeps (likelihood.h).
  std::optional<generate::ContinuationScore> find_score(uint64_t key);
  // The manifest of the adapter in `folder` (its last part counts), if it was
  // tuned on these samples in this way.
  std::optional<store::Manifest> find_adapter(
      const std::string& folder, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) const;
  bool same_base(const recipe::ModelOptions& model);
  int count_tokens(const std::string& text, const text::Tokenizer* words);

  const store::Reader& from_;
  stages::Workbench* rest_;
  std::set<std::string> redone_;  // stages
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unordered_map<uint64_t, int> tokens_;  // of answers in from_, by hash
  int64_t num_completions_ = 0;
  int num_adapters_ = 0;
};

}  // namespace selfalign::replay
