// SPDX-License-Identifier: Apache-2.0
// Writing tables as Apache Parquet (format version 1 pages, PLAIN values,
// uncompressed): what every reader of Parquet must be able to read, in little
// code. Columns are never null.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "formats/datasets.h"

namespace selfalign::formats {

// One value per row.
using ParquetValues =
    std::variant<std::vector<std::string>,           // string
                 std::vector<bool>,                  // boolean
                 std::vector<int64_t>,               // int64
                 std::vector<std::vector<int64_t>>,  // list of int64
                 std::vector<Conversation>>;         // list of {role, content}
struct ParquetColumn {
  std::string name;
  ParquetValues values;
};

struct ParquetOptions {
  int64_t rows_per_group = 100'000;  // a reader may hold a group in memory
  int64_t rows_per_page = 1'000;
  std::string created_by = "selfalign";
};

// All columns must be of one length. Text must be UTF-8 (wrong bytes become
// U+FFFD). Written atomically. Error kInput if a page would be over 1 GiB.
void write_parquet(const std::string& path,
                   const std::vector<ParquetColumn>& columns,
                   const ParquetOptions& options = {});

}  // namespace selfalign::formats
