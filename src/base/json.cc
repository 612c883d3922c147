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

template <typename Value>
void convert(const Json* found, const std::string& name,
             const std::string& where, const char* expected,
             std::optional<Value> (*converter)(const Json&), Value& value) {
  std::optional<Value> result =
      found == nullptr ? std::nullopt : converter(*found);
  if (!result) throw_json_type(found, name, where, expected);
  value = *std::move(result);
}

template <typename Value>
Value read_member(const Json& object, const std::string& name,
                  const std::string& where) {
  Value value{};
  read_json(json_member(object, name, where), name, where, value);
  return value;
}

template <typename Value>
Value read_member_or(const Json& object, const std::string& name,
                     const std::string& where, const Value& fallback) {
  const Json* found = json_member(object, name, where);
  Value value = fallback;
  if (found != nullptr && !found->is_null()) {
    read_json(found, name, where, value);
  }
  return value;
}

}  // namespace

[[noreturn]] void throw_json_type(const Json* found, const std::string& name,
                                  const std::string& where,
                                  const char* expected) {
  std::string text = "nothing";
  if (found != nullptr) {
    text = dump_json(*found);
    if (text.size() > 60) text = str(found->type_name(), " value");
  }
  throw Error(ErrorKind::kInput,
              str(where, ": expected '", name, "' to be ", expected, ", found ",
                  text, "; correct this member"));
}

const Json* json_member(const Json& object, const std::string& name,
                        const std::string& where) {
  if (!object.is_object()) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected an object with '", name, "', found ",
                    object.type_name(), "; correct the value"));
  }
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

void read_json(const Json* found, const std::string& name,
               const std::string& where, std::string& value) {
  convert(found, name, where, "a string", to_string, value);
}

void read_json(const Json* found, const std::string& name,
               const std::string& where, int64_t& value) {
  convert(found, name, where, "a whole number", to_int, value);
}

void read_json(const Json* found, const std::string& name,
               const std::string& where, double& value) {
  convert(found, name, where, "a number", to_number, value);
}

void read_json(const Json* found, const std::string& name,
               const std::string& where, bool& value) {
  convert(found, name, where, "true or false", to_bool, value);
}

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
  return read_member<std::string>(object, name, where);
}

int64_t json_int(const Json& object, const std::string& name,
                 const std::string& where) {
  return read_member<int64_t>(object, name, where);
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
  return read_member<double>(object, name, where);
}

bool json_bool(const Json& object, const std::string& name,
               const std::string& where) {
  return read_member<bool>(object, name, where);
}

std::string json_string_or(const Json& object, const std::string& name,
                           const std::string& where,
                           const std::string& fallback) {
  return read_member_or<std::string>(object, name, where, fallback);
}

int64_t json_int_or(const Json& object, const std::string& name,
                    const std::string& where, int64_t fallback) {
  return read_member_or<int64_t>(object, name, where, fallback);
}

double json_number_or(const Json& object, const std::string& name,
                      const std::string& where, double fallback) {
  return read_member_or<double>(object, name, where, fallback);
}

bool json_bool_or(const Json& object, const std::string& name,
                  const std::string& where, bool fallback) {
  return read_member_or<bool>(object, name, where, fallback);
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace selfalign
