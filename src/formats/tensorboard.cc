// SPDX-License-Identifier: Apache-2.0
#include "formats/tensorboard.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::formats {
namespace {

// Bytes of a number, little-endian as TFRecord and protobuf have them.
template <typename T>
void append_fixed(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>(value | 0x80));
  }
  out.push_back(static_cast<char>(value));
}

void append_bytes(std::string& out, char tag, std::string_view bytes) {
  out.push_back(tag);
  append_varint(out, bytes.size());
  out += bytes;
}

// Protobuf tags: field number << 3 | wire type (0 varint, 1 fixed 64, 2 bytes,
// 5 fixed 32). Fields of tensorflow.Event and tensorflow.Summary.Value.
constexpr char kEventWallTime = 1 << 3 | 1;
constexpr char kEventStep = 2 << 3 | 0;
constexpr char kEventFileVersion = 3 << 3 | 2;
constexpr char kEventSummary = 5 << 3 | 2;
constexpr char kSummaryValue = 1 << 3 | 2;
constexpr char kValueTag = 1 << 3 | 2;
constexpr char kValueSimple = 2 << 3 | 5;

double now_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string event_header() {
  std::string event(1, kEventWallTime);
  append_fixed(event, now_s());
  return event;
}

// TFRecord keeps checksums rotated and shifted, so that a checksum of data
// that hold checksums is no special case.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
    }
    table[byte] = crc;
  }
  return table;
}

std::string new_path(const std::string& folder) {
  static std::atomic<int> counter{0};
  char host[256] = "localhost";
  ::gethostname(host, sizeof(host) - 1);
  return str(folder, "/events.out.tfevents.", static_cast<int64_t>(now_s()),
             ".", host, ".", ::getpid(), ".", counter.fetch_add(1));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = ~0u;
  for (unsigned char byte : bytes) {
    crc = kTable[(crc ^ byte) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(const std::string& folder) {
  make_folder(folder);
  out_ = std::make_unique<OwnFile>(new_path(folder), 0);
  std::string event = event_header();
  append_bytes(event, kEventFileVersion, "brain.Event:2");
  write_record(event);
  flush();
}

void TensorBoardWriter::scalar(const std::string& tag, double value,
                               int64_t step) {
  std::string point;
  append_bytes(point, kValueTag, tag);
  point.push_back(kValueSimple);
  append_fixed(point, static_cast<float>(value));
  std::string summary;
  append_bytes(summary, kSummaryValue, point);
  std::string event = event_header();
  event.push_back(kEventStep);
  append_varint(event, static_cast<uint64_t>(step));
  append_bytes(event, kEventSummary, summary);
  write_record(event);
}

void TensorBoardWriter::write_record(const std::string& event) {
  std::string length;
  append_fixed(length, uint64_t{event.size()});
  std::string record = length;
  append_fixed(record, masked_crc(length));
  record += event;
  append_fixed(record, masked_crc(event));
  pending_ += record;
}

void TensorBoardWriter::flush() {
  out_->append(pending_);
  pending_.clear();
}

}  // namespace selfalign::formats
