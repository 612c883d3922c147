// SPDX-License-Identifier: Apache-2.0
#include "local/tuned_model.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "formats/model_path.h"
#include "model/weight_places.h"

namespace selfalign::local {
namespace {

// All weights are others.
class TunedDelta : public exports::Delta {
 public:
  // The file of a tied model may hold its embedding twice.
  TunedDelta(const model::Weights& tuned, const std::string& base)
      : tensors_(tuned), num_parts_(tensors_.num_values()) {
    if (!tuned.config.tied_embeddings) return;
    const formats::ModelFiles files = formats::open_model_files(base);
    const formats::TensorView* twice = files.tensors->find(model::kHead);
    if (twice == nullptr) return;
    has_twice_ = true;
    num_parts_ += twice->num_elements();
  }

  int64_t num_parts() const override { return num_parts_; }
  int64_t parts(const std::string& name) const override {
    return tensors_.put(of(name), nullptr);
  }
  void apply(const std::string& name, const std::vector<int64_t>& shape,
             float* values) const override {
    const at::NoGradGuard guard;
    at::Tensor weight = at::from_blob(values, shape, at::kFloat);
    tensors_.put(of(name), &weight);
  }

 private:
  std::string of(const std::string& name) const {
    return has_twice_ && name == model::kHead ? model::kEmbedding : name;
  }

  const model::NamedTensors tensors_;
  int64_t num_parts_;
  bool has_twice_ = false;
};

exports::ModelOptions tuned_options(const std::string& base,
                                    at::ScalarType dtype,
                                    const std::string& folder) {
  exports::ModelOptions options;
  options.base = base;
  options.folder = folder;
  options.type = dtype == at::kBFloat16 ? formats::ElementType::kBF16
                 : dtype == at::kHalf   ? formats::ElementType::kF16
                                        : formats::ElementType::kF32;
  return options;
}

}  // namespace

std::unique_ptr<exports::Delta> tuned_delta(const model::Weights& tuned,
                                            const std::string& base) {
  return std::make_unique<TunedDelta>(tuned, base);
}

void write_tuned_model(const std::string& base, const model::Weights& tuned,
                       const std::string& folder) {
  exports::write_tuned_model(tuned_options(base, tuned.dtype(), folder),
                             *tuned_delta(tuned, base));
}

void check_tuned_model(const std::string& base, at::ScalarType dtype) {
  try {
    exports::check_tuned_model(tuned_options(base, dtype, ""));
  } catch (const Error& error) {
    throw Error(error.kind(),
                str(error.what(),
                    " (training all weights ends in an HF folder; where this "
                    "file cannot become one, take the model's own HF folder, "
                    "or method lora)"));
  }
}

}  // namespace selfalign::local
