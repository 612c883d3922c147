#include "serve/http_framing.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace selfalign::serve {
namespace {

constexpr size_t kMaxLengthDigits = 18;  // fits 64 bits with a sign

bool same_name(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) {
                      return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
                    });
}

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

}  // namespace

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
  size_t begin = head.find("\r\n");
  const bool is_old = head.substr(0, begin).ends_with(" HTTP/1.0");
  for (begin += 2; begin < head.size();) {
    const size_t end = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, end - begin);
    begin = end + 2;
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        line[colon - 1] == ' ' || line[colon - 1] == '\t') {
      return "headers: expected \"Name: value\", found another line";
    }
    for (Field& field : fields) {
      if (!same_name(line.substr(0, colon), field.name)) continue;
      ++field.count;
      if (!field.is_good(without_spaces(line.substr(colon + 1)))) {
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

}  // namespace selfalign::serve
