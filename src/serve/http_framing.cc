// SPDX-License-Identifier: Apache-2.0
#include "serve/http_framing.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"

namespace selfalign::serve {
namespace {

constexpr size_t kMaxLengthDigits = 18;  // fits 64 bits with a sign

// Spaces alone: a tab beside such a value is legal, and seen by few.
std::string_view without_spaces(std::string_view value) {
  const size_t begin = value.find_first_not_of(' ');
  if (begin == std::string_view::npos) return "";
  return value.substr(begin, value.find_last_not_of(' ') + 1 - begin);
}

bool is_length(std::string_view value) {
  return !value.empty() && value.size() <= kMaxLengthDigits &&
         value.find_first_not_of("0123456789") == std::string_view::npos;
}

// One of the fields that say where a request ends and whose it is.
struct Field {
  const char* name;  // in lower case
  const char* expected;
  bool (*is_good)(std::string_view value);
  int count = 0;
};

std::array<Field, 3> known_fields() {
  return {
      {{"transfer-encoding", "Transfer-Encoding: expected \"chunked\" alone",
        [](std::string_view value) { return same_name(value, "chunked"); }},
       {"content-length", "Content-Length: expected a number of bytes",
        is_length},
       {"host", "Host: expected a name or address", [](std::string_view value) {
          return value.find_first_of(" \t,/\\@?#") == std::string_view::npos;
        }}}};
}

struct NamedValue {
  std::string_view name;
  std::string_view value;
};

// Takes the next line off `lines`; none where it is no field.
std::optional<NamedValue> take_field(std::string_view& lines) {
  const size_t end = std::min(lines.find("\r\n"), lines.size());
  const std::string_view line = lines.substr(0, end);
  lines.remove_prefix(std::min(end + 2, lines.size()));
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line[colon - 1] == ' ' ||
      line[colon - 1] == '\t') {
    return std::nullopt;
  }
  return NamedValue{line.substr(0, colon), line.substr(colon + 1)};
}

// Those behind the first line, up to the empty one.
std::string_view lines_of_fields(std::string_view section) {
  section.remove_prefix(std::min(section.find("\r\n") + 2, section.size()));
  return section;
}

bool has_field(std::string_view lines) {
  return !lines.empty() && !lines.starts_with("\r\n");
}

}  // namespace

bool same_name(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) {
                      return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
                    });
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || kMarks.find(c) != std::string_view::npos;
  });
}

void HeadScan::go_on(std::string_view bytes) {
  for (; num_seen_ < bytes.size() && end_ == 0 && fault_.empty(); ++num_seen_) {
    look_at(static_cast<unsigned char>(bytes[num_seen_]),
            static_cast<unsigned char>(num_seen_ == 0 ? '\0'
                                                      : bytes[num_seen_ - 1]));
  }
}

void HeadScan::look_at(unsigned char byte, unsigned char before) {
  const size_t column = num_seen_ - line_begin_;
  if (before == '\r' && byte != '\n') {
    fault_ = "expected lines that end in CR LF, found a CR alone";
  } else if (byte == '\n') {
    if (before != '\r') {
      fault_ = "expected lines that end in CR LF, found an LF alone";
      return;
    }
    line_begin_ = num_seen_ + 1;
    if (column == 1) end_ = line_begin_;
  } else if (column == 0 && num_seen_ > 0 && (byte == ' ' || byte == '\t')) {
    fault_ = "expected each header on a line of its own, found a folded one";
  } else if ((byte < ' ' && byte != '\r' && byte != '\t') || byte == 0x7f) {
    fault_ = str("expected text, found the control character ", int{byte});
  }
}

std::string framing_fault(std::string_view head) {
  std::array<Field, 3> fields = known_fields();
  auto& [coding, length, host] = fields;
  const bool is_old = head.substr(0, head.find("\r\n")).ends_with(" HTTP/1.0");
  for (std::string_view lines = lines_of_fields(head); has_field(lines);) {
    const std::optional<NamedValue> found = take_field(lines);
    if (!found) return "headers: expected \"Name: value\", found another line";
    for (Field& field : fields) {
      if (!same_name(found->name, field.name)) continue;
      ++field.count;
      if (!field.is_good(without_spaces(found->value))) {
        return str(field.expected, ", found another value");
      }
    }
  }
  for (const Field& field : fields) {
    if (field.count > 1) return str(field.expected, ", found several");
  }
  if (host.count == 0 && !is_old) return str(host.expected, ", found none");
  if (coding.count > 0 && length.count > 0) {
    return "body: expected Content-Length or Transfer-Encoding, found both";
  }
  if (coding.count > 0 && is_old) {
    return "Transfer-Encoding: expected HTTP/1.1, found 1.0";
  }
  return "";
}

std::string trailer_fault(std::string_view section) {
  for (std::string_view lines = lines_of_fields(section); has_field(lines);) {
    const std::optional<NamedValue> found = take_field(lines);
    if (!found || !is_token(found->name)) {
      return "trailer: expected \"Name: value\", found another line";
    }
    for (const Field& field : known_fields()) {
      if (!same_name(found->name, field.name)) continue;
      return str("trailer: expected no ", field.name, ", found one");
    }
  }
  return "";
}

}  // namespace selfalign::serve
