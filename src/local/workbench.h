// SPDX-License-Identifier: Apache-2.0
// The machine behind a pipeline: the real engine and trainer over models that
// are loaded once and shared.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "model/transformer.h"
#include "stages/start_checks.h"
#include "stages/workbench.h"
#include "text/tokenizer.h"
#include "train/trainer.h"

namespace selfalign::local {

class LocalWorkbench : public stages::Workbench {
 public:
  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override;

  std::vector<bool> fit(
      const recipe::ModelOptions& model, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) override;

  stages::TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override;

  // The next tuning is what somebody made by hand: the adapter, or the model,
  // in this folder. It is checked as a command's is (train/handoff.h).
  void adopt_next(const std::string& made) { made_by_hand_ = made; }
  bool adopted() const { return made_by_hand_.empty(); }

  // Error, as open_generator and tune throw it, if the model or the adapter
  // (where not empty) is not there or cannot be used, or cannot be trained if
  // `trains`; of a server's model, if it does not answer. Quick: no weights are
  // read.
  void check_model(const recipe::ModelOptions& model,
                   const std::string& adapter, bool trains);
  // Error kInput where a full tuning's result could not be written as an HF
  // folder, kResources where memory does not suffice for one.
  void check_full(const recipe::ModelOptions& model,
                  const TuneOptions& options);
  // check_model of the base alone, for stages::check_start.
  stages::CheckModel checks();

  // Of a model on GPUs, those of the first; others have copies.
  std::shared_ptr<const model::Weights> weights(
      const recipe::ModelOptions& model);
  std::shared_ptr<const text::Tokenizer> tokenizer(const std::string& path);

 private:
  // The weights of the model on its first `num` devices.
  std::vector<std::shared_ptr<const model::Weights>> all_weights(
      const recipe::ModelOptions& model, size_t num);

  // What was loaded last. One model at a time: a run uses one, and two would
  // need twice the memory.
  std::string weights_name_;
  std::shared_ptr<const model::Weights> weights_;
  // The same on the GPUs behind the first.
  std::vector<std::shared_ptr<const model::Weights>> copies_;
  std::string made_by_hand_;
  std::string tokenizer_path_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

// An adapter that a run made says on which base: that one's fingerprint where
// it is not of weights with this digest, else, or where it says none, "".
std::string other_base(const std::string& adapter, const std::string& digest);

// A sample as tokens: BOS where the model has one, then for each turn the
// prompt and the response, which is to be predicted, and after it, if it ends,
// the end-of-text token, which is predicted and not read. Cut to max_length:
// what is left ends in an answer or in a part of one, and a part teaches no
// stop. Prompts and responses are the pieces that a chat feeds
// (generate::tokenize_prompt), so that the model meets what it was trained on.
struct TokenizedSample {
  train::Sample sample;
  bool truncated = false;  // something to be predicted was cut off
};
TokenizedSample tokenize_sample(const text::Tokenizer& tokenizer,
                                const stages::TrainingSample& sample,
                                int64_t max_length);

}  // namespace selfalign::local
