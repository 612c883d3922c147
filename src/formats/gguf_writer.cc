// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_writer.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/own_file.h"
#include "formats/gguf_cursor.h"

namespace selfalign::formats {
namespace {

constexpr uint64_t kAlignment = 32;  // where the file states no other

template <typename T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string raw_text(std::string_view text) {
  return raw(uint64_t{text.size()}) + std::string(text);
}

template <typename T>
std::string raw_list(GgufType type, const std::vector<T>& values) {
  std::string bytes = raw(uint32_t{kArray}) + raw(uint32_t{type}) +
                      raw(uint64_t{values.size()});
  for (const T& value : values) {
    if constexpr (std::is_same_v<T, std::string>) {
      bytes += raw_text(value);
    } else {
      bytes += raw(value);
    }
  }
  return bytes;
}

uint64_t aligned(uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

void GgufEntries::set_stored(const std::string& key, std::string bytes) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(),
                   [&](const auto& entry) { return entry.first == key; });
  if (found != entries_.end()) {
    found->second = std::move(bytes);
  } else {
    entries_.emplace_back(key, std::move(bytes));
  }
}

void GgufEntries::set(const std::string& key, std::string_view text) {
  set_stored(key, raw(uint32_t{kString}) + raw_text(text));
}
void GgufEntries::set(const std::string& key, uint32_t number) {
  set_stored(key, raw(uint32_t{kUint32}) + raw(number));
}
void GgufEntries::set(const std::string& key, float number) {
  set_stored(key, raw(uint32_t{kFloat32}) + raw(number));
}
void GgufEntries::set(const std::string& key, bool truth) {
  set_stored(key, raw(uint32_t{kBool}) + raw(uint8_t{truth}));
}
void GgufEntries::set(const std::string& key,
                      const std::vector<std::string>& texts) {
  set_stored(key, raw_list(kString, texts));
}
void GgufEntries::set(const std::string& key,
                      const std::vector<int32_t>& numbers) {
  set_stored(key, raw_list(kInt32, numbers));
}
void GgufEntries::set(const std::string& key,
                      const std::vector<float>& numbers) {
  set_stored(key, raw_list(kFloat32, numbers));
}

void GgufEntries::remove(const std::string& key) {
  std::erase_if(entries_,
                [&](const auto& entry) { return entry.first == key; });
}

std::string GgufEntries::bytes() const {
  std::string all;
  for (const auto& [key, value] : entries_) all += raw_text(key) + value;
  return all;
}

GgufWriter::GgufWriter(std::string path, const GgufEntries& entries,
                       std::vector<PlannedTensor> tensors, size_t num_ready)
    : path_(std::move(path)),
      tensors_(std::move(tensors)),
      num_ready_(num_ready) {
  std::string header = "GGUF" + raw(uint32_t{3}) +
                       raw(uint64_t{tensors_.size()}) + raw(entries.size()) +
                       entries.bytes();
  uint64_t offset = 0;
  for (const PlannedTensor& tensor : tensors_) {
    header += raw_text(tensor.name) + raw(uint32_t(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend();
         ++size) {
      header += raw(uint64_t(*size));
    }
    header += raw(gguf_code(tensor.type)) + raw(offset);
    offset = aligned(offset + tensor.num_bytes());
  }
  header.resize(aligned(header.size()));
  const uint64_t size = header.size() + offset;
  for (size_t i = 0; i < num_ready_; ++i) {
    header += tensors_[i].bytes();
    header.resize(aligned(header.size()));
  }
  ready_ = header.size();
  OwnFile(path_, 0).append(header);
  OwnFile(path_, size).sync();
}

void GgufWriter::write_tensors() const {
  OwnFile file(path_, ready_);
  for (size_t i = num_ready_; i < tensors_.size(); ++i) {
    std::string bytes = tensors_[i].bytes();
    bytes.resize(aligned(bytes.size()));
    file.append(bytes);
  }
  file.sync();
}

}  // namespace selfalign::formats
