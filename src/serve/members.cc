// SPDX-License-Identifier: Apache-2.0
#include "serve/members.h"

#include <algorithm>

#include "base/error.h"

namespace selfalign::serve {

void refuse(const std::string& name, const std::string& expected,
            const std::string& found) {
  throw ApiError(400, str(name, ": expected ", expected, ", found ", found),
                 "invalid_value", name);
}

std::string shown(const Value& value) {
  constexpr size_t kMaxShown = 60;
  if (value.is_array()) return str("a list of ", value.size());
  if (value.is_object()) return "an object";
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > kMaxShown)
      return str("a text of ", text.size(), " bytes");
  }
  return value.dump(-1, ' ', false, Value::error_handler_t::replace);
}

namespace {

// `{"type": "text", "schema": null}` says what `{"type": "text"}` does.
Value without_nulls(const Value& value) {
  if (!value.is_object()) return value;
  Value rest = Value::object();
  for (const auto& [name, member] : value.items()) {
    if (!member.is_null()) rest[name] = member;
  }
  return rest;
}

}  // namespace

Members::Members(std::string_view body) {
  try {
    object_ = parse_json_sorted(body, "body");
  } catch (const Error& error) {
    throw ApiError(400, error.what(), "invalid_json");
  }
  if (!object_.is_object()) {
    throw ApiError(400, "body: expected a JSON object, found " + shown(object_),
                   "invalid_json");
  }
}

const Value* Members::take(const std::string& name) {
  const auto found = object_.find(name);
  if (found == object_.end()) return nullptr;
  taken_.insert(name);
  return found->is_null() ? nullptr : &*found;
}

std::optional<std::string> Members::take_string(const std::string& name) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(name, "a string", shown(*value));
  return value->get<std::string>();
}

std::optional<bool> Members::take_bool(const std::string& name) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) refuse(name, "true or false", shown(*value));
  return value->get<bool>();
}

std::optional<int64_t> Members::take_int(const std::string& name, int64_t low,
                                         int64_t high) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  const bool fits = value->is_number_integer() &&
                    !(value->is_number_unsigned() &&
                      value->get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high) {
    refuse(name, str("an integer from ", low, " to ", high), shown(*value));
  }
  return value->get<int64_t>();
}

std::optional<uint64_t> Members::take_seed(const std::string& name) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    refuse(name, "an integer from -2^63 to 2^64 - 1", shown(*value));
  }
  return value->is_number_unsigned()
             ? value->get<uint64_t>()
             : static_cast<uint64_t>(value->get<int64_t>());
}

void Members::take_object(const std::string& name) {
  const Value* value = take(name);
  if (value != nullptr && !value->is_object()) {
    refuse(name, "an object", shown(*value));
  }
}

std::optional<double> Members::take_number(const std::string& name,
                                           const Range<double>& range) {
  const Value* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !range.holds(value->get<double>())) {
    refuse(name, str("a number from ", range.low, " to ", range.high),
           shown(*value));
  }
  return value->get<double>();
}

void Members::take_neutral(const std::string& name,
                           const std::vector<Value>& neutral) {
  const Value* value = take(name);
  if (value == nullptr) return;
  const Value found = without_nulls(*value);
  if (std::find(neutral.begin(), neutral.end(), found) != neutral.end()) return;
  throw ApiError(400,
                 str(name,
                     ": expected it left out, for this server does not "
                     "do that, found ",
                     shown(*value)),
                 "unsupported_parameter", name);
}

void Members::expect_empty() const {
  for (const auto& [name, value] : object_.items()) {
    if (value.is_null() || taken_.count(name) > 0) continue;
    const std::string word = shown(Value(name));
    throw ApiError(400,
                   str("body: expected members that this server knows, found ",
                       word, "; leave it out"),
                   "unknown_parameter", name.substr(0, 100));
  }
}

}  // namespace selfalign::serve
