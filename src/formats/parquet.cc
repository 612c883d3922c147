// SPDX-License-Identifier: Apache-2.0
// The layout (apache/parquet-format): "PAR1", the pages of each row group
// column by column, the footer, its length, "PAR1". Page headers and footer
// are structs in Thrift's compact protocol; the numbers of fields and of enum
// values below are those of parquet.thrift.
#include "formats/parquet.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "text/words.h"

namespace selfalign::formats {
namespace {

constexpr char kMagic[] = "PAR1";
constexpr size_t kMaxPageBytes = size_t{1} << 30;

enum PhysicalType { kBoolean = 0, kInt64 = 2, kByteArray = 6 };
enum Repetition { kRequired = 0, kRepeated = 2 };
enum ConvertedType { kUtf8 = 0, kList = 3 };
enum Encoding { kPlain = 0, kRle = 3 };

void put_little_endian(std::string& out, uint64_t value, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) {
    out += static_cast<char>(value >> (8 * i) & 0xff);
  }
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// Thrift's compact protocol: a field is a byte of (number - last number, type)
// and its value; a struct ends with a zero byte.
class ThriftWriter {
 public:
  void field(int number, int64_t value, bool wide = false) {
    head(number, wide ? kI64 : kI32);
    zigzag(value);
  }
  void field(int number, std::string_view text) {
    head(number, kBinary);
    binary(text);
  }
  void begin_struct(int number) {
    head(number, kStruct);
    begin_item();
  }
  // Also for a struct that is an item of a list, and the outermost one.
  void begin_item() { last_.push_back(0); }
  void end_struct() {
    out_ += '\0';
    last_.pop_back();
  }
  void begin_list(int number, size_t size, bool of_structs) {
    list(number, size, of_structs ? kStruct : kI32);
  }
  void item(int64_t value) { zigzag(value); }
  void texts(int number, const std::vector<std::string>& items) {
    list(number, items.size(), kBinary);
    for (const std::string& text : items) binary(text);
  }

  std::string take() { return std::move(out_); }

 private:
  enum Type { kI32 = 5, kI64 = 6, kBinary = 8, kListType = 9, kStruct = 12 };

  void head(int number, Type type) {
    const int step = number - last_.back();
    SELFALIGN_CHECK(step > 0 && step < 16);
    out_ += static_cast<char>(step << 4 | type);
    last_.back() = number;
  }
  void list(int number, size_t size, Type type) {
    head(number, kListType);
    if (size < 15) {
      out_ += static_cast<char>(size << 4 | type);
    } else {
      out_ += static_cast<char>(0xf0 | type);
      put_varint(out_, size);
    }
  }
  void zigzag(int64_t value) {
    put_varint(out_, static_cast<uint64_t>(value) << 1 ^
                         static_cast<uint64_t>(value >> 63));
  }
  void binary(std::string_view text) {
    put_varint(out_, text.size());
    out_ += text;
  }

  std::string out_;
  std::vector<int> last_;  // number of the last field, of each open struct
};

// A column as the file has it: plain values, and for a list the number of
// them in each row.
struct Leaf {
  std::vector<std::string> path;  // ("rules", "list", "element")
  PhysicalType type = kByteArray;
  std::vector<int64_t> counts;  // items of each row; empty: one each
  std::vector<std::string> texts;
  std::vector<int64_t> numbers;  // or truth values

  bool is_list() const { return path.size() > 1; }
};

template <typename Rows, typename Size>
std::vector<int64_t> counts_of(const Rows& rows, const Size& size) {
  std::vector<int64_t> counts;
  counts.reserve(rows.size());
  for (const auto& row : rows) counts.push_back(int64_t(size(row)));
  return counts;
}

void add_leaves(const std::string& name, const std::vector<std::string>& rows,
                std::vector<Leaf>& out) {
  Leaf leaf{{name}, kByteArray, {}, {}, {}};
  for (const std::string& text : rows) {
    leaf.texts.push_back(text::fix_utf8(text));
  }
  out.push_back(std::move(leaf));
}
void add_leaves(const std::string& name, const std::vector<bool>& rows,
                std::vector<Leaf>& out) {
  out.push_back({{name}, kBoolean, {}, {}, {rows.begin(), rows.end()}});
}
void add_leaves(const std::string& name, const std::vector<int64_t>& rows,
                std::vector<Leaf>& out) {
  out.push_back({{name}, kInt64, {}, {}, rows});
}
void add_leaves(const std::string& name,
                const std::vector<std::vector<int64_t>>& rows,
                std::vector<Leaf>& out) {
  Leaf leaf{{name, "list", "element"}, kInt64, {}, {}, {}};
  leaf.counts = counts_of(rows, [](const auto& row) { return row.size(); });
  for (const auto& row : rows) {
    leaf.numbers.insert(leaf.numbers.end(), row.begin(), row.end());
  }
  out.push_back(std::move(leaf));
}
void add_leaves(const std::string& name, const std::vector<Conversation>& rows,
                std::vector<Leaf>& out) {
  Leaf role{{name, "list", "element", "role"}, kByteArray, {}, {}, {}};
  role.counts = counts_of(rows, [](const auto& r) { return r.turns.size(); });
  Leaf content{
      {name, "list", "element", "content"}, kByteArray, role.counts, {}, {}};
  for (const Conversation& row : rows) {
    for (const Turn& turn : row.turns) {
      role.texts.push_back(text::fix_utf8(turn.role));
      content.texts.push_back(text::fix_utf8(turn.text));
    }
  }
  out.push_back(std::move(role));
  out.push_back(std::move(content));
}

// A level of 0 or 1 per value as runs, which the length in bytes precedes.
class Levels {
 public:
  void add(int level, int64_t times) {
    if (times == 0) return;
    if (level != level_) flush();
    level_ = level;
    run_ += static_cast<uint64_t>(times);
  }
  void append_to(std::string& page) {
    flush();
    put_little_endian(page, runs_.size(), 4);
    page += runs_;
  }

 private:
  void flush() {
    if (run_ == 0) return;
    put_varint(runs_, run_ << 1);
    runs_ += static_cast<char>(level_);
    run_ = 0;
  }
  std::string runs_;
  int level_ = 0;
  uint64_t run_ = 0;
};

struct Page {
  std::string bytes;
  int64_t num_values = 0;  // levels; an empty list counts one
};

// Repetition levels say where a row begins, definition levels which lists hold
// something.
int64_t put_levels(const Leaf& leaf, size_t begin, size_t end, Page& page) {
  Levels repetition, definition;
  int64_t num_items = 0;
  for (size_t row = begin; row < end; ++row) {
    const int64_t count = leaf.counts[row];
    repetition.add(0, 1);
    repetition.add(1, std::max<int64_t>(count - 1, 0));
    definition.add(count > 0, std::max<int64_t>(count, 1));
    page.num_values += std::max<int64_t>(count, 1);
    num_items += count;
  }
  repetition.append_to(page.bytes);
  definition.append_to(page.bytes);
  return num_items;
}

void put_values(const Leaf& leaf, size_t first, size_t size,
                std::string& bytes) {
  if (leaf.type == kBoolean) {
    for (size_t i = 0; i < size; ++i) {
      if (i % 8 == 0) bytes += '\0';
      if (leaf.numbers[first + i]) bytes.back() |= char(1 << (i % 8));
    }
    return;
  }
  for (size_t i = first; i < first + size; ++i) {
    if (leaf.type == kInt64) {
      put_little_endian(bytes, static_cast<uint64_t>(leaf.numbers[i]), 8);
    } else {
      put_little_endian(bytes, leaf.texts[i].size(), 4);
      bytes += leaf.texts[i];
    }
  }
}

// Where a column's pages of a group stand in the file.
struct Chunk {
  size_t begin = 0;
  size_t end = 0;
  int64_t num_values = 0;
};
struct Group {
  std::vector<Chunk> chunks;
  int64_t num_rows = 0;
};

// Both the old and the new way to say what a type means.
void put_logical(ConvertedType old, int logical, ThriftWriter& out) {
  out.field(6, int64_t{old});
  out.begin_struct(10);
  out.begin_struct(logical);
  out.end_struct();
  out.end_struct();
}

void put_group_element(const std::string& name, int repetition,
                       size_t num_children, int converted, ThriftWriter& out) {
  out.begin_item();
  if (repetition >= 0) out.field(3, int64_t{repetition});
  out.field(4, name);
  out.field(5, int64_t(num_children));
  if (converted == kList) put_logical(kList, 3, out);
  out.end_struct();
}

// Depth first: the root, then each column; a list has two groups above its
// leaves.
void put_schema(const std::vector<ParquetColumn>& columns,
                const std::vector<Leaf>& leaves, ThriftWriter& out) {
  size_t num_elements = 1;
  for (const Leaf& leaf : leaves) {
    num_elements += leaf.path.back() == "content" ? 1 : leaf.path.size();
  }
  out.begin_list(2, num_elements, true);
  put_group_element("schema", -1, columns.size(), -1, out);
  for (const Leaf& leaf : leaves) {
    if (leaf.is_list() && leaf.path.back() != "content") {
      put_group_element(leaf.path[0], kRequired, 1, kList, out);
      put_group_element("list", kRepeated, 1, -1, out);
      if (leaf.path.size() == 4) {
        put_group_element("element", kRequired, 2, -1, out);
      }
    }
    out.begin_item();
    out.field(1, int64_t{leaf.type});
    out.field(3, int64_t{kRequired});
    out.field(4, leaf.path.back());
    if (leaf.type == kByteArray) put_logical(kUtf8, 1, out);
    out.end_struct();
  }
}

void put_chunk(const Leaf& leaf, const Chunk& chunk, ThriftWriter& out) {
  const auto num_bytes = int64_t(chunk.end - chunk.begin);
  out.begin_item();
  out.field(2, int64_t(chunk.begin), true);
  out.begin_struct(3);
  out.field(1, int64_t{leaf.type});
  out.begin_list(2, 2, false);
  out.item(kPlain);
  out.item(kRle);
  out.texts(3, leaf.path);
  out.field(4, int64_t{0});  // uncompressed
  out.field(5, chunk.num_values, true);
  out.field(6, num_bytes, true);
  out.field(7, num_bytes, true);
  out.field(9, int64_t(chunk.begin), true);
  out.end_struct();
  out.end_struct();
}

void put_group(const Group& group, const std::vector<Leaf>& leaves,
               ThriftWriter& out) {
  size_t num_bytes = 0;
  out.begin_item();
  out.begin_list(1, group.chunks.size(), true);
  for (size_t i = 0; i < group.chunks.size(); ++i) {
    put_chunk(leaves[i], group.chunks[i], out);
    num_bytes += group.chunks[i].end - group.chunks[i].begin;
  }
  out.field(2, int64_t(num_bytes), true);
  out.field(3, group.num_rows, true);
  out.end_struct();
}

class ParquetFile {
 public:
  ParquetFile(const std::string& path, const ParquetOptions& options)
      : path_(path), options_(options) {}

  std::string write(const std::vector<ParquetColumn>& columns) {
    for (const ParquetColumn& column : columns) {
      std::visit(
          [&](const auto& rows) {
            SELFALIGN_CHECK(&column == &columns[0] || rows.size() == num_rows_);
            num_rows_ = rows.size();
            add_leaves(column.name, rows, leaves_);
          },
          column.values);
    }
    next_.assign(leaves_.size(), 0);
    file_ = kMagic;
    for (size_t row = 0; row < num_rows_;) {
      const size_t end =
          std::min(num_rows_, row + size_t(options_.rows_per_group));
      add_group(row, end);
      row = end;
    }
    const std::string footer = make_footer(columns);
    file_ += footer;
    put_little_endian(file_, footer.size(), 4);
    return file_ + kMagic;
  }

 private:
  void add_group(size_t begin, size_t end) {
    Group group;
    group.num_rows = int64_t(end - begin);
    for (size_t i = 0; i < leaves_.size(); ++i) {
      Chunk chunk;
      chunk.begin = file_.size();
      for (size_t row = begin; row < end;) {
        const size_t page_end =
            std::min(end, row + size_t(options_.rows_per_page));
        chunk.num_values += add_page(i, row, page_end);
        row = page_end;
      }
      chunk.end = file_.size();
      group.chunks.push_back(chunk);
    }
    groups_.push_back(std::move(group));
  }

  int64_t add_page(size_t i, size_t begin, size_t end) {
    const Leaf& leaf = leaves_[i];
    Page page;
    int64_t num_items = int64_t(end - begin);
    if (leaf.is_list()) {
      num_items = put_levels(leaf, begin, end, page);
    } else {
      page.num_values = num_items;
    }
    put_values(leaf, next_[i], size_t(num_items), page.bytes);
    next_[i] += size_t(num_items);
    if (page.bytes.size() > kMaxPageBytes) {
      throw Error(ErrorKind::kInput,
                  str(path_, ": expected pages under 1 GiB, found one of ",
                      page.bytes.size(), " bytes in column ", leaf.path[0],
                      "; write one of the JSON forms"));
    }
    ThriftWriter header;
    header.begin_item();
    header.field(1, int64_t{0});  // data page
    header.field(2, int64_t(page.bytes.size()));
    header.field(3, int64_t(page.bytes.size()));
    header.begin_struct(5);
    header.field(1, page.num_values);
    header.field(2, int64_t{kPlain});
    header.field(3, int64_t{kRle});
    header.field(4, int64_t{kRle});
    header.end_struct();
    header.end_struct();
    file_ += header.take() + page.bytes;
    return page.num_values;
  }

  std::string make_footer(const std::vector<ParquetColumn>& columns) const {
    ThriftWriter footer;
    footer.begin_item();
    footer.field(1, int64_t{1});  // version
    put_schema(columns, leaves_, footer);
    footer.field(3, int64_t(num_rows_), true);
    footer.begin_list(4, groups_.size(), true);
    for (const Group& group : groups_) put_group(group, leaves_, footer);
    footer.field(6, options_.created_by);
    footer.end_struct();
    return footer.take();
  }

  const std::string path_;
  const ParquetOptions options_;
  std::vector<Leaf> leaves_;
  size_t num_rows_ = 0;
  std::vector<size_t> next_;  // first value of each leaf not written yet
  std::vector<Group> groups_;
  std::string file_;
};

}  // namespace

void write_parquet(const std::string& path,
                   const std::vector<ParquetColumn>& columns,
                   const ParquetOptions& options) {
  SELFALIGN_CHECK(!columns.empty());
  write_file_atomic(path, ParquetFile(path, options).write(columns));
}

}  // namespace selfalign::formats
