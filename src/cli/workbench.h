// The machine behind a pipeline: the real engine and trainer over models that
// are loaded once and shared.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "model/llama.h"
#include "stages/workbench.h"
#include "text/tokenizer.h"
#include "train/trainer.h"

namespace selfalign::cli {

class LocalWorkbench : public stages::Workbench {
 public:
  std::unique_ptr<generate::Generator> open_generator(
      const stages::ModelOptions& model, const std::string& adapter) override;

  stages::TuneReport tune(const stages::ModelOptions& model,
                          const stages::TuneOptions& options,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override;

  std::shared_ptr<const model::Weights> weights(
      const stages::ModelOptions& model);
  std::shared_ptr<const text::Tokenizer> tokenizer(const std::string& path);

 private:
  // What was loaded last. One model at a time: a run uses one, and two would
  // need twice the memory.
  std::string weights_name_;
  std::shared_ptr<const model::Weights> weights_;
  std::string tokenizer_path_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

// A sample as tokens: BOS where the model has one, the prompt, the response
// and, if it ends, the end-of-text token; cut to max_length. The two texts are
// tokenized apart, as they are when the model answers.
struct TokenizedSample {
  train::Sample sample;
  bool truncated = false;  // what was cut off includes the end-of-text token
};
TokenizedSample tokenize_sample(const text::Tokenizer& tokenizer,
                                const stages::TrainingSample& sample,
                                int64_t max_length);

}  // namespace selfalign::cli
