// SPDX-License-Identifier: Apache-2.0
// GGUF version 2 and 3 (ggml's docs/gguf.md): header, metadata, tensor table.
// Everything in the file is hostile until checked: counts, string lengths,
// nesting, offsets, alignment, sizes against the file's length. Refused by
// name: version 1, big-endian files, duplicate keys or tensors, arrays
// of arrays, overlapping tensors, tensor types other than those of ElementType.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {

// The file's code of a tensor's type, which it has.
uint32_t gguf_code(ElementType type);

// A list of metadata. It stays in the file until it is asked for: what nobody
// wants takes no memory, however long it is.
struct GgufArray {
  uint32_t type = 0;       // of its elements, as in the file
  uint64_t size = 0;       // number of them
  uint64_t begin = 0;      // byte of the file
  std::string_view bytes;  // of all of them, checked to be there
};
// Texts lie in the file, which the GgufFile keeps mapped.
using GgufValue =
    std::variant<int64_t, double, bool, std::string_view, GgufArray>;

class GgufFile {
 public:
  // Error kInput: where in the file, what was expected, what was found.
  static std::shared_ptr<const GgufFile> open(const std::string& path);

  const std::string& path() const { return map_.path(); }
  uint32_t version() const { return version_; }
  // Metadata in file order.
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const {
    return metadata_;
  }
  const GgufValue* find(const std::string& key) const;
  // The value of metadata()[i] as it lies in the file, its type first.
  std::string_view stored(size_t i) const { return stored_[i]; }
  // Typed getters; Error kInput names key, type wanted and type found. Strings
  // are names, of at most 255 bytes.
  std::string get_string(const std::string& key) const;
  int64_t get_int(const std::string& key) const;
  double get_float(const std::string& key) const;
  bool get_bool_or(const std::string& key, bool fallback) const;
  int64_t get_int_or(const std::string& key, int64_t fallback) const;
  std::string get_string_or(const std::string& key,
                            const std::string& fallback) const;
  // Lists, of `most` elements at most: more than any vocabulary has, so that
  // what a file of that kind can make of memory is bounded. The texts lie in
  // the file.
  static constexpr uint64_t kMaxElements = uint64_t{1} << 22;
  std::vector<std::string_view> get_strings(const std::string& key,
                                            uint64_t most = kMaxElements) const;
  std::vector<int64_t> get_ints(const std::string& key,
                                uint64_t most = kMaxElements) const;
  std::vector<bool> get_bools(const std::string& key,
                              uint64_t most = kMaxElements) const;
  std::vector<double> get_floats(const std::string& key,
                                 uint64_t most = kMaxElements) const;
  // Of a list of any type; 0 where there is none.
  uint64_t size_of(const std::string& key) const;

  // Tensors under their GGUF names ("blk.0.attn_q.weight"), shapes outermost
  // first (the reverse of the file's order).
  const std::vector<TensorView>& tensors() const { return tensors_; }

  // Error kInput if it was written to since it was opened.
  void require_unchanged() const { map_.require_unchanged(); }

 private:
  explicit GgufFile(const std::string& path) : map_(path) {}
  void parse();

  MappedFile map_;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<std::string_view> stored_;
  uint32_t version_ = 0;
  std::vector<TensorView> tensors_;
};

}  // namespace selfalign::formats
