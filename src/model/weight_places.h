// SPDX-License-Identifier: Apache-2.0
// Which tensors a model has, for those who read, train and write them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/weights.h"

namespace selfalign::model {

inline constexpr char kEmbedding[] = "model.embed_tokens.weight";
inline constexpr char kHead[] = "lm_head.weight";

struct TensorPlace {
  std::string name;  // LLaMA's, as in an HF folder where nothing is fused
  std::vector<int64_t> shape;
  // Rows of queries or keys of so many heads, which GGUF files may interleave.
  int64_t rotary_heads = 0;
  // A norm of so many heads, one after the other, each of which is a tensor of
  // its own in HF folders (of_head), where GGUF files have [heads, head_dim].
  int64_t num_norms = 0;

  TensorPlace of_head(int64_t head) const;
};
// Called with what the model of the configuration has alone.
using VisitTensor = std::function<void(at::Tensor&, const TensorPlace&)>;

void visit_projection(const formats::ModelConfig& config, int64_t layer,
                      formats::Projection which, at::Tensor& tensor,
                      const VisitTensor& visit);
TensorPlace embedding_place(const formats::ModelConfig& config);
TensorPlace head_place(const formats::ModelConfig& config);
// All tensors of `weights`, whose configuration and layers are there, in the
// order of the digest; the head where it is not the embedding.
void visit_weights(Weights& weights, const VisitTensor& visit);

// A model's tensors by LLaMA's names, to be found under any form that a file
// may have of them.
class NamedTensors {
 public:
  explicit NamedTensors(const Weights& weights);
  int64_t num_values() const { return num_values_; }
  // Writes the values of a file's tensor, by LLaMA's name for it, which several
  // may be fused to, into `values`, as large as that one; null: only counts.
  // Returns how many were found.
  int64_t put(const std::string& name, at::Tensor* values) const;

 private:
  const formats::ModelConfig config_;
  std::map<std::string, at::Tensor> tensors_;
  int64_t num_values_ = 0;
};

}  // namespace selfalign::model
