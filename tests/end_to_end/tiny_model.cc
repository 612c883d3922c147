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
constexpr int64_t kVocab = 257;
constexpr int64_t kLayers = 2;

std::string utf8(int code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6),
          static_cast<char>(0x80 | (code & 0x3f))};
}

// The byte-level alphabet: printable Latin-1 stands for itself, the other
// bytes for the code points from 256 on.
std::string tokenizer_json() {
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
  const Json end{{"id", 256},
                 {"content", "<|endoftext|>"},
                 {"single_word", false},
                 {"lstrip", false},
                 {"rstrip", false},
                 {"normalized", false},
                 {"special", true}};
  return dump_json({{"version", "1.0"},
                    {"truncation", nullptr},
                    {"padding", nullptr},
                    {"added_tokens", Json::array({end})},
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

class TensorMaker {
 public:
  void add(const std::string& name, std::vector<int64_t> shape, bool ones) {
    int64_t size = 1;
    for (const int64_t side : shape) size *= side;
    std::vector<float>& values = values_.emplace_back();
    for (int64_t i = 0; i < size; ++i) {
      const double u = draw_uniform(names_.size(), static_cast<uint64_t>(i));
      values.push_back(ones ? 1.0f : static_cast<float>((u - 0.5) * 0.4));
    }
    names_.push_back(name);
    shapes_.push_back(std::move(shape));
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

}  // namespace

void make_tiny_model(const std::string& folder) {
  make_folder(folder);
  TensorMaker made;
  made.add("model.embed_tokens.weight", {kVocab, kHidden}, false);
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    made.add(layer + "input_layernorm.weight", {kHidden}, true);
    made.add(layer + "post_attention_layernorm.weight", {kHidden}, true);
    const std::string attention = layer + "self_attn.";
    made.add(attention + "q_proj.weight", {kHidden, kHidden}, false);
    made.add(attention + "k_proj.weight", {kHeadDim, kHidden}, false);
    made.add(attention + "v_proj.weight", {kHeadDim, kHidden}, false);
    made.add(attention + "o_proj.weight", {kHidden, kHidden}, false);
    made.add(layer + "mlp.gate_proj.weight", {kIntermediate, kHidden}, false);
    made.add(layer + "mlp.up_proj.weight", {kIntermediate, kHidden}, false);
    made.add(layer + "mlp.down_proj.weight", {kHidden, kIntermediate}, false);
  }
  made.add("model.norm.weight", {kHidden}, true);
  formats::write_safetensors(folder + "/model.safetensors", made.views(),
                             {{"format", "pt"}});
  write_file_atomic(
      folder + "/config.json",
      dump_json({{"architectures", Json::array({"LlamaForCausalLM"})},
                 {"model_type", "llama"},
                 {"hidden_act", "silu"},
                 {"vocab_size", kVocab},
                 {"hidden_size", kHidden},
                 {"intermediate_size", kIntermediate},
                 {"num_hidden_layers", kLayers},
                 {"num_attention_heads", kHidden / kHeadDim},
                 {"num_key_value_heads", 1},
                 {"head_dim", kHeadDim},
                 {"max_position_embeddings", 2048},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", 10000.0},
                 {"tie_word_embeddings", true},
                 {"attention_bias", false},
                 {"eos_token_id", 256},
                 {"torch_dtype", "float32"}}));
  write_file_atomic(folder + "/tokenizer.json", tokenizer_json());
}

}  // namespace selfalign
