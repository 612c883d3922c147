// SPDX-License-Identifier: Apache-2.0
// Writing GGUF, version 3 (reading is formats/gguf.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/gguf.h"
#include "formats/planned_tensor.h"

namespace selfalign::formats {

// Metadata in order, in the types that llama.cpp's reader wants: integers are
// uint32, numbers float32. A key that is there already gets the new value.
class GgufEntries {
 public:
  void set(const std::string& key, std::string_view text);
  void set(const std::string& key, uint32_t number);
  void set(const std::string& key, float number);
  void set(const std::string& key, bool truth);
  void set(const std::string& key, const std::vector<std::string>& texts);
  void set(const std::string& key, const std::vector<int32_t>& numbers);
  void set(const std::string& key, const std::vector<float>& numbers);
  void set(const std::string& key, const char* text) {
    set(key, std::string_view(text));
  }
  // A value as a file has it, its type first.
  void set_stored(const std::string& key, std::string bytes);
  void remove(const std::string& key);

  uint64_t size() const { return entries_.size(); }
  std::string bytes() const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

// A new file: the constructor writes its header and the first `num_ready`
// tensors and gives it its size, the others being zeros, so that it can be
// opened and checked; write_tensors then writes those and makes all of it
// durable.
class GgufWriter {
 public:
  GgufWriter(std::string path, const GgufEntries& entries,
             std::vector<PlannedTensor> tensors, size_t num_ready = 0);
  void write_tensors() const;

 private:
  const std::string path_;
  const std::vector<PlannedTensor> tensors_;
  const size_t num_ready_;
  uint64_t ready_ = 0;  // bytes
};

}  // namespace selfalign::formats
