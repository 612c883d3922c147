// SPDX-License-Identifier: Apache-2.0
// The tensors of a model, as another file is to have them: from an HF folder or
// a GGUF file, with or without an adapter, to either form. One at a time is
// made. What is not changed is copied to the bit.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/gguf_names.h"
#include "formats/model_config.h"
#include "formats/model_path.h"
#include "formats/planned_tensor.h"
#include "formats/tensor_source.h"

namespace selfalign::exports {

// What a tuning changes in the tensors of its base.
class Delta {
 public:
  virtual ~Delta() = default;
  // What it changes, in all and of a tensor by LLaMA's name for it in an HF
  // folder ("model.layers.0.self_attn.qkv_proj.weight"): projections, or
  // values.
  virtual int64_t num_parts() const = 0;
  virtual int64_t parts(const std::string& name) const = 0;
  // Changes the values [out, in].
  virtual void apply(const std::string& name, const std::vector<int64_t>& shape,
                     float* values) const = 0;
};

// A model's files, open.
struct BaseModel : formats::ModelFiles {
  std::string path;
};
BaseModel open_base_model(const std::string& path);

// Tensors that the adapter changes. Error kInput unless each of its parts has
// one.
int64_t num_changed(const BaseModel& model, const Delta& delta);

// Plans keep pointers to the model and the delta (null: none). The type of
// numbers: nothing is the model's own, of quantised ones float32, which loses
// nothing.
using NumberType = std::optional<formats::ElementType>;

// Under the names of the family's HF files.
std::vector<formats::PlannedTensor> hf_tensors(const BaseModel& model,
                                               const Delta* delta,
                                               NumberType type);

// Under GGUF's, before them the tables of the rope. Norms and biases are
// float32, as llama.cpp wants them; of Q4_0 and Q8_0 also rows that are no
// whole blocks are F16, and with Q4_0 the output matrix is Q8_0.
std::vector<formats::PlannedTensor> gguf_tensors(const BaseModel& model,
                                                 const formats::GgufForm& form,
                                                 const Delta* delta,
                                                 NumberType type);

}  // namespace selfalign::exports
