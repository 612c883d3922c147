// SPDX-License-Identifier: Apache-2.0
#include "tiny_model.h"

#include <cstdint>
#include <deque>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "formats/safetensors.h"

namespace selfalign {
namespace {

constexpr int64_t kHidden = 32;
constexpr int64_t kHeadDim = 16;
constexpr int64_t kIntermediate = 48;
constexpr int64_t kEnd = 256;
constexpr int64_t kBytesVocab = 257;
constexpr int64_t kLayers = 2;

std::string utf8(int code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6),
          static_cast<char>(0x80 | (code & 0x3f))};
}

// The byte-level alphabet: printable Latin-1 stands for itself, the other
// bytes for the code points from 256 on.
std::string tokenizer_json(const std::vector<std::string>& phrases) {
  Json vocab = Json::object();
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) ||
                           (byte >= 161 && byte <= 172) || byte >= 174;
    vocab[utf8(printable ? byte : next++)] = byte;
  }
  vocab["<|endoftext|>"] = 256;
  const Json byte_level{{"type", "ByteLevel"},
                        {"add_prefix_space", false},
                        {"trim_offsets", true},
                        {"use_regex", true}};
  Json added = Json::array();
  const auto add = [&added](int64_t id, const std::string& text) {
    added.push_back({{"id", id},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", id == kEnd}});
  };
  add(kEnd, "<|endoftext|>");
  for (size_t i = 0; i < phrases.size(); ++i) {
    add(kBytesVocab + static_cast<int64_t>(i), phrases[i]);
  }
  return dump_json({{"version", "1.0"},
                    {"truncation", nullptr},
                    {"padding", nullptr},
                    {"added_tokens", added},
                    {"normalizer", nullptr},
                    {"pre_tokenizer", byte_level},
                    {"post_processor", nullptr},
                    {"decoder", byte_level},
                    {"model",
                     {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"vocab", vocab},
                      {"merges", Json::array()}}}});
}

enum class Fill { kRandom, kOnes, kZeros };

class TensorMaker {
 public:
  std::vector<float>& add(const std::string& name, std::vector<int64_t> shape,
                          Fill fill) {
    int64_t size = 1;
    for (const int64_t side : shape) size *= side;
    std::vector<float>& values = values_.emplace_back();
    for (int64_t i = 0; i < size; ++i) {
      const double u = draw_uniform(names_.size(), static_cast<uint64_t>(i));
      const double random = (u - 0.5) * 0.4;
      values.push_back(fill == Fill::kRandom ? static_cast<float>(random)
                                             : float(fill == Fill::kOnes));
    }
    names_.push_back(name);
    shapes_.push_back(std::move(shape));
    return values;
  }
  std::vector<formats::TensorView> views() const {
    std::vector<formats::TensorView> views;
    for (size_t i = 0; i < names_.size(); ++i) {
      formats::TensorView view;
      view.name = names_[i];
      view.type = formats::ElementType::kF32;
      view.shape = shapes_[i];
      view.bytes = {reinterpret_cast<const char*>(values_[i].data()),
                    values_[i].size() * sizeof(float)};
      views.push_back(view);
    }
    return views;
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<int64_t>> shapes_;
  std::deque<std::vector<float>> values_;
};

// The layers; with `silent` ones nothing they compute gets into the result.
void add_layers(TensorMaker& made, bool silent) {
  const Fill last = silent ? Fill::kZeros : Fill::kRandom;
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto add = [&](const char* name, int64_t rows, int64_t columns,
                         Fill fill) {
      made.add(layer + name + ".weight", {rows, columns}, fill);
    };
    made.add(layer + "input_layernorm.weight", {kHidden}, Fill::kOnes);
    made.add(layer + "post_attention_layernorm.weight", {kHidden}, Fill::kOnes);
    add("self_attn.q_proj", kHidden, kHidden, Fill::kRandom);
    add("self_attn.k_proj", kHeadDim, kHidden, Fill::kRandom);
    add("self_attn.v_proj", kHeadDim, kHidden, Fill::kRandom);
    add("self_attn.o_proj", kHidden, kHidden, last);
    add("mlp.gate_proj", kIntermediate, kHidden, Fill::kRandom);
    add("mlp.up_proj", kIntermediate, kHidden, Fill::kRandom);
    add("mlp.down_proj", kHidden, kIntermediate, last);
  }
  made.add("model.norm.weight", {kHidden}, Fill::kOnes);
}

void write_model(const std::string& folder, const TensorMaker& made,
                 const std::vector<std::string>& phrases) {
  formats::write_safetensors(folder + "/model.safetensors", made.views(),
                             {{"format", "pt"}});
  const int64_t vocab = kBytesVocab + static_cast<int64_t>(phrases.size());
  write_file_atomic(
      folder + "/config.json",
      dump_json({{"architectures", Json::array({"LlamaForCausalLM"})},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"vocab_size", vocab},
                 {"hidden_size", kHidden},
                 {"intermediate_size", kIntermediate},
                 {"num_hidden_layers", kLayers},
                 {"num_attention_heads", kHidden / kHeadDim},
                 {"num_key_value_heads", 1},
                 {"head_dim", kHeadDim},
                 {"max_position_embeddings", phrases.empty() ? 2048 : 16384},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", 10000.0},
                 {"tie_word_embeddings", phrases.empty()},
                 {"attention_bias", false},
                 {"eos_token_id", kEnd},
                 {"torch_dtype", "float32"}}));
  write_file_atomic(folder + "/tokenizer.json", tokenizer_json(phrases));
}

}  // namespace

void make_tiny_model(const std::string& folder) {
  make_folder(folder);
  TensorMaker made;
  made.add("model.embed_tokens.weight", {kBytesVocab, kHidden}, Fill::kRandom);
  add_layers(made, false);
  write_model(folder, made, {});
}

void make_phrase_model(const std::string& folder,
                       const std::vector<Phrases>& phrases) {
  make_folder(folder);
  std::vector<std::string> texts;
  for (const Phrases& set : phrases) {
    texts.push_back(set.after);
    texts.insert(texts.end(), set.texts.begin(), set.texts.end());
  }
  const auto vocab = static_cast<size_t>(kBytesVocab) + texts.size();
  TensorMaker made;
  // Direction 0 leads to the end of text, direction n to the phrases of set n.
  std::vector<float>& in = made.add("model.embed_tokens.weight",
                                    {int64_t(vocab), kHidden}, Fill::kZeros);
  std::vector<float>& out =
      made.add("lm_head.weight", {int64_t(vocab), kHidden}, Fill::kZeros);
  for (size_t token = 0; token < vocab; ++token) in[token * kHidden] = 1.0f;
  constexpr float kSure = 3.0f;  // logits of 17, those of others are 0
  out[size_t(kEnd) * kHidden] = kSure;
  size_t token = size_t(kBytesVocab);
  for (size_t set = 0; set < phrases.size(); ++set) {
    in[token * kHidden] = 0.0f;
    in[token++ * kHidden + set + 1] = 1.0f;
    for (size_t i = 0; i < phrases[set].texts.size(); ++i) {
      out[token++ * kHidden + set + 1] = kSure;
    }
  }
  add_layers(made, true);
  write_model(folder, made, texts);
}

}  // namespace selfalign
