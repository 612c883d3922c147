// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_names.h"

#include <algorithm>
#include <span>

namespace selfalign::formats {
namespace {

struct Rename {
  const char* gguf;
  const char* hf;
};

constexpr Rename kTopNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output_norm.bias", "model.norm.bias"},
    {"output.weight", "lm_head.weight"},
};

// Behind "blk.N." and "model.layers.N.", before ".weight" or ".bias".
constexpr Rename kLayerNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},  {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr Rename kFusedGate[] = {{"ffn_up", "mlp.gate_up_proj"}};
constexpr Rename kNormBefore[] = {{"ffn_norm", "post_attention_layernorm"}};
constexpr Rename kNormsBehind[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

// "" where `name` is none of them.
std::string renamed(const std::string& name, std::span<const Rename> renames,
                    const char* Rename::*from, const char* Rename::*to) {
  for (const Rename& rename : renames) {
    if (name == rename.*from) return rename.*to;
  }
  return "";
}

// A whole name from one way to the other, whose blocks begin so.
std::string translated(const std::string& name, GgufNaming naming,
                       const char* Rename::*from, const char* Rename::*to,
                       const std::string& from_block,
                       const std::string& to_block) {
  if (std::string top = renamed(name, kTopNames, from, to); !top.empty()) {
    return top;
  }
  if (!name.starts_with(from_block)) return "";
  const size_t begin = from_block.size();
  const size_t dot = name.find('.', begin);
  if (dot == std::string::npos || dot == begin || dot > begin + 6) return "";
  const std::string layer = name.substr(begin, dot - begin);
  if (!std::all_of(layer.begin(), layer.end(),
                   [](char c) { return c >= '0' && c <= '9'; }) ||
      (layer.size() > 1 && layer[0] == '0')) {
    return "";
  }
  const size_t end = name.rfind('.');
  const std::string kind = name.substr(end);
  if (end == dot || (kind != ".weight" && kind != ".bias")) return "";
  const std::string own = name.substr(dot + 1, end - dot - 1);
  std::string other;
  if (naming == GgufNaming::kFusedGate) {
    other = renamed(own, kFusedGate, from, to);
  }
  if (other.empty()) other = renamed(own, kLayerNames, from, to);
  if (other.empty()) {
    other = naming == GgufNaming::kNormsBehind
                ? renamed(own, kNormsBehind, from, to)
                : renamed(own, kNormBefore, from, to);
  }
  return other.empty() ? "" : to_block + layer + "." + other + kind;
}

constexpr char kGgufBlock[] = "blk.";
constexpr char kHfBlock[] = "model.layers.";

}  // namespace

std::string hf_tensor_name(const std::string& gguf_name, GgufNaming naming) {
  return translated(gguf_name, naming, &Rename::gguf, &Rename::hf, kGgufBlock,
                    kHfBlock);
}

std::string gguf_tensor_name(const std::string& hf_name, GgufNaming naming) {
  return translated(hf_name, naming, &Rename::hf, &Rename::gguf, kHfBlock,
                    kGgufBlock);
}

bool GgufForm::has_key(std::string_view key) const {
  return std::find(more.begin(), more.end(), key) != more.end();
}

}  // namespace selfalign::formats
