#include "base/json_parse.h"

#include <algorithm>

#include "base/error.h"

namespace selfalign {
namespace {

constexpr int kMaxDepth = 64;

// What is wrong with a text at one of its bytes.
struct Fault {
  size_t byte = 0;
  std::string expected;
  std::string found;
  std::string advice;
};

JsonProblem problem_at(std::string_view text, Fault fault) {
  JsonProblem problem;
  problem.text = str("expected ", fault.expected, ", found ", fault.found, "; ",
                     fault.advice);
  problem.found = std::move(fault.found);
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

// Calls `look` with the place of every byte outside strings until it returns
// true; that place, or npos.
template <typename Look>
size_t find_outside_strings(std::string_view text, const Look& look) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (look(i)) {
      return i;
    }
  }
  return std::string_view::npos;
}

// Where the nesting gets too deep, or npos; asked before parsing so that no
// recursion on the parsed value can run out of stack.
size_t find_depth(std::string_view text) {
  int depth = 0;
  return find_outside_strings(text, [&](size_t i) {
    if (text[i] == '{' || text[i] == '[') ++depth;
    if (text[i] == '}' || text[i] == ']') --depth;
    return depth > kMaxDepth;
  });
}

// The parser's text without its own name for the error, and not the whole of a
// long string that it read last.
std::string words_of(std::string what) {
  constexpr size_t kMaxWords = 160;
  const size_t colon = what.find(": ");
  if (colon != std::string::npos) what.erase(0, colon + 2);
  if (what.size() > kMaxWords) what = what.substr(0, kMaxWords) + " ...";
  return what;
}

// "[json.exception.out_of_range.406] number overflow parsing '1e999'"
Fault number_fault(std::string_view text, const std::string& what) {
  const size_t begin = what.find('\'') + 1;
  const std::string number =
      what.substr(begin, what.rfind('\'') - std::min(begin, what.size()));
  const size_t place = find_outside_strings(text, [&](size_t i) {
    return !number.empty() && text.substr(i).starts_with(number);
  });
  return {place == std::string_view::npos ? 0 : place, "numbers within 1.8e308",
          number, "correct or remove it"};
}

template <typename Value>
std::optional<Value> parse_checked(std::string_view text, Fault& fault) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fault = {nul, "JSON", "a NUL byte",
             "the text is damaged or not in UTF-8: make it anew"};
    return std::nullopt;
  }
  if (const size_t deep = find_depth(text); deep != std::string_view::npos) {
    fault = {deep, str("at most ", kMaxDepth, " levels of nesting"), "more",
             "flatten the value"};
    return std::nullopt;
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    fault = {0, "JSON", "no text", "was it cut off?"};
    return std::nullopt;
  }
  try {
    return Value::parse(text);
  } catch (const typename Value::parse_error& error) {
    fault = {error.byte > 0 ? error.byte - 1 : 0, "JSON",
             words_of(error.what()), "correct it there"};
  } catch (const typename Value::exception& error) {
    fault = number_fault(text, error.what());
  }
  return std::nullopt;
}

template <typename Value>
std::optional<Value> parse_or_explain(std::string_view text,
                                      JsonProblem& problem) {
  Fault fault;
  std::optional<Value> value = parse_checked<Value>(text, fault);
  if (!value) problem = problem_at(text, std::move(fault));
  return value;
}

}  // namespace

std::optional<Json> try_parse_json(std::string_view text,
                                   JsonProblem& problem) {
  return parse_or_explain<Json>(text, problem);
}

std::optional<nlohmann::json> try_parse_json_sorted(std::string_view text,
                                                    JsonProblem& problem) {
  return parse_or_explain<nlohmann::json>(text, problem);
}

Json parse_json_line(std::string_view line, const std::string& where) {
  JsonProblem problem;
  std::optional<Json> value = try_parse_json(line, problem);
  if (value) return *std::move(value);
  throw Error(ErrorKind::kInput,
              str(where, ", column ", problem.column, ": ", problem.text));
}

}  // namespace selfalign
