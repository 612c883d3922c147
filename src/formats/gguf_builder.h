// SPDX-License-Identifier: Apache-2.0
// Tests only: builds GGUF files byte by byte, right ones and broken ones.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing.h"

namespace selfalign::formats {

template <typename T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
}

inline std::string gguf_string(std::string_view text) {
  return raw(uint64_t{text.size()}) + std::string(text);
}

class GgufBuilder {
 public:
  uint32_t version = 3;
  uint64_t alignment = 32;

  // `type` and `bytes` as in the file.
  void value(const std::string& key, uint32_t type, const std::string& bytes) {
    metadata_ += gguf_string(key) + raw(type) + bytes;
    ++num_values_;
  }
  void text(const std::string& key, const std::string& value_text) {
    value(key, 8, gguf_string(value_text));
  }
  void number(const std::string& key, uint32_t number) {
    value(key, 4, raw(number));
  }
  void real(const std::string& key, float number) {
    value(key, 6, raw(number));
  }
  void array(const std::string& key, uint32_t type, uint64_t count,
             const std::string& bytes) {
    value(key, 9, raw(type) + raw(count) + bytes);
  }

  // `shape` innermost first, as in the file; `bytes` are its data.
  void tensor(const std::string& name, uint32_t type,
              const std::vector<uint64_t>& shape, const std::string& bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensor_at(name, type, shape, data_.size());
    data_ += bytes;
  }
  void tensor_at(const std::string& name, uint32_t type,
                 const std::vector<uint64_t>& shape, uint64_t offset) {
    tensors_ += gguf_string(name) + raw(static_cast<uint32_t>(shape.size()));
    for (uint64_t size : shape) tensors_ += raw(size);
    tensors_ += raw(type) + raw(offset);
    ++num_tensors_;
  }

  std::string bytes() const {
    std::string file = "GGUF" + raw(version) + raw(num_tensors_) +
                       raw(num_values_) + metadata_ + tensors_;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

 private:
  std::string metadata_;
  std::string tensors_;
  std::string data_;
  uint64_t num_values_ = 0;
  uint64_t num_tensors_ = 0;
};

// One layer of width 4, two heads of 2, one KV head, MLP 6, 3 tokens, tied.
inline GgufBuilder tiny_llama_gguf() {
  GgufBuilder file;
  file.text("general.architecture", "llama");
  file.number("llama.block_count", 1);
  file.number("llama.context_length", 16);
  file.number("llama.embedding_length", 4);
  file.number("llama.feed_forward_length", 6);
  file.number("llama.attention.head_count", 2);
  file.number("llama.attention.head_count_kv", 1);
  file.real("llama.rope.freq_base", 1e4f);
  file.real("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  file.array("tokenizer.ggml.tokens", 8, 3,
             gguf_string("a") + gguf_string("b") + gguf_string("c"));
  const auto f32 = [&](const std::string& name,
                       const std::vector<uint64_t>& shape) {
    uint64_t count = 1;
    for (uint64_t size : shape) count *= size;
    std::string bytes;
    for (uint64_t i = 0; i < count; ++i) bytes += raw(static_cast<float>(i));
    file.tensor(name, 0, shape, bytes);
  };
  f32("token_embd.weight", {4, 3});
  f32("output_norm.weight", {4});
  f32("blk.0.attn_norm.weight", {4});
  f32("blk.0.attn_q.weight", {4, 4});
  f32("blk.0.attn_k.weight", {4, 2});
  f32("blk.0.attn_v.weight", {4, 2});
  f32("blk.0.attn_output.weight", {4, 4});
  f32("blk.0.ffn_norm.weight", {4});
  f32("blk.0.ffn_gate.weight", {4, 6});
  f32("blk.0.ffn_up.weight", {4, 6});
  f32("blk.0.ffn_down.weight", {6, 4});
  return file;
}

// The bytes as a file of the test's own; returns its path. An old file of that
// name is overwritten in place: a file cut to nothing first is flushed to disk
// on some systems, which thousands of damaged files have no time for.
inline std::string test_file(const std::string& name, std::string_view bytes) {
  std::string path = testing::TempDir() + "formats_" + name;
  { std::ofstream make(path, std::ios::app); }
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << bytes;
  std::filesystem::resize_file(path, bytes.size());
  return path;
}

}  // namespace selfalign::formats
