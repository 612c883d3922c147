// SPDX-License-Identifier: Apache-2.0
#include "base/json_rows.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/json_parse.h"
#include "base/json_scan.h"

namespace selfalign {
namespace {

constexpr char kSpace[] = " \t\r\n";
// Looking for the ends of values that have none reads to the end of the text
// each time: no more than this in all, so that time stays linear.
constexpr size_t kMaxLost = size_t{64} << 20;

// A place in a text, its line and its column in characters, both from 1.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  size_t at() const { return at_; }
  size_t line() const { return line_; }
  void go_to(size_t place) {
    for (; at_ < place; ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
        column_ = 1;
      } else if ((text_[at_] & 0xc0) != 0x80) {
        ++column_;
      }
    }
  }
  // The row of a value that begins here and is no JSON.
  JsonRow bad_row(const std::string& path, JsonProblem problem) const {
    if (problem.line == 1) problem.column += column_ - 1;
    return {str(path, ":", line_ + problem.line - 1, ":", problem.column),
            std::nullopt, std::move(problem.text)};
  }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t column_ = 1;
};

// The elements of the array that the text is, from one comma to the next; none
// where its brackets and commas make no array.
std::optional<std::vector<std::string_view>> elements(std::string_view text) {
  std::vector<std::string_view> found;
  int depth = 0;
  size_t begin = text.find('[') + 1;
  bool whole = true;
  const size_t end = find_outside_strings(text, [&](size_t i) {
    const char c = text[i];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    const bool ends = depth == 0 && (c == ']' || c == '}');
    if (!ends && (depth != 1 || c != ',')) return false;
    const std::string_view element = text.substr(begin, i - begin);
    const bool is_empty = element.find_first_not_of(kSpace) == element.npos;
    whole = whole && (!is_empty || (ends && found.empty()));
    if (!is_empty) found.push_back(element);
    begin = i + 1;
    return ends;
  });
  whole = whole && end != std::string_view::npos && text[end] == ']' &&
          text.find_first_not_of(kSpace, end + 1) == std::string_view::npos;
  if (!whole) return std::nullopt;
  return found;
}

void read_array(std::string_view text, const std::string& path,
                const std::function<void(const JsonRow&)>& take) {
  const auto list = elements(text);
  if (!list) {
    parse_json(text, path);  // says where
    return;
  }
  Cursor cursor(text);
  size_t number = 0;
  for (const std::string_view element : *list) {
    JsonProblem problem;
    JsonRow row{str(path, ": row ", ++number), try_parse_json(element, problem),
                ""};
    if (!row.value) {
      cursor.go_to(static_cast<size_t>(element.data() - text.data()));
      row = cursor.bad_row(path, std::move(problem));
    }
    take(row);
  }
}

// Values one after another, each on a line of its own or over several.
class ValueReader {
 public:
  ValueReader(std::string_view text, const std::string& path)
      : text_(text), path_(path), cursor_(text) {}

  // The next value; none at the end.
  std::optional<JsonRow> next() {
    if (!skip_to_value()) return std::nullopt;
    const size_t at = cursor_.at();
    JsonRow row{str(path_, ": line ", cursor_.line()), std::nullopt, ""};
    JsonProblem problem;
    size_t end = std::min(text_.find('\n', at), text_.size());
    row.value = try_parse_json(text_.substr(at, end - at), problem);
    if (!row.value) {
      if (const size_t closed = bracket_end(); closed > at) {
        end = closed;
        row.value = try_parse_json(text_.substr(at, end - at), problem);
      } else {
        end = next_object(end);
      }
    }
    if (!row.value) row = cursor_.bad_row(path_, std::move(problem));
    cursor_.go_to(end);
    return row;
  }

 private:
  void skip_space(size_t from) {
    cursor_.go_to(
        std::min(text_.find_first_not_of(kSpace, from), text_.size()));
  }

  bool skip_to_value() {
    skip_space(cursor_.at());
    const size_t at = cursor_.at();
    if (at > 0 && at < text_.size() && text_[at] == ',') skip_space(at + 1);
    return cursor_.at() < text_.size();
  }

  // Behind the bracket that closes the one at the cursor; the cursor's place if
  // there is none before the end, or before what shows that the value was cut
  // off: a line break within a text, or a bracket that opens behind a value.
  size_t bracket_end() {
    const size_t at = cursor_.at();
    if (text_[at] != '{' || lost_ > kMaxLost) return at;
    int depth = 0;
    bool in_string = false;
    char before = ',';  // the last character that is no white space
    size_t i = at;
    for (; i < text_.size(); ++i) {
      const char c = text_[i];
      if (in_string) {
        if (c == '\n') break;
        if (c == '\\') ++i;
        if (c == '"') in_string = false;
        continue;
      }
      if (std::strchr(kSpace, c) != nullptr) continue;
      in_string = c == '"';
      if (c == '{' || c == '[') {
        if (std::strchr(",:[", before) == nullptr) break;
        ++depth;
      }
      if ((c == '}' || c == ']') && --depth == 0) return i + 1;
      before = c;
    }
    lost_ += i - at;
    return at;
  }

  // The next line from `line_end` on that begins with an object.
  size_t next_object(size_t line_end) const {
    const size_t found = text_.find("\n{", line_end);
    return found == std::string_view::npos ? text_.size() : found + 1;
  }

  const std::string_view text_;
  const std::string& path_;
  Cursor cursor_;
  size_t lost_ = 0;  // bytes that were read for an end that was not there
};

}  // namespace

const Json& JsonRow::get() const {
  if (!value) throw Error(ErrorKind::kInput, where + ": " + problem);
  return *value;
}

void each_json_row(std::string_view text, const std::string& path,
                   const std::function<void(const JsonRow& row)>& take) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos) parse_json(text, path);
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return;
  if (text[first] == '[') {
    read_array(text, path, take);
    return;
  }
  ValueReader reader(text, path);
  while (const std::optional<JsonRow> row = reader.next()) take(*row);
}

}  // namespace selfalign
