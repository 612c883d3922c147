// SPDX-License-Identifier: Apache-2.0
// How a struct of figures describes itself, once and where it is declared, so
// that whoever writes it, reads it or shows it means the same by a name:
//
//   struct LossOfAnswers {
//     int64_t num_tokens = 0;
//     std::optional<double> loss;
//
//     static void describe(auto& visit, auto& self) {
//       visit("num_tokens", self.num_tokens);
//       visit("loss", self.loss);
//     }
//   };
//
// to_json writes the members in this order, from_json reads them in whatever
// order they stand; members that nobody describes are passed over. A visitor
// has
//
//   visit(name, value)
//       a member that must be there; a std::optional one is left out where it
//       is empty
//
//   visit.nullable(name, value)
//       a std::optional that is null where it is empty
//
//   visit.may(name, value, when)
//       written if `when` (true), keeps its default where a reader finds
//       nothing or null
//
//   visit.inlined(record)
//       an optional record whose members stand among these: all or none
//
//   visit.together(when, members)
//       members(each) visits some with `each`; they are written if `when`, and
//       read all or none
//
//   visit.rest(values)
//       Named, all members that nothing above took
//
// A value is a bool, int, int64_t, double, string, a uint64_t (a key, as 16 hex
// digits), Json where the content is free, a record, or a list, a map or Named
// of those.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/json.h"

namespace selfalign {

template <typename Value>
concept Record = requires(int& visit, const Value& value) {
  Value::describe(visit, value);
};

// Members of an object by name, in the order they were added.
template <typename Value>
using Named = std::vector<std::pair<std::string, Value>>;

// The value of that name, null where there is none.
template <typename Value>
const Value* find_named(const Named<Value>& values, const std::string& name) {
  for (const auto& [its, value] : values) {
    if (its == name) return &value;
  }
  return nullptr;
}

// The same, added where there is none.
template <typename Value>
Value& named(Named<Value>& values, const std::string& name) {
  for (auto& [its, value] : values) {
    if (its == name) return value;
  }
  return values.emplace_back(name, Value()).second;
}

template <Record Value>
Json to_json(const Value& record);

namespace record {

template <typename Value>
inline constexpr bool kIsOptional = false;
template <typename Value>
inline constexpr bool kIsOptional<std::optional<Value>> = true;
template <typename Value>
inline constexpr bool kIsList = false;
template <typename Value>
inline constexpr bool kIsList<std::vector<Value>> = true;
template <typename Value>
inline constexpr bool kIsNamed = false;
template <typename Value>
inline constexpr bool kIsNamed<Named<Value>> = true;
template <typename Value>
inline constexpr bool kIsNamed<std::map<std::string, Value>> = true;

template <typename Value>
Json written(const Value& value) {
  if constexpr (Record<Value>) {
    return to_json(value);
  } else if constexpr (kIsNamed<Value>) {
    Json object = Json::object();
    for (const auto& [name, one] : value) object[name] = written(one);
    return object;
  } else if constexpr (kIsList<Value>) {
    Json list = Json::array();
    for (const auto& one : value) list.push_back(written(one));
    return list;
  } else if constexpr (std::is_same_v<Value, uint64_t>) {
    return key_to_hex(value);
  } else {
    return value;
  }
}

class Writer {
 public:
  template <typename Value>
  void operator()(const char* name, const Value& value) {
    if constexpr (kIsOptional<Value>) {
      if (value) json_[name] = written(*value);
    } else {
      json_[name] = written(value);
    }
  }
  template <typename Value>
  void nullable(const char* name, const std::optional<Value>& value) {
    json_[name] = value ? written(*value) : Json();
  }
  template <typename Value>
  void may(const char* name, const Value& value, bool when = true) {
    if (when) json_[name] = written(value);
  }
  template <Record Value>
  void inlined(const std::optional<Value>& record) {
    if (record) Value::describe(*this, *record);
  }
  void together(bool when, const auto& members) {
    if (when) members(*this);
  }
  template <typename Value>
  void rest(const Named<Value>& values) {
    for (const auto& [name, value] : values) json_[name] = written(value);
  }
  Json take() { return std::move(json_); }

 private:
  Json json_ = Json::object();
};

template <typename Value>
void read(const Json* found, const std::string& name, const std::string& where,
          Value& value);

// Whether any member of a record is there.
class Presence {
 public:
  explicit Presence(const Json& json) : json_(json) {}

  void operator()(const char* name, const auto& /*value*/) { look(name); }
  void nullable(const char* name, const auto& /*value*/) { look(name); }
  void may(const char* name, const auto& /*value*/, bool /*when*/ = true) {
    look(name);
  }
  template <Record Value>
  void inlined(const std::optional<Value>& /*record*/) {
    const Value none{};
    Value::describe(*this, none);
  }
  void together(bool /*when*/, const auto& members) { members(*this); }
  bool any() const { return any_; }

 private:
  void look(const char* name) { any_ = any_ || json_.contains(name); }

  const Json& json_;
  bool any_ = false;
};

class Reader {
 public:
  Reader(const Json& json, std::string where)
      : json_(json), where_(std::move(where)) {}

  template <typename Value>
  void operator()(const char* name, Value& value) {
    const Json* found = take(name);
    if constexpr (kIsOptional<Value>) {
      if (found != nullptr) read(found, name, where_, value.emplace());
    } else {
      read(found, name, where_, value);
    }
  }
  template <typename Value>
  void nullable(const char* name, std::optional<Value>& value) {
    const Json* found = take(name);
    if (found != nullptr && found->is_null()) return;
    read(found, name, where_, value.emplace());
  }
  template <typename Value>
  void may(const char* name, Value& value, bool /*when*/ = true) {
    const Json* found = take(name);
    if (found == nullptr || found->is_null()) return;
    read(found, name, where_, value);
  }
  template <Record Value>
  void inlined(std::optional<Value>& record) {
    Presence presence(json_);
    Value::describe(presence, record.emplace());
    if (!presence.any()) {
      record.reset();
    } else {
      Value::describe(*this, *record);
    }
  }
  void together(bool /*when*/, const auto& members) {
    Presence presence(json_);
    members(presence);
    if (presence.any()) members(*this);
  }
  template <typename Value>
  void rest(Named<Value>& values) {
    for (const auto& [name, value] : json_.items()) {
      if (std::find(taken_.begin(), taken_.end(), name) != taken_.end()) {
        continue;
      }
      read(&value, name, where_, values.emplace_back(name, Value()).second);
    }
  }

 private:
  const Json* take(const char* name) {
    taken_.emplace_back(name);
    return json_member(json_, name, where_);
  }

  const Json& json_;
  const std::string where_;
  std::vector<std::string_view> taken_;  // names
};

template <typename Value>
void read_named(const Json& object, const std::string& where, Value& values) {
  for (const auto& [name, one] : object.items()) {
    typename Value::value_type::second_type value{};
    read(&one, name, where, value);
    values.insert(values.end(), {name, std::move(value)});
  }
}

template <typename Value>
void read(const Json* found, const std::string& name, const std::string& where,
          Value& value) {
  const auto inside = [&] { return where + ": " + name; };
  if constexpr (Record<Value> || kIsNamed<Value>) {
    if (found == nullptr || !found->is_object()) {
      throw_json_type(found, name, where, "an object");
    }
    if constexpr (Record<Value>) {
      Reader reader(*found, inside());
      Value::describe(reader, value);
    } else {
      read_named(*found, inside(), value);
    }
  } else if constexpr (kIsList<Value>) {
    if (found == nullptr || !found->is_array()) {
      throw_json_type(found, name, where, "a list");
    }
    value.reserve(found->size());
    for (size_t i = 0; i < found->size(); ++i) {
      typename Value::value_type one{};
      read(&(*found)[i], std::to_string(i), inside(), one);
      value.push_back(std::move(one));
    }
  } else if constexpr (std::is_same_v<Value, Json>) {
    if (found == nullptr) throw_json_type(found, name, where, "there");
    value = *found;
  } else if constexpr (std::is_same_v<Value, uint64_t>) {
    std::string key;
    read_json(found, name, where, key);
    value = key_from_hex(key);
  } else if constexpr (std::is_same_v<Value, int>) {
    int64_t whole = 0;
    read_json(found, name, where, whole);
    value = static_cast<int>(whole);
    if (value != whole) throw_json_type(found, name, where, "a smaller number");
  } else {
    read_json(found, name, where, value);
  }
}

}  // namespace record

template <Record Value>
Json to_json(const Value& record) {
  record::Writer writer;
  Value::describe(writer, record);
  return writer.take();
}

template <Record Value>
Json to_json(const std::vector<Value>& records) {
  return record::written(records);
}

// Error kInput, which begins with `where` and names the member, where one is
// missing or of another type.
template <Record Value>
Value from_json(const Json& json, const std::string& where) {
  Value value{};
  record::Reader reader(json, where);
  Value::describe(reader, value);
  return value;
}

}  // namespace selfalign
