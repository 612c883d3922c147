// SPDX-License-Identifier: Apache-2.0
// Families whose folders name tensors otherwise than LLaMA's do, brought to
// LLaMA's names.
#include "formats/hf_names.h"

#include <span>
#include <string_view>
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

// The names of a family that differ; none: LLaMA's.
std::span<const Rename> renames_of(const std::string& family) {
  if (family == "gpt_neox") return kNeoX;
  if (family == "starcoder2") return kStarcoder2;
  return {};
}

void replace_first(std::string& name, const char* from, const char* to) {
  const size_t at = name.find(from);
  if (at != std::string::npos) {
    name.replace(at, std::string_view(from).size(), to);
  }
}

LinearModule one_of(const char* name, Projection projection, int64_t out,
                    int64_t in) {
  return {name, out, in, {{projection, out, 0, out, out}}};
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

std::vector<LinearModule> fused_modules(const ModelConfig& c) {
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  const int64_t mlp = c.intermediate_size, d = c.head_dim;
  using enum Projection;
  return {{"self_attn.qkv_proj",
           q + 2 * kv,
           c.hidden_size,
           {{kQ, q, 0, q, q}, {kK, kv, q, kv, kv}, {kV, kv, q + kv, kv, kv}}},
          {"self_attn.query_key_value",
           q + 2 * kv,
           c.hidden_size,
           {{kQ, q, 0, d, 3 * d},
            {kK, kv, d, d, 3 * d},
            {kV, kv, 2 * d, d, 3 * d}}},
          {"mlp.gate_up_proj",
           2 * mlp,
           c.hidden_size,
           {{kGate, mlp, 0, mlp, mlp}, {kUp, mlp, mlp, mlp, mlp}}}};
}

std::vector<LinearModule> linear_modules(const ModelConfig& c) {
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  const int64_t hidden = c.hidden_size, mlp = c.intermediate_size;
  using enum Projection;
  const std::vector<LinearModule> fused = fused_modules(c);
  const bool is_phi = c.family == "phi3", is_neox = c.family == "gpt_neox";
  std::vector<LinearModule> modules;
  if (is_phi || is_neox) {
    modules.push_back(fused[is_phi ? 0 : 1]);
  } else {
    modules.push_back(one_of("self_attn.q_proj", kQ, q, hidden));
    modules.push_back(one_of("self_attn.k_proj", kK, kv, hidden));
    modules.push_back(one_of("self_attn.v_proj", kV, kv, hidden));
  }
  modules.push_back(one_of("self_attn.o_proj", kO, hidden, q));
  if (is_phi) {
    modules.push_back(fused[2]);
  } else {
    if (c.gated) {
      modules.push_back(one_of("mlp.gate_proj", kGate, mlp, hidden));
    }
    modules.push_back(one_of("mlp.up_proj", kUp, mlp, hidden));
  }
  modules.push_back(one_of("mlp.down_proj", kDown, hidden, mlp));
  return modules;
}

std::string llama_name(const std::string& family, std::string name) {
  for (const Rename& rename : renames_of(family)) {
    replace_first(name, rename.from, rename.to);
  }
  return name;
}

std::string family_name(const std::string& family, std::string name) {
  for (const Rename& rename : renames_of(family)) {
    replace_first(name, rename.to, rename.from);
  }
  return name;
}

std::unique_ptr<TensorSource> open_hf_tensors(const std::string& path,
                                              const std::string& family) {
  return std::make_unique<RenamedTensors>(open_safetensors(path), family, path);
}

}  // namespace selfalign::formats
