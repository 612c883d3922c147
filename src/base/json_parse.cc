// SPDX-License-Identifier: Apache-2.0
#include "base/json_parse.h"

#include <utf8proc.h>

#include <algorithm>
#include <cctype>
#include <iomanip>
#include <sstream>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/json_scan.h"
#include "base/not_utf8.h"
#include "base/shown.h"

namespace selfalign {
namespace {

constexpr int kMaxDepth = 64;
constexpr char kSpace[] = " \t\r\n";

// What is wrong with a text at one of its bytes.
struct Fault {
  size_t byte = 0;
  std::string text;  // "expected ..., found ...; what to do"
};

JsonProblem problem_at(std::string_view text, Fault fault) {
  JsonProblem problem;
  problem.text = std::move(fault.text);
  constexpr std::string_view kFound = ", found ";
  const size_t found = problem.text.find(kFound) + kFound.size();
  problem.found =
      problem.text.substr(found, problem.text.find("; ", found) - found);
  for (const char c : text.substr(0, fault.byte)) {
    if (c == '\n') {
      ++problem.line;
      problem.column = 1;
    } else if ((c & 0xc0) != 0x80) {  // UTF-8 continuation bytes do not count
      ++problem.column;
    }
  }
  return problem;
}

// Where the nesting gets too deep or the values too many, if they do; asked
// before parsing so that no recursion on the parsed value can run out of stack,
// and no text of a byte a value takes many times its size of memory.
std::optional<Fault> find_excess(std::string_view text, size_t max_values) {
  int depth = 0;
  size_t num_values = 1;
  const size_t at = find_outside_strings(text, [&](size_t i) {
    const char c = text[i];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c == '{' || c == '[' || c == ',') ++num_values;
    return depth > kMaxDepth || num_values > max_values;
  });
  if (at == std::string_view::npos) return std::nullopt;
  if (depth > kMaxDepth) {
    return Fault{
        at, str("expected at most ", kMaxDepth,
                " levels of nesting, found deeper nesting; flatten the value")};
  }
  return Fault{at, str("expected at most ", max_values,
                       " values, found more values; is this the right file?")};
}

// Bytes of the character at `at` of a text in UTF-8.
size_t utf8_length(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
  return end - at;
}

// Where the first byte is that is no part of UTF-8, or npos.
size_t find_not_utf8(std::string_view text) {
  const auto* const bytes =
      reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(
        bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
    if (length <= 0) return at;
    at += static_cast<size_t>(length);
  }
  return std::string_view::npos;
}

bool is_word_part(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
         c == '+' || c == '-' || c == '.';
}

// The word or number around `at`, from its first character: "NaN", "tru".
std::string_view word_around(std::string_view text, size_t at) {
  size_t begin = at;
  size_t end = at;
  while (begin > 0 && is_word_part(text[begin - 1])) --begin;
  while (end < text.size() && is_word_part(text[end])) ++end;
  return text.substr(begin, end - begin);
}

// Of a text in quotes, by what the parser says of it.
std::string string_fault(std::string_view what, char found) {
  const auto says = [what](const char* words) {
    return what.find(words) != std::string_view::npos;
  };
  if (says("control character")) {
    if (found == '\n') return "a line break within a text; write it as \\n";
    std::ostringstream code;
    code << std::hex << std::setw(4) << std::setfill('0') << int{found};
    return str("the control character U+", code.str(),
               " within a text; write it as \\u", code.str());
  }
  if (says("forbidden character after backslash")) {
    return str("\\", found,
               " within a text, which is no escape; write a backslash as "
               "\\\\");
  }
  return "an escape \\u of no character within a text; write four "
         "hexadecimal digits, of a pair of surrogates both halves";
}

// What stands at `at`, where the parser stopped and said `what`.
Fault syntax_fault(std::string_view text, size_t at, std::string_view what) {
  const auto found = [](size_t byte, const std::string& words) {
    return Fault{byte, "expected JSON, found " + words};
  };
  if (at > text.find_last_not_of(kSpace)) {
    return found(text.size(), "its end too soon; was it cut off?");
  }
  const std::string_view said = what.substr(0, what.find("; last read"));
  if (said.find("invalid string") != std::string_view::npos) {
    return found(at, string_fault(said, text[at]));
  }
  const bool is_word = said.find("invalid literal") != std::string_view::npos ||
                       said.find("invalid number") != std::string_view::npos;
  const std::string_view word = is_word ? word_around(text, at) : "";
  const size_t begin =
      word.empty() ? at : static_cast<size_t>(word.data() - text.data());
  if (what.ends_with("expected end of input")) {
    return found(begin, "more behind its end; remove that");
  }
  const char c = text[at];
  const size_t last = text.substr(0, at).find_last_not_of(kSpace);
  if (c == '\'') {
    return found(at, "a single quote; write texts in double quotes");
  }
  if (c == '/') {
    return found(at, "a comment, which JSON has none of; remove it");
  }
  if (!word.empty()) {
    return found(begin, str("\"", shown(word),
                            "\"; JSON has texts and names in double quotes, "
                            "numbers, true, false, null, lists and objects"));
  }
  if ((c == '}' || c == ']') && last != std::string_view::npos &&
      text[last] == ',') {
    return found(at, str("a comma before ", c, "; remove the comma"));
  }
  return found(at,
               str(shown(text.substr(at, utf8_length(text, at))),
                   " out of place; is a comma, a colon or a bracket missing "
                   "before it?"));
}

// "[json.exception.out_of_range.406] number overflow parsing '1e999'"
Fault number_fault(std::string_view text, const std::string& what) {
  const size_t begin = what.find('\'') + 1;
  const std::string number =
      what.substr(begin, what.rfind('\'') - std::min(begin, what.size()));
  const size_t place = find_outside_strings(text, [&](size_t i) {
    // Only where one begins: each is compared once.
    const bool begins = i == 0 || !is_word_part(text[i - 1]);
    return begins && !number.empty() && text.substr(i).starts_with(number);
  });
  return {place == std::string_view::npos ? 0 : place,
          str("expected numbers within 1.8e308, found ", shown(number),
              "; correct or remove it")};
}

// A name that its object has already: of two values one would be lost.
struct Repeated {
  std::string name;
  size_t number;  // of the member in the text, from 1
};

// Makes the value of what the parser reads (its SAX interface), in time linear
// in the text: nlohmann's own looks for each name among all members before it.
template <typename Value>
class Builder {
 public:
  Value take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(typename Value::binary_t&) { return false; }  // no JSON has any

  bool start_object(size_t) {
    open_.push_back({&put(Value::object()), {}});
    return true;
  }
  bool start_array(size_t) {
    open_.push_back({&put(Value::array()), {}});
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    ++num_members_;
    if (!open_.back().names.insert(name).second) {
      throw Repeated{name, num_members_};
    }
    name_ = std::move(name);
    return true;
  }
  template <typename Exception>
  bool parse_error(size_t, const std::string&, const Exception& error) {
    throw error;
  }

 private:
  struct Open {
    Value* value;
    std::unordered_set<std::string> names;  // of an object's members
  };

  template <typename Part>
  bool add(Part&& part) {
    put(Value(std::forward<Part>(part)));
    return true;
  }
  Value& put(Value&& value) {
    if (open_.empty()) return root_ = std::move(value);
    Value& parent = *open_.back().value;
    if (parent.is_array()) {
      return parent.template get_ref<typename Value::array_t&>().emplace_back(
          std::move(value));
    }
    auto& members = parent.template get_ref<typename Value::object_t&>();
    if constexpr (requires { members.back(); }) {
      return members.emplace_back(std::move(name_), std::move(value)).second;
    } else {
      return members.emplace(std::move(name_), std::move(value)).first->second;
    }
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Value root_;
  std::vector<Open> open_;  // a parent grows only when its last part is closed
  std::string name_;        // of the member whose value comes next
  size_t num_members_ = 0;
};

// Each member has one colon outside of texts, behind its name.
Fault repeated_fault(std::string_view text, const Repeated& repeated) {
  size_t name = 0;
  size_t number = 0;
  find_outside_strings(text, [&](size_t i) {
    if (text[i] == '"') name = i;
    return text[i] == ':' && ++number == repeated.number;
  });
  return {name, str("expected each member of an object once, found \"",
                    shown(repeated.name), "\" again; remove one of the two")};
}

// Why the parser refused a text that it read up to the byte `at`.
Fault parse_fault(std::string_view text, size_t at, std::string_view what) {
  const size_t wrong = find_not_utf8(text);
  if (wrong != std::string_view::npos && wrong <= at) {
    return {wrong, not_utf8(text[wrong])};
  }
  return syntax_fault(text, at, what);
}

// What the parser need not be asked for.
std::optional<Fault> early_fault(std::string_view text, size_t max_values) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return Fault{nul,
                 "expected JSON, found a NUL byte; the text is damaged or not "
                 "in UTF-8: make it anew"};
  }
  if (auto excess = find_excess(text, max_values)) return excess;
  if (text.find_first_not_of(kSpace) == std::string_view::npos) {
    return Fault{0, "expected JSON, found no text; was it cut off?"};
  }
  return std::nullopt;
}

template <typename Value>
std::optional<Value> parse_checked(std::string_view text, size_t max_values,
                                   Fault& fault) {
  if (std::optional<Fault> early = early_fault(text, max_values)) {
    fault = *std::move(early);
    return std::nullopt;
  }
  Builder<Value> builder;
  try {
    Value::sax_parse(text, &builder);
    return builder.take();
  } catch (const Repeated& repeated) {
    fault = repeated_fault(text, repeated);
  } catch (const typename Value::parse_error& error) {
    fault =
        parse_fault(text, error.byte > 0 ? error.byte - 1 : 0, error.what());
  } catch (const typename Value::exception& error) {
    fault = number_fault(text, error.what());
  }
  return std::nullopt;
}

template <typename Value>
std::optional<Value> parse_or_explain(std::string_view text, size_t max_values,
                                      JsonProblem& problem) {
  Fault fault;
  std::optional<Value> value = parse_checked<Value>(text, max_values, fault);
  if (!value) problem = problem_at(text, std::move(fault));
  return value;
}

}  // namespace

std::optional<Json> try_parse_json(std::string_view text,
                                   JsonProblem& problem) {
  return parse_or_explain<Json>(text, kMaxJsonValues, problem);
}

std::optional<nlohmann::json> try_parse_json_sorted(std::string_view text,
                                                    size_t max_values,
                                                    JsonProblem& problem) {
  return parse_or_explain<nlohmann::json>(text, max_values, problem);
}

Json parse_json_line(std::string_view line, const std::string& where) {
  JsonProblem problem;
  std::optional<Json> value = try_parse_json(line, problem);
  if (value) return *std::move(value);
  throw Error(ErrorKind::kInput,
              str(where, ", column ", problem.column, ": ", problem.text));
}

}  // namespace selfalign
