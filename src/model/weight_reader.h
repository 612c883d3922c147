// SPDX-License-Identifier: Apache-2.0
// Takes the tensors of a model one by one from its mapped files, checked
// against its configuration.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "formats/hf_names.h"
#include "formats/tensor_source.h"
#include "model/weights.h"

namespace selfalign::model {

inline constexpr char kEmbedding[] = "model.embed_tokens.weight";
inline constexpr char kHead[] = "lm_head.weight";

class WeightReader {
 public:
  enum class Mode {
    kCheck,   // that each tensor is there in its shape; gives undefined ones
    kDigest,  // and hashes it; matrices are given as meta tensors
    kHold,    // and hashes it, and gives all values
    kRead     // gives values, for what was hashed before
  };

  WeightReader(const formats::TensorSource& source,
               const formats::ModelConfig& config, std::string where, Mode mode,
               at::Device device = at::kCPU, at::ScalarType dtype = at::kFloat)
      : source_(source),
        config_(config),
        fused_(formats::fused_modules(config)),
        where_(std::move(where)),
        mode_(mode),
        device_(device),
        dtype_(dtype) {}

  // Norms and biases.
  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape);
  at::Tensor read_if(bool wanted, const std::string& name,
                     const std::vector<int64_t>& shape) {
    return wanted ? read(name, shape) : at::Tensor();
  }
  // Embedding, head and projections: [rows, columns].
  at::Tensor matrix(const std::string& name, const std::vector<int64_t>& shape);
  // Rows of q and k: back from ggml's interleaved order to half-split.
  at::Tensor rotary(const std::string& name, int64_t heads,
                    const std::vector<int64_t>& shape);

  bool has(const std::string& name) const {
    return source_.find(name) != nullptr;
  }
  std::string digest() const { return hasher_.digest(); }
  Hasher& hasher() { return hasher_; }
  const std::set<std::string>& taken() const { return taken_; }

 private:
  using Views = std::vector<formats::TensorView>;

  // Its rows, one part after the other; hashed where the mode says so.
  Views find(const std::string& name, const std::vector<int64_t>& shape);
  at::Tensor values(const Views& parts,
                    const std::vector<int64_t>& shape) const;
  // Where a projection stands in one that several are fused to: its rows, from
  // the file's; none if there is no such tensor.
  Views fused_parts(const std::string& name, const std::vector<int64_t>& shape);
  Views cut_rows(const formats::TensorView& view, const std::string& name,
                 int64_t num_rows, const formats::ModuleRows& part) const;
  [[noreturn]] void refuse(const std::string& name,
                           const std::string& why) const;
  void require_shape(const formats::TensorView& view,
                     const std::vector<int64_t>& shape) const;

  const formats::TensorSource& source_;
  const formats::ModelConfig& config_;
  const std::vector<formats::LinearModule> fused_;
  std::string where_;
  Mode mode_;
  at::Device device_;
  at::ScalarType dtype_;
  Hasher hasher_;
  std::set<std::string> taken_;
};

// Undefined where the model has none.
at::Tensor read_projection(WeightReader& reader, const formats::ModelConfig& c,
                           int64_t layer, formats::Projection which);
at::Tensor read_embedding(WeightReader& reader, const formats::ModelConfig& c);
at::Tensor read_head(WeightReader& reader, const formats::ModelConfig& c);
// Everything that is in the model, in the order of its digest, into `weights`,
// whose configuration is there.
void read_weights(WeightReader& reader, Weights& weights);

}  // namespace selfalign::model
