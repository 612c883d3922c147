// SPDX-License-Identifier: Apache-2.0
#include "local/merged_model.h"

#include "base/error.h"
#include "base/log.h"
#include "formats/model_path.h"
#include "formats/peft.h"
#include "local/tuned_model.h"
#include "local/workbench.h"
#include "model/load_weights.h"

namespace selfalign::local {
namespace {

class LoraDelta : public exports::Delta {
 public:
  LoraDelta(const std::string& adapter, const formats::ModelConfig& config)
      : config_(config), lora_(model::load_lora(adapter, config, at::kCPU)) {
    if (!lora_.note.empty()) log_warning(lora_.note);
    for (const model::LoraLayer& layer : lora_.layers) {
      for (const auto pair : model::kLoraPairs) {
        num_parts_ += (layer.*pair).a.defined();
      }
    }
  }

  int64_t num_parts() const override { return num_parts_; }
  int64_t parts(const std::string& name) const override {
    return model::add_lora(lora_, config_, name, nullptr);
  }
  void apply(const std::string& name, const std::vector<int64_t>& shape,
             float* values) const override {
    at::Tensor weight = at::from_blob(values, shape, at::kFloat);
    model::add_lora(lora_, config_, name, &weight);
  }

 private:
  const formats::ModelConfig config_;
  const model::Lora lora_;
  int64_t num_parts_ = 0;
};

// The type of a tuned model's matrices, in which what was trained is whole.
formats::ElementType type_of(const std::string& tuned) {
  const formats::ModelFiles files = formats::open_model_files(tuned);
  for (const formats::TensorView& tensor : files.tensors->tensors()) {
    if (tensor.shape.size() > 1) return tensor.type;
  }
  return formats::ElementType::kF32;
}

// The digest takes reading all of the base once more, a tensor at a time.
void check_base(const exports::ModelOptions& options) {
  const std::string digest =
      model::load_weights(options.base, at::kMeta, at::kFloat).digest;
  const std::string other = other_base(options.adapter, digest);
  if (other.empty()) return;
  const std::string text = selfalign::str(
      options.adapter, ": expected the base it was trained on (", other,
      "), found ", options.base, " (local ", digest, "); ");
  if (options.run != nullptr) {
    throw Error(ErrorKind::kInput,
                text +
                    "put the run's base back, or export another one with "
                    "--adapter");
  }
  log_warning(text +
              "what comes out means little unless both are one model in two "
              "forms");
}

}  // namespace

exports::ModelReport export_model(const exports::ModelOptions& options) {
  // On no device: memory for all of the weights is not needed.
  const formats::ModelConfig config =
      model::check_weights(options.base, at::kMeta, at::kFloat);
  if (options.adapter.empty()) return exports::export_model(options, nullptr);
  if (formats::is_tuned_model(options.adapter)) {
    const auto tuned =
        tuned_delta(model::load_weights(options.adapter, at::kCPU, at::kFloat),
                    options.base);
    check_base(options);
    exports::ModelOptions typed = options;
    if (!typed.type) typed.type = type_of(options.adapter);
    return exports::export_model(typed, tuned.get());
  }
  const LoraDelta delta(options.adapter, config);
  check_base(options);
  return exports::export_model(options, &delta);
}

}  // namespace selfalign::local
