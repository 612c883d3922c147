// SPDX-License-Identifier: Apache-2.0
// Tensors of a model or adapter on disk, whatever the file format: name,
// element type, shape, bytes in a mapping. Sizes are checked on opening, so
// bytes() can be used without further checks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::formats {

enum class ElementType {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI64,
  kI32,
  kU8,
  kBool,  // masks of causal attention, which no computation reads
  kQ4_0,  // blocks along the last dimension, here and below (ggml_blocks.h)
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
};
const char* element_type_name(ElementType type);
int64_t block_size(ElementType type);  // elements; 1 where there are no blocks
// Bytes that a tensor of this type and shape takes; nothing if a dimension is
// negative, the number does not fit, or the last dimension is not whole blocks.
std::optional<uint64_t> storage_bytes(ElementType type,
                                      const std::vector<int64_t>& shape);

struct TensorView {
  std::string name;  // in HF naming: "model.layers.0.self_attn.q_proj.weight"
  ElementType type = ElementType::kF32;
  std::vector<int64_t> shape;  // outermost first: [rows, columns]
  std::string_view bytes;      // storage_bytes(type, shape) of them
  int64_t num_elements() const;
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual const std::vector<TensorView>& tensors() const = 0;
  // True if the rows of q_proj and k_proj are in the interleaved rope order of
  // ggml's LLaMA conversion: row 2i+j of a head is row i + j*head_dim/2 in HF.
  virtual bool interleaved_rope_rows() const { return false; }
  // Error kInput if a file was written to since it was opened: asked when all
  // that is wanted has been read.
  virtual void require_unchanged() const = 0;
  // nullptr if there is none of that name.
  const TensorView* find(const std::string& name) const;
};

// Error kInput if two have the same name, as after being renamed.
void require_names_once(const std::vector<TensorView>& tensors,
                        const std::string& where);

// Decodes elements to float32. `out` holds tensor.num_elements() floats.
// Block types are de-quantised as in ggml. Error kInput for integer types.
void to_float(const TensorView& tensor, float* out);

// HF folder (single or sharded safetensors; shard names must be plain file
// names in the folder) or a .safetensors file. Keeps the files mapped.
std::unique_ptr<TensorSource> open_safetensors(const std::string& path);
// The tensors of a model's HF folder under the names that LLaMA's folders have.
// Fused projections are "self_attn.qkv_proj" and "mlp.gate_up_proj" (q, k, v or
// gate, up one after the other), "self_attn.query_key_value" (q, k, v of the
// first head, then of the second ...).
std::unique_ptr<TensorSource> open_hf_tensors(const std::string& path,
                                              const std::string& family);
// A GGUF file, tensor names mapped to those of open_hf_tensors; q and k keep
// ggml's row order (interleaved_rope_rows()). A tied output has no
// "lm_head.weight". Error kInput for any tensor without a place in a model of
// the file's architecture (experts).
class GgufFile;
std::unique_ptr<TensorSource> open_gguf_tensors(
    std::shared_ptr<const GgufFile> file);

}  // namespace selfalign::formats
