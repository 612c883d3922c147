// TensorBoard event files: TFRecord framing with masked CRC-32C around
// protobuf Event messages with simple_value summaries.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace selfalign::formats {

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes);

class TensorBoardWriter {
 public:
  // Makes `folder` and a new events.out.tfevents.* file in it. All functions
  // throw Error kResources if the file cannot be written.
  explicit TensorBoardWriter(const std::string& folder);
  void scalar(const std::string& tag, double value, int64_t step);
  void flush();
  const std::string& path() const { return path_; }

 private:
  void write_record(const std::string& event);

  std::string path_;
  std::ofstream out_;
};

}  // namespace selfalign::formats
