// SPDX-License-Identifier: Apache-2.0
// The description of a decoder, by which weights are read and computed with:
// one block (model/transformer.cc, engine/cpu_decoder.cc) reads it for every
// family. It comes from config.json (hf_config.cc, a row for each family) or
// GGUF metadata (gguf_model.cc), every number checked before anything is
// allocated from it. The defaults below are those of a LLaMA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "formats/activation.h"

namespace selfalign::formats {

class GgufFile;

// Zhang and Sennrich 2019 (RMSNorm); kRmsPlusOne scales by 1 + weight (Gemma).
enum class NormKind { kRms, kRmsPlusOne, kLayer };

// Where the norms of a block stand; f is attention or MLP.
//   kPre       x += f(norm(x))
//   kPost      x += norm(f(x)), as OLMo 2
//   kSandwich  x += norm(f(norm(x))), as Gemma 2
//   kParallel  x += attention(norm(x)) + mlp(norm'(x)), as GPT-NeoX
//   kParallelOneNorm  the same with one norm for both, as StableLM 2
enum class BlockForm { kPre, kPost, kSandwich, kParallel, kParallelOneNorm };

// Norms on queries and keys before they are rotated.
//   kHead      RMS over each head, one weight for all heads (Qwen 3, Gemma 3)
//   kAllHeads  RMS over all heads together (OLMo 2)
//   kEachHead  layer norm over each head, which has its own weight (StableLM)
enum class QkNorm { kNone, kHead, kAllHeads, kEachHead };

// Rotary positions. Su et al. 2021.
struct RopeConfig {
  double theta = 0.0;
  // "none"; "linear": positions divided by `factor`; "llama3"; "yarn" (Peng et
  // al. 2023); "longrope" (Ding et al. 2024); "factors": as a table says.
  std::string type = "none";
  double factor = 1.0;
  double low_freq_factor = 1.0;    // llama3
  double high_freq_factor = 4.0;   // llama3
  int64_t original_positions = 0;  // llama3, yarn, longrope
  double attention_factor = 1.0;   // of cosines and sines; yarn, longrope
  double beta_fast = 32.0;         // yarn
  double beta_slow = 1.0;          // yarn
  bool truncate = true;            // yarn: its bounds to whole dimensions
  // Divisors of the frequencies, [rotary_dim / 2]: longrope's for contexts up
  // to original_positions, or the table; and longrope's for longer ones.
  std::vector<double> factors, long_factors;

  bool operator==(const RopeConfig&) const = default;
};

struct ModelConfig {
  std::string family = "llama";  // the model_type of config.json
  int64_t num_layers = 0;
  int64_t hidden_size = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;  // context length
  double norm_eps = 0.0;
  bool tied_embeddings = false;
  NormKind norm = NormKind::kRms;
  bool norm_bias = false;
  BlockForm block = BlockForm::kPre;
  QkNorm qk_norm = QkNorm::kNone;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  Activation activation = Activation::kSilu;
  bool gated = true;  // the MLP has a gate beside its way up

  int64_t rotary_dim = 0;  // of each head; the rest is not rotated
  RopeConfig rope;
  RopeConfig local_rope;  // of layers with a window, where theta is not 0
  // Of each layer; empty: none has one. A token sees itself and so many tokens
  // less one before it; 0: all.
  std::vector<int64_t> windows;
  std::vector<bool> without_rope;  // of each layer; empty: all rotate

  double embedding_scale = 1.0;
  double attention_scale = 0.0;  // of scores; 0: 1 / sqrt(head_dim)
  double residual_scale = 1.0;   // of what a block adds
  double logit_scale = 1.0;
  double attention_softcap =
      0.0;  // s: scores become s tanh(score / s); 0: none
  double logit_softcap = 0.0;

  // What was taken for granted where the file is silent; for a person.
  std::vector<std::string> notes;

  int64_t window_of(int64_t layer) const {
    return windows.empty() ? 0 : windows[static_cast<size_t>(layer)];
  }
  // nullptr: the layer does not rotate.
  const RopeConfig* rope_of(int64_t layer) const;
  double score_scale() const;
};

// config.json of one of the families (hf_config.cc); another architecture, an
// activation or rope that it does not have, and quantised weights are an Error
// (kInput) that names them. `where` names the file.
ModelConfig config_from_json(const Json& json, const std::string& where);
// Metadata of a GGUF file; the vocabulary's size is the number of rows of the
// token embedding, tied_embeddings means there is no output matrix.
ModelConfig config_from_gguf(const GgufFile& file);
// Throws Error kInput unless every size is in its sane range and consistent.
void check_config(const ModelConfig& config, const std::string& where);

}  // namespace selfalign::formats
