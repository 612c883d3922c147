// SPDX-License-Identifier: Apache-2.0
#include "formats/parquet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

namespace selfalign::formats {
namespace {

constexpr char kReader[] = ".deps/pyarrow";

std::string text(uint64_t key, uint64_t max_length) {
  const char* const kParts[] = {"a", "é", "\n", "\"", "日", " ", "😀", "x"};
  std::string text;
  const uint64_t length = draw_index(key, 0, max_length);
  for (uint64_t i = 0; i < length; ++i) {
    text += kParts[draw_index(key, i + 1, 8)];
  }
  return text;
}

struct Table {
  std::vector<ParquetColumn> columns;
  Json rows = Json::array();
};

Table make_table(uint64_t num_rows) {
  std::vector<std::string> texts;
  std::vector<bool> flags;
  std::vector<int64_t> numbers;
  std::vector<std::vector<int64_t>> lists;
  std::vector<Conversation> talks;
  Table table;
  for (uint64_t row = 0; row < num_rows; ++row) {
    texts.push_back(text(row, 300));
    flags.push_back(row % 3 == 0);
    numbers.push_back(int64_t(row * row) - 5000);
    lists.emplace_back();
    talks.emplace_back();
    Json turns = Json::array();
    for (uint64_t i = 0; i < row % 5; ++i) {
      lists.back().push_back(int64_t(row) - int64_t(i) * 1000000007);
      talks.back().turns.push_back(
          {i % 2 ? "assistant" : "user", text(row * 10 + i, 40)});
      turns.push_back({{"role", talks.back().turns.back().role},
                       {"content", talks.back().turns.back().text}});
    }
    table.rows.push_back({{"text", texts.back()},
                          {"flag", bool(flags.back())},
                          {"number", numbers.back()},
                          {"list", lists.back()},
                          {"talk", turns}});
  }
  table.columns = {{"text", texts},
                   {"flag", flags},
                   {"number", numbers},
                   {"list", lists},
                   {"talk", talks}};
  return table;
}

// What pyarrow reads: one object a row, and the number of row groups.
Json read_with_pyarrow(const std::string& path) {
  const std::string script =
      "import json,sys,pyarrow.parquet as p\n"
      "f=p.ParquetFile(sys.argv[1])\n"
      "json.dump([f.num_row_groups,f.read().to_pylist()],"
      "open(sys.argv[1]+'.json','w'))\n";
  write_file_atomic(path + ".py", script);
  const std::string command = std::string("PYTHONPATH=") + kReader +
                              " python3 '" + path + ".py' '" + path + "'";
  if (std::system(command.c_str()) != 0) return {};
  return parse_json(read_file(path + ".json"), path);
}

TEST(Parquet, HasMagicAtBothEndsAndTheFootersLength) {
  const std::string path = testing::TempDir() + "/short.parquet";
  write_parquet(path, make_table(3).columns);
  const std::string file = read_file(path);
  EXPECT_EQ(file.substr(0, 4), "PAR1");
  EXPECT_EQ(file.substr(file.size() - 4), "PAR1");
  const auto byte = [&](size_t from_end) {
    return size_t(static_cast<unsigned char>(file[file.size() - from_end]));
  };
  EXPECT_LT(byte(8) + (byte(7) << 8) + 8, file.size());
  EXPECT_THAT(file, testing::HasSubstr("selfalign"));
}

TEST(Parquet, IsReadByPyarrowWithAllValues) {
  if (!std::filesystem::exists(kReader)) {
    GTEST_SKIP() << kReader << " is not there; ./dev test fetches it";
  }
  const std::string path = testing::TempDir() + "/table.parquet";
  ParquetOptions options;
  options.rows_per_group = 100;
  options.rows_per_page = 7;
  for (const uint64_t num_rows : {0, 1, 8, 100, 1234}) {
    const Table table = make_table(num_rows);
    write_parquet(path, table.columns, options);
    const Json read = read_with_pyarrow(path);
    ASSERT_TRUE(read.is_array()) << num_rows;
    EXPECT_EQ(read[0], (num_rows + 99) / 100);
    ASSERT_EQ(read[1].size(), num_rows);
    for (uint64_t row = 0; row < num_rows; ++row) {
      ASSERT_EQ(read[1][row], table.rows[row]) << row;
    }
  }
}

}  // namespace
}  // namespace selfalign::formats
