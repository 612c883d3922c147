// SPDX-License-Identifier: Apache-2.0
// Families whose folders name tensors otherwise than LLaMA's do, brought to
// LLaMA's names.
#include <utility>

#include "formats/tensor_source.h"

namespace selfalign::formats {
namespace {

struct Rename {
  const char* from;
  const char* to;
};

constexpr Rename kNeoX[] = {
    {"embed_out.", "lm_head."},
    {"gpt_neox.embed_in.", "model.embed_tokens."},
    {"gpt_neox.final_layer_norm.", "model.norm."},
    {"gpt_neox.layers.", "model.layers."},
    {".attention.dense.", ".self_attn.o_proj."},
    {".attention.query_key_value.", ".self_attn.query_key_value."},
    {".mlp.dense_h_to_4h.", ".mlp.up_proj."},
    {".mlp.dense_4h_to_h.", ".mlp.down_proj."},
};
constexpr Rename kStarcoder2[] = {
    {".mlp.c_fc.", ".mlp.up_proj."},
    {".mlp.c_proj.", ".mlp.down_proj."},
};

template <size_t n>
std::string renamed(std::string name, const Rename (&renames)[n]) {
  for (const Rename& rename : renames) {
    const size_t at = name.find(rename.from);
    if (at == std::string::npos) continue;
    name.replace(at, std::string_view(rename.from).size(), rename.to);
  }
  return name;
}

std::string llama_name(const std::string& family, const std::string& name) {
  if (family == "gpt_neox") return renamed(name, kNeoX);
  if (family == "starcoder2") return renamed(name, kStarcoder2);
  return name;
}

class RenamedTensors : public TensorSource {
 public:
  RenamedTensors(std::unique_ptr<TensorSource> source,
                 const std::string& family, const std::string& path)
      : source_(std::move(source)), tensors_(source_->tensors()) {
    for (TensorView& tensor : tensors_) {
      tensor.name = llama_name(family, tensor.name);
    }
    require_names_once(tensors_, path);
  }
  const std::vector<TensorView>& tensors() const override { return tensors_; }
  void require_unchanged() const override { source_->require_unchanged(); }

 private:
  std::unique_ptr<TensorSource> source_;
  std::vector<TensorView> tensors_;
};

}  // namespace

std::unique_ptr<TensorSource> open_hf_tensors(const std::string& path,
                                              const std::string& family) {
  return std::make_unique<RenamedTensors>(open_safetensors(path), family, path);
}

}  // namespace selfalign::formats
