// SPDX-License-Identifier: Apache-2.0
// TensorBoard event files: TFRecord framing with masked CRC-32C around
// protobuf Event messages with simple_value summaries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/own_file.h"

namespace selfalign::formats {

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes);

class TensorBoardWriter {
 public:
  // Makes a new events.out.tfevents.* file in `folder`, which is made where
  // absent. All functions throw Error kResources if the file cannot be written.
  explicit TensorBoardWriter(const std::string& folder);
  void scalar(const std::string& tag, double value, int64_t step);
  void flush();
  const std::string& path() const { return out_->path(); }

 private:
  void write_record(const std::string& event);

  std::unique_ptr<OwnFile> out_;
  std::string pending_;  // records that are not written yet
};

}  // namespace selfalign::formats
