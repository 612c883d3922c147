#include "base/json_rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/json_parse.h"

namespace selfalign {
namespace {

constexpr char kSpace[] = " \t\r\n";
// Looking for the ends of values that have none reads to the end of the text
// each time: no more than this in all, so that time stays linear.
constexpr size_t kMaxLost = size_t{64} << 20;

void read_array(std::string_view text, const std::string& path,
                const std::function<void(const JsonRow&)>& take) {
  Json list = parse_json(text, path);
  size_t number = 0;
  for (Json& value : list) {
    take({str(path, ": row ", ++number), std::move(value), ""});
  }
}

// Values one after another, each on a line of its own or over several.
class ValueReader {
 public:
  ValueReader(std::string_view text, const std::string& path)
      : text_(text), path_(path) {}

  // The next value; none at the end.
  std::optional<JsonRow> next() {
    if (!skip_to_value()) return std::nullopt;
    JsonRow row{str(path_, ": line ", line_), std::nullopt, ""};
    JsonProblem problem;
    const size_t line_end = std::min(text_.find('\n', at_), text_.size());
    size_t end = line_end;
    row.value = try_parse_json(text_.substr(at_, end - at_), problem);
    if (!row.value) {
      end = bracket_end();
      if (end > at_) {
        row.value = try_parse_json(text_.substr(at_, end - at_), problem);
      }
    }
    if (!row.value) {
      row.where =
          str(path_, ":", line_ + problem.line - 1, ":",
              problem.column + (problem.line == 1 ? at_ - line_begin_ : 0));
      row.problem = std::move(problem.text);
      end = next_object(line_end);
    }
    go_to(end);
    return row;
  }

 private:
  void go_to(size_t place) {
    for (; at_ < place; ++at_) {
      if (text_[at_] != '\n') continue;
      ++line_;
      line_begin_ = at_ + 1;
    }
  }

  bool skip_to_value() {
    go_to(std::min(text_.find_first_not_of(kSpace, at_), text_.size()));
    if (at_ > 0 && at_ < text_.size() && text_[at_] == ',') {
      go_to(std::min(text_.find_first_not_of(kSpace, at_ + 1), text_.size()));
    }
    return at_ < text_.size();
  }

  // True if a line begins at `place` that is an object from end to end.
  bool is_object_line(size_t place) const {
    if (place >= text_.size() || text_[place] != '{') return false;
    const size_t end = std::min(text_.find('\n', place), text_.size());
    const std::string_view line = text_.substr(place, end - place);
    const size_t last = line.find_last_not_of(" \t\r,");
    return last != std::string_view::npos && line[last] == '}';
  }

  // Behind the bracket that closes the one at at_; at_ if there is none before
  // the end or before a whole object on a line, which is the next value.
  size_t bracket_end() {
    if (text_[at_] != '{' || lost_ > kMaxLost) return at_;
    int depth = 0;
    bool in_string = false;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\n' && is_object_line(i + 1)) {
        lost_ += i - at_;
        return at_;
      }
      if (in_string) {
        if (c == '\\') ++i;
        if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        return i + 1;
      }
    }
    lost_ += text_.size() - at_;
    return at_;
  }

  // The next line from `line_end` on that begins with an object.
  size_t next_object(size_t line_end) const {
    const size_t found = text_.find("\n{", line_end);
    return found == std::string_view::npos ? text_.size() : found + 1;
  }

  const std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t line_begin_ = 0;
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
