// SPDX-License-Identifier: Apache-2.0
// Models from their files.
#pragma once

#include <cstdint>
#include <string>

#include "model/weights.h"

namespace selfalign::model {

// Reads an HF folder or GGUF file. Error kInput for what is wrong in it
// (missing tensor, shape other than the configuration says, a tensor that plays
// no part, an output beside tied embeddings, unsupported kind), kResources
// where memory does not suffice. The digest covers the tensors and every number
// of the configuration that their names and shapes do not tell.
Weights load_weights(const std::string& path, at::Device device,
                     at::ScalarType dtype);
// The same on the CPU with the matrices left in the file, which stays mapped;
// to be generated with under `rounding`.
Weights open_weights(const std::string& path, at::ScalarType dtype,
                     Rounding rounding = Rounding::kNone);
// Bytes of a model's matrices as they are computed with. In codes the output,
// and with it a tied embedding, has 8 bits, an embedding of its own is in
// dtype.
uint64_t weight_bytes(const formats::ModelConfig& config, at::ScalarType dtype,
                      Rounding rounding);
// The same errors, without reading a tensor's values.
formats::ModelConfig check_weights(const std::string& path, at::Device device,
                                   at::ScalarType dtype,
                                   Rounding rounding = Rounding::kNone);

}  // namespace selfalign::model
