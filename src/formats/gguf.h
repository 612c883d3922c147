// GGUF version 3 (ggml's docs/gguf.md): header, metadata, tensor table.
// Everything in the file is hostile until checked: counts, string lengths,
// nesting, offsets, alignment, sizes against the file's length. Refused by
// name: versions 1 and 2, big-endian files, duplicate keys or tensors, arrays
// of arrays, overlapping tensors, tensor types other than those of ElementType.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {

using GgufArray = std::variant<std::vector<int64_t>, std::vector<double>,
                               std::vector<bool>, std::vector<std::string>>;
using GgufValue = std::variant<int64_t, double, bool, std::string, GgufArray>;

class GgufFile {
 public:
  // Error kInput: where in the file, what was expected, what was found.
  static std::shared_ptr<const GgufFile> open(const std::string& path);

  const std::string& path() const { return map_.path(); }
  // Metadata in file order.
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const {
    return metadata_;
  }
  const GgufValue* find(const std::string& key) const;
  // Typed getters; Error kInput names key, type wanted and type found.
  std::string get_string(const std::string& key) const;
  int64_t get_int(const std::string& key) const;
  double get_float(const std::string& key) const;
  bool get_bool_or(const std::string& key, bool fallback) const;
  int64_t get_int_or(const std::string& key, int64_t fallback) const;
  std::string get_string_or(const std::string& key,
                            const std::string& fallback) const;
  const std::vector<std::string>& get_strings(const std::string& key) const;
  const std::vector<int64_t>& get_ints(const std::string& key) const;

  // Tensors under their GGUF names ("blk.0.attn_q.weight"), shapes outermost
  // first (the reverse of the file's order).
  const std::vector<TensorView>& tensors() const { return tensors_; }

 private:
  explicit GgufFile(const std::string& path) : map_(path) {}
  void parse();

  MappedFile map_;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<TensorView> tensors_;
};

}  // namespace selfalign::formats
