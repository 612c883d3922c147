// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <limits>
#include <optional>

#include "base/error.h"
#include "base/json_parse.h"

namespace selfalign {
namespace {

[[noreturn]] void throw_problem(const std::string& where,
                                const JsonProblem& problem) {
  throw Error(ErrorKind::kInput, str(where, ":", problem.line, ":",
                                     problem.column, ": ", problem.text));
}

[[noreturn]] void throw_type(const std::string& where, const std::string& name,
                             const char* expected, const Json* found) {
  std::string text = "nothing";
  if (found != nullptr) {
    text = dump_json(*found);
    if (text.size() > 60) text = str(found->type_name(), " value");
  }
  throw Error(ErrorKind::kInput,
              str(where, ": expected '", name, "' to be ", expected, ", found ",
                  text, "; correct this member"));
}

const Json* find(const Json& object, const std::string& name,
                 const std::string& where) {
  if (!object.is_object()) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected an object with '", name, "', found ",
                    object.type_name(), "; correct the value"));
  }
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

// The readers of one type: the value, or nothing if it is of another type.
std::optional<std::string> to_string(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::optional<int64_t> to_int(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
    return std::nullopt;
  }
  return value.get<int64_t>();
}

std::optional<double> to_number(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

std::optional<bool> to_bool(const Json& value) {
  if (!value.is_boolean()) return std::nullopt;
  return value.get<bool>();
}

struct Member {
  const Json& object;
  const std::string& name;
  const std::string& where;
};

template <typename Value>
Value read(const Member& member, const char* expected,
           std::optional<Value> (*convert)(const Json&),
           const Value* fallback = nullptr) {
  const Json* value = find(member.object, member.name, member.where);
  if (fallback != nullptr && (value == nullptr || value->is_null())) {
    return *fallback;
  }
  if (value == nullptr) {
    throw_type(member.where, member.name, expected, nullptr);
  }
  std::optional<Value> result = convert(*value);
  if (!result) throw_type(member.where, member.name, expected, value);
  return *std::move(result);
}

constexpr char kString[] = "a string";
constexpr char kInt[] = "a whole number";
constexpr char kNumber[] = "a number";
constexpr char kBool[] = "true or false";

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  JsonProblem problem;
  std::optional<Json> value = try_parse_json(text, problem);
  if (!value) throw_problem(where, problem);
  return *std::move(value);
}

nlohmann::json parse_json_sorted(std::string_view text,
                                 const std::string& where, size_t max_values) {
  JsonProblem problem;
  std::optional<nlohmann::json> value =
      try_parse_json_sorted(text, max_values, problem);
  if (!value) throw_problem(where, problem);
  return *std::move(value);
}

std::string json_string(const Json& object, const std::string& name,
                        const std::string& where) {
  return read<std::string>({object, name, where}, kString, to_string);
}

int64_t json_int(const Json& object, const std::string& name,
                 const std::string& where) {
  return read<int64_t>({object, name, where}, kInt, to_int);
}

int64_t json_int_in(const Json& object, const std::string& name,
                    const std::string& where, int64_t low, int64_t high) {
  const int64_t value = json_int(object, name, where);
  if (value >= low && value <= high) return value;
  throw Error(ErrorKind::kInput,
              str(where, ": expected '", name, "' to be from ", low, " to ",
                  high, ", found ", value, "; correct this member"));
}

double json_number(const Json& object, const std::string& name,
                   const std::string& where) {
  return read<double>({object, name, where}, kNumber, to_number);
}

bool json_bool(const Json& object, const std::string& name,
               const std::string& where) {
  return read<bool>({object, name, where}, kBool, to_bool);
}

std::string json_string_or(const Json& object, const std::string& name,
                           const std::string& where,
                           const std::string& fallback) {
  return read<std::string>({object, name, where}, kString, to_string,
                           &fallback);
}

int64_t json_int_or(const Json& object, const std::string& name,
                    const std::string& where, int64_t fallback) {
  return read<int64_t>({object, name, where}, kInt, to_int, &fallback);
}

double json_number_or(const Json& object, const std::string& name,
                      const std::string& where, double fallback) {
  return read<double>({object, name, where}, kNumber, to_number, &fallback);
}

bool json_bool_or(const Json& object, const std::string& name,
                  const std::string& where, bool fallback) {
  return read<bool>({object, name, where}, kBool, to_bool, &fallback);
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace selfalign
