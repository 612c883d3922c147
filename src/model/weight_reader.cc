// SPDX-License-Identifier: Apache-2.0
#include "model/weight_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/forget_pages.h"

namespace selfalign::model {
namespace {

// Elements decoded at a time, so that no second copy of a matrix is in memory.
constexpr int64_t kChunk = int64_t{1} << 20;

const char* why_missing(const std::string& name) {
  return name == kHead ? "if the model's output is its embedding, "
                         "config.json must say tie_word_embeddings: true"
                       : "the files are not the whole model that its "
                         "configuration describes";
}

// Elements of a view to `out`, which has as many.
void decode(const formats::TensorView& view, const at::Tensor& out) {
  const int64_t rows = view.shape[0];
  const int64_t columns = view.num_elements() / std::max<int64_t>(rows, 1);
  const size_t row_bytes = view.bytes.size() / size_t(rows);
  const bool is_cut = view.shape.size() > 1;
  const int64_t step =
      is_cut ? std::max<int64_t>(1, kChunk / std::max<int64_t>(columns, 1))
             : rows;
  at::Tensor floats;
  for (int64_t row = 0; row < rows; row += step) {
    formats::TensorView part = view;
    part.shape[0] = std::min(step, rows - row);
    part.bytes = view.bytes.substr(size_t(row) * row_bytes,
                                   size_t(part.shape[0]) * row_bytes);
    const int64_t count = part.num_elements();
    if (!floats.defined()) floats = at::empty({count}, at::kFloat);
    formats::to_float(part, floats.data_ptr<float>());
    out.narrow(0, row * columns, count).copy_(floats.narrow(0, 0, count));
  }
}

}  // namespace

at::Tensor WeightReader::vector(const std::string& name,
                                const std::vector<int64_t>& shape) {
  const Views parts = find(name, shape);
  return mode_ == Mode::kCheck ? at::Tensor() : values(parts, shape);
}

at::Tensor WeightReader::matrix(const std::string& name,
                                const std::vector<int64_t>& shape) {
  const Views parts = find(name, shape);
  if (mode_ == Mode::kCheck) return {};
  at::Tensor matrix =
      mode_ == Mode::kDigest
          ? at::empty(shape, at::TensorOptions(dtype_).device(at::kMeta))
          : values(parts, shape);
  // The pages of the file are not ours to hold beside the values.
  for (const formats::TensorView& part : parts) forget_pages(part.bytes);
  return matrix;
}

WeightReader::Views WeightReader::find(const std::string& name,
                                       const std::vector<int64_t>& shape) {
  Views parts = fused_parts(name, shape);
  if (const formats::TensorView* view = source_.find(name)) {
    if (!parts.empty()) {
      refuse(name,
             "it stands alone and within a fused tensor; the files are "
             "of two models");
    }
    require_shape(*view, shape);
    taken_.insert(name);
    parts.push_back(*view);
  }
  if (parts.empty()) {
    throw Error(ErrorKind::kInput,
                selfalign::str(where_, ": there is no tensor '", name, "'; ",
                               why_missing(name)));
  }
  if (mode_ == Mode::kDigest || mode_ == Mode::kHold) {
    hasher_.add(name);
    for (const formats::TensorView& part : parts) hasher_.add(part.bytes);
  }
  return parts;
}

at::Tensor WeightReader::values(const Views& parts,
                                const std::vector<int64_t>& shape) const {
  at::Tensor out = at::empty(shape, dtype_);
  int64_t at = 0;
  for (const formats::TensorView& part : parts) {
    const int64_t count = part.num_elements();
    decode(part, out.view({-1}).narrow(0, at, count));
    at += count;
  }
  return out.to(device_);
}

void WeightReader::refuse(const std::string& name,
                          const std::string& why) const {
  throw Error(ErrorKind::kInput,
              selfalign::str(where_, ": tensor '", name, "': ", why));
}

void WeightReader::require_shape(const formats::TensorView& view,
                                 const std::vector<int64_t>& shape) const {
  if (view.shape == shape) return;
  throw Error(
      ErrorKind::kInput,
      selfalign::str(where_, ": tensor '", view.name, "': expected shape ",
                     c10::IntArrayRef(shape), ", found ",
                     c10::IntArrayRef(view.shape),
                     "; configuration and weights do not belong together"));
}

WeightReader::Views WeightReader::fused_parts(
    const std::string& name, const std::vector<int64_t>& shape) {
  for (const formats::LinearModule& module : fused_) {
    for (const formats::ModuleRows& part : module.parts) {
      const std::string own = selfalign::str(
          '.', formats::kProjectionNames[size_t(part.projection)], '.');
      const size_t at = name.find(own);
      if (at == std::string::npos) continue;
      const size_t leaf = module.name.find('.');
      std::string fused = name;
      fused.replace(at, own.size(), module.name.substr(leaf) + '.');
      const formats::TensorView* view = source_.find(fused);
      if (view == nullptr) continue;
      std::vector<int64_t> whole = shape;
      whole[0] = module.out;
      require_shape(*view, whole);
      taken_.insert(fused);
      return cut_rows(*view, name, module.out, part);
    }
  }
  return {};
}

WeightReader::Views WeightReader::cut_rows(
    const formats::TensorView& view, const std::string& name, int64_t num_rows,
    const formats::ModuleRows& part) const {
  std::vector<formats::TensorView> parts;
  const size_t row_bytes = view.bytes.size() / size_t(num_rows);
  for (int64_t row = 0; row < part.rows; row += part.block) {
    const int64_t from = part.first + row / part.block * part.stride;
    formats::TensorView cut = view;
    cut.shape[0] = part.block;
    cut.bytes = view.bytes.substr(size_t(from) * row_bytes,
                                  size_t(part.block) * row_bytes);
    if (formats::storage_bytes(cut.type, cut.shape) != cut.bytes.size()) {
      refuse(view.name, selfalign::str("its blocks of type ",
                                       formats::element_type_name(cut.type),
                                       " cannot be cut into ", name,
                                       "; store it as F32 or F16"));
    }
    parts.push_back(std::move(cut));
  }
  return parts;
}

at::Tensor WeightReader::read_norms(const TensorPlace& place) {
  const int64_t heads = place.num_norms;
  if (source_.find(place.name) != nullptr) {  // GGUF: all heads in one
    const at::Tensor all = vector(place.name, {heads, place.shape[0] / heads});
    return all.defined() ? all.reshape(-1) : all;
  }
  std::vector<at::Tensor> parts;
  for (int64_t head = 0; head < heads; ++head) {
    const TensorPlace own = place.of_head(head);
    parts.push_back(vector(own.name, own.shape));
  }
  return parts[0].defined() ? at::cat(parts) : at::Tensor();
}

at::Tensor WeightReader::read(const TensorPlace& place) {
  if (place.num_norms > 0) return read_norms(place);
  at::Tensor t = place.shape.size() == 1 ? vector(place.name, place.shape)
                                         : matrix(place.name, place.shape);
  if (place.rotary_heads == 0 || !t.defined() || t.is_meta() ||
      !source_.interleaved_rope_rows()) {
    return t;
  }
  return t.view({place.rotary_heads, config_.head_dim / 2, 2, -1})
      .transpose(1, 2)
      .reshape(place.shape);
}

void read_weights(WeightReader& reader, Weights& weights) {
  weights.layers.resize(size_t(weights.config.num_layers));
  visit_weights(weights,
                [&reader](at::Tensor& tensor, const TensorPlace& place) {
                  tensor = reader.read(place);
                });
  if (weights.config.tied_embeddings) weights.head = weights.embedding;
}

}  // namespace selfalign::model
