// SPDX-License-Identifier: Apache-2.0
#include "text/template.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"

namespace selfalign::text {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& expected,
                       const std::string& found, const std::string& advice) {
  throw Error(ErrorKind::kUsage, str(where, ": expected ", expected, ", found ",
                                     found, "; ", advice));
}

std::string names_of(const Values& values) {
  std::string names;
  for (const auto& [name, value] : values) {
    names += str(names.empty() ? "{" : ", {", name, "}");
  }
  return names.empty() ? "no place at all" : names;
}

bool is_name(const std::string& text) {
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return !text.empty();
}

}  // namespace

std::string fill_template(const std::string& text, const Values& values,
                          const std::string& where) {
  std::string out;
  std::set<std::string> used;
  for (size_t pos = 0; pos < text.size(); ++pos) {
    const char c = text[pos];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (pos + 1 < text.size() && text[pos + 1] == c) {
      out += c;
      ++pos;
      continue;
    }
    const size_t line =
        1 + static_cast<size_t>(std::count(
                text.begin(), text.begin() + static_cast<std::ptrdiff_t>(pos),
                '\n'));
    const size_t end = text.find('}', pos);
    const std::string name =
        end == std::string::npos ? "" : text.substr(pos + 1, end - pos - 1);
    if (c == '}' || !is_name(name)) {
      fail(where, "{name}, {{ or }}", str("a single '", c, "' in line ", line),
           "write it twice where a brace is meant");
    }
    const auto value = values.find(name);
    if (value == values.end()) {
      fail(where, names_of(values), str("{", name, "} in line ", line),
           "use one of those names");
    }
    out += value->second;
    used.insert(name);
    pos = end;
  }
  for (const auto& [name, value] : values) {
    if (!used.contains(name)) {
      fail(where, str("a place {", name, "}"), "none", "add it to the text");
    }
  }
  return out;
}

}  // namespace selfalign::text
