// SPDX-License-Identifier: Apache-2.0
// Opening models: names and shapes are checked against the configuration before
// a byte is decoded.
#include "model/load_weights.h"

#include <ATen/ops/equal.h>

#include <cstring>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/free_memory.h"
#include "base/log.h"
#include "base/number.h"
#include "formats/model_path.h"
#include "model/weight_reader.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig, formats::ModelFiles;
using formats::Projection;
using Mode = WeightReader::Mode;

bool same_values(const formats::TensorView& a, const formats::TensorView& b) {
  if (a.shape != b.shape) return false;
  if (a.type == b.type) return a.bytes == b.bytes;
  const auto floats = [](const formats::TensorView& view) {
    at::Tensor out = at::empty(view.shape, at::kFloat);
    formats::to_float(view, out.data_ptr<float>());
    return out;
  };
  return at::equal(floats(a), floats(b));
}

// The tables of old conversions, which follow from the configuration and are
// computed from it by every reader: rotary frequencies and causal masks.
bool is_table(const formats::TensorView& tensor) {
  const std::string& name = tensor.name;
  return tensor.type == formats::ElementType::kBool ||
         name.ends_with("rotary_emb.inv_freq") ||
         name.ends_with(".attention.bias") ||
         name.ends_with(".attention.masked_bias");
}

// What stands in the file and would play no part.
void refuse_unused(const formats::TensorSource& source,
                   const std::set<std::string>& taken, bool tied,
                   const std::string& where) {
  for (const formats::TensorView& tensor : source.tensors()) {
    if (taken.contains(tensor.name) || is_table(tensor)) continue;
    if (tied && tensor.name == kHead) {
      if (same_values(tensor, *source.find(kEmbedding))) continue;
      throw Error(
          ErrorKind::kInput,
          selfalign::str(where, ": tensor '", kHead,
                         "': expected none or the embedding's values, for "
                         "config.json says tie_word_embeddings: true, found "
                         "others; set it to false if the model has an output "
                         "of its own"));
    }
    throw Error(
        ErrorKind::kInput,
        selfalign::str(
            where, ": tensor '", tensor.name,
            "': a model of this configuration has no place for it; correct the "
            "configuration, or this kind of model is not supported"));
  }
}

void check_memory(const ModelConfig& config, at::Device device,
                  at::ScalarType dtype, Rounding rounding,
                  const std::string& path) {
  if (!device.is_cpu()) return;
  const uint64_t bytes = weight_bytes(config, dtype, rounding);
  const auto available = free_memory();
  if (!available || bytes < *available) return;
  const char* advice =
      rounding == Rounding::kNone && dtype == at::kFloat
          ? "use --dtype bfloat16, --weights int8 or int4, a smaller model or "
            "more memory"
      : rounding == Rounding::kInt4
          ? "use a smaller model or more memory"
          : "use --weights int4, a smaller model or more memory";
  throw Error(ErrorKind::kResources,
              selfalign::str(path, ": expected ", bytes >> 20,
                             " MiB of free memory for the weights, found ",
                             *available >> 20, "; ", advice));
}

// Whether `text`, of six digits, tells the number from others.
bool is_told_by(const std::string& text, double number) {
  return parse_number<double>(text) == number ||
         parse_number<float>(text) == number;
}

void add_exactly(double number, Hasher& hasher) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  hasher.add(bytes);
}

// What a rope has beside theta, type and factor.
void add_rope(const formats::RopeConfig& rope, Hasher& hasher) {
  const auto& [theta, type, factor, low_freq_factor, high_freq_factor,
               original_positions, attention_factor, beta_fast, beta_slow,
               truncate, factors, long_factors] = rope;
  if (type == "none" || type == "linear") return;
  if (type == "llama3") {
    add_exactly(low_freq_factor, hasher);
    add_exactly(high_freq_factor, hasher);
    hasher.add(uint64_t(original_positions));
    return;
  }
  hasher.add(uint64_t(original_positions)).add(uint64_t(truncate));
  for (const double number : {attention_factor, beta_fast, beta_slow}) {
    add_exactly(number, hasher);
  }
  for (const double number : factors) add_exactly(number, hasher);
  for (const double number : long_factors) add_exactly(number, hasher);
}

// All of the configuration that the names and sizes of the tensors do not tell.
// Each member is named here, so that a new one does not compile until it has
// its place. What is added only in some models leaves the digests of the
// others, by which runs know their model, as they were.
void add_config(const ModelConfig& config, Hasher& hasher) {
  const auto& [family, num_layers, hidden_size, num_heads, num_kv_heads,
               head_dim, intermediate_size, vocab_size, max_positions, norm_eps,
               tied_embeddings, norm, norm_bias, block, qk_norm, qkv_bias,
               o_bias, mlp_bias, activation, gated, rotary_dim, rope,
               local_rope, windows, without_rope, embedding_scale,
               attention_scale, residual_scale, logit_scale, attention_softcap,
               logit_softcap, notes] = config;
  hasher.add(uint64_t(num_layers))
      .add(uint64_t(num_heads))
      .add(uint64_t(num_kv_heads))
      .add(selfalign::str(rope.theta, ' ', rope.type))
      .add(selfalign::str(rope.factor, ' ', norm_eps));
  for (const double number : {rope.theta, rope.factor, norm_eps}) {
    if (!is_told_by(selfalign::str(number), number)) {
      add_exactly(number, hasher);
    }
  }
  add_rope(rope, hasher);
  const formats::ModelConfig plain;
  if (family != plain.family || activation != plain.activation) {
    hasher.add(family).add(selfalign::str(int(norm), ' ', int(block), ' ',
                                          int(qk_norm), ' ', int(activation),
                                          ' ', rotary_dim));
    for (const double number :
         {embedding_scale, attention_scale, residual_scale, logit_scale,
          attention_softcap, logit_softcap, local_rope.theta}) {
      add_exactly(number, hasher);
    }
    hasher.add(local_rope.type);
    add_exactly(local_rope.factor, hasher);
    add_rope(local_rope, hasher);
    for (const int64_t window : windows) hasher.add(uint64_t(window));
    for (const bool without : without_rope) hasher.add(uint64_t(without));
  }
  // Told by the tensors: shapes, and names that are there or not. Positions
  // decide what fits and no value; an engine's fingerprint has its context.
  static_cast<void>(std::tie(
      hidden_size, head_dim, intermediate_size, vocab_size, max_positions,
      tied_embeddings, norm_bias, qkv_bias, o_bias, mlp_bias, gated, notes));
}

// Opens the files and goes through all tensors before a byte is decoded.
ModelFiles open_checked(const std::string& path, at::Device device,
                        at::ScalarType dtype, Rounding rounding) {
  ModelFiles files = formats::open_model_files(path);
  check_memory(files.config, device, dtype, rounding, path);
  WeightReader reader(*files.tensors, files.config, path, Mode::kCheck);
  Weights nothing;
  nothing.config = files.config;
  read_weights(reader, nothing);
  refuse_unused(*files.tensors, reader.taken(), files.config.tied_embeddings,
                path);
  return files;
}

class FileSource : public WeightSource {
 public:
  FileSource(ModelFiles files, std::string path, at::ScalarType dtype)
      : files_(std::move(files)), path_(std::move(path)), dtype_(dtype) {}

  at::Tensor projection(int64_t layer, Projection which) const override {
    at::Tensor matrix;
    visit_projection(files_.config, layer, which, matrix,
                     [this](at::Tensor& tensor, const TensorPlace& place) {
                       tensor = read(place);
                     });
    return matrix;
  }
  at::Tensor embedding() const override {
    return read(embedding_place(files_.config));
  }
  at::Tensor head() const override { return read(head_place(files_.config)); }
  const ModelFiles& files() const { return files_; }

 private:
  at::Tensor read(const TensorPlace& place) const {
    WeightReader reader(*files_.tensors, files_.config, path_, Mode::kRead,
                        at::kCPU, dtype_);
    at::Tensor matrix = reader.read(place);
    files_.tensors->require_unchanged();
    return matrix;
  }

  ModelFiles files_;
  std::string path_;
  at::ScalarType dtype_;
};

// The model's tensors in the mode, with its digest.
void read_all(const ModelFiles& files, const std::string& path, Mode mode,
              at::Device device, at::ScalarType dtype, Weights& weights) {
  weights.config = files.config;
  for (const std::string& note : weights.config.notes) log_info(note);
  WeightReader reader(*files.tensors, weights.config, path, mode, device,
                      dtype);
  add_config(weights.config, reader.hasher());
  read_weights(reader, weights);
  files.tensors->require_unchanged();
  weights.digest = reader.digest();
}

}  // namespace

uint64_t weight_bytes(const ModelConfig& c, at::ScalarType dtype,
                      Rounding rounding) {
  const double attention = double(c.hidden_size * c.head_dim) * 2.0 *
                           double(c.num_heads + c.num_kv_heads);
  const double mlp = (c.gated ? 3.0 : 2.0) * double(c.hidden_size) *
                     double(c.intermediate_size);
  const double words = double(c.vocab_size) * double(c.hidden_size);
  double bits = (attention + mlp) * double(c.num_layers) *
                bits_per_weight(rounding, dtype);
  bits += words * bits_per_weight(output_rounding(rounding), dtype);
  if (!c.tied_embeddings)
    bits += words * bits_per_weight(Rounding::kNone, dtype);
  return uint64_t(bits / 8.0);
}

ModelConfig check_weights(const std::string& path, at::Device device,
                          at::ScalarType dtype, Rounding rounding) {
  return open_checked(path, device, dtype, rounding).config;
}

Weights load_weights(const std::string& path, at::Device device,
                     at::ScalarType dtype) {
  const ModelFiles files = open_checked(path, device, dtype, Rounding::kNone);
  Weights weights;
  // On no device a matrix has no values: only its bytes are asked for.
  read_all(files, path, device.is_meta() ? Mode::kDigest : Mode::kHold, device,
           dtype, weights);
  return weights;
}

Weights open_weights(const std::string& path, at::ScalarType dtype,
                     Rounding rounding) {
  const auto source = std::make_shared<FileSource>(
      open_checked(path, at::kCPU, dtype, rounding), path, dtype);
  Weights weights;
  read_all(source->files(), path, Mode::kDigest, at::kCPU, dtype, weights);
  weights.source = source;
  weights.rounding = rounding;
  return weights;
}

}  // namespace selfalign::model
