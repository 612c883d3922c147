// SPDX-License-Identifier: Apache-2.0
#include "formats/tensorboard.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::formats {
namespace {

TEST(Crc32c, EqualsThePublishedVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

template <typename T>
T take(std::string_view& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return value;
}

uint32_t unmasked(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// The events of a file, its framing checked.
std::vector<std::string> events_of(const std::string& path) {
  const std::string file = read_file(path);
  std::string_view left = file;
  std::vector<std::string> events;
  while (!left.empty()) {
    const std::string_view length_bytes = left.substr(0, 8);
    const auto length = take<uint64_t>(left);
    EXPECT_EQ(unmasked(take<uint32_t>(left)), crc32c(length_bytes));
    events.emplace_back(left.substr(0, length));
    left.remove_prefix(length);
    EXPECT_EQ(unmasked(take<uint32_t>(left)), crc32c(events.back()));
  }
  return events;
}

TEST(TensorBoard, WritesEventsThatParse) {
  TensorBoardWriter writer(testing::TempDir() + "formats_tensorboard");
  writer.scalar("loss", 2.5, 300);
  writer.scalar("rate", -1.0, 0);
  writer.flush();
  const auto events = events_of(writer.path());
  ASSERT_EQ(events.size(), 3u);
  // Behind the time (tag 0x09 and 8 bytes).
  EXPECT_EQ(events[0].substr(9),
            "\x1a\x0d"
            "brain.Event:2");
  EXPECT_EQ(events[1][0], 0x09);
  // Step 300 as a varint; a summary of 13 bytes; a value of 11 bytes; the tag
  // of 4 bytes; the float 2.5 = 0x40200000.
  EXPECT_EQ(events[1].substr(9),
            std::string("\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss"
                        "\x15\x00\x00\x20\x40",
                        18));
  EXPECT_EQ(events[2].substr(9, 2), std::string("\x10\x00", 2));
}

TEST(TensorBoard, EveryWriterHasItsOwnFile) {
  const std::string folder = testing::TempDir() + "formats_tensorboard";
  EXPECT_NE(TensorBoardWriter(folder).path(), TensorBoardWriter(folder).path());
}

TEST(TensorBoard, AFullDiskIsAnError) {
  EXPECT_THROW(TensorBoardWriter("/proc/no_folder_here"), Error);
}

}  // namespace
}  // namespace selfalign::formats
