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
#include "model/weight_places.h"

namespace selfalign::model {

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

  // Half-split rows of queries and keys, whatever the file's order is.
  at::Tensor read(const TensorPlace& place);

  std::string digest() const { return hasher_.digest(); }
  Hasher& hasher() { return hasher_; }
  const std::set<std::string>& taken() const { return taken_; }

 private:
  using Views = std::vector<formats::TensorView>;

  // A norm or bias.
  at::Tensor vector(const std::string& name, const std::vector<int64_t>& shape);
  // An embedding, head or projection: [rows, columns].
  at::Tensor matrix(const std::string& name, const std::vector<int64_t>& shape);
  at::Tensor read_norms(const TensorPlace& place);

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

// Everything that is in the model, in the order of its digest, into `weights`,
// whose configuration is there.
void read_weights(WeightReader& reader, Weights& weights);

}  // namespace selfalign::model
