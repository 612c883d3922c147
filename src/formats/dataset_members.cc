// SPDX-License-Identifier: Apache-2.0
#include "formats/dataset_members.h"

#include <algorithm>

#include "base/error.h"
#include "base/joined.h"
#include "text/unicode.h"

namespace selfalign::formats {

void unreadable(const std::string& detail) {
  throw Refusal{"unreadable", detail};
}

void unsupported(const std::string& detail) {
  throw Refusal{"unsupported", detail};
}

std::string shown(const Json& value) {
  const std::string text = dump_json(value);
  return text.size() > 40 ? value.type_name() : text;
}

bool says_something(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text != "[]" && !text::is_blank(text);
  }
  return !value.is_null() && !(value.is_structured() && value.empty());
}

Member find_member(const Json& object, Names names) {
  Member found;
  bool found_says = false;
  for (const char* name : names) {
    const auto member = object.find(name);
    if (member == object.end() || member->is_null()) continue;
    const bool says = says_something(*member);
    if (says && found_says && *member != *found.value) {
      unsupported(str("'", found.name, "' and '", name,
                      "' say different things; keep one of the two"));
    }
    if (found && (found_says || !says)) continue;
    found = {name, &*member};
    found_says = says;
  }
  return found;
}

bool has_any(const Json& object, Names names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return object.contains(name); });
}

std::string text_of(const Member& member) {
  if (!member) return "";
  if (!member.value->is_string()) {
    unreadable(str("'", member.name, "': expected text, found ",
                   shown(*member.value)));
  }
  return member.value->get<std::string>();
}

std::string content_of(const Member& member) {
  if (!member || !member.value->is_array()) return text_of(member);
  std::string text;
  for (const Json& part : *member.value) {
    if (!part.is_object()) {
      unreadable(str("'", member.name,
                     "': expected text, or a list of parts as {\"type\": "
                     "\"text\", \"text\": ...}, found a list with ",
                     shown(part)));
    }
    const Member type = find_member(part, {"type"});
    if (type && *type.value != "text" && *type.value != "input_text" &&
        *type.value != "output_text") {
      unsupported(str("'", member.name, "': a part of type ",
                      shown(*type.value), "; only text can be learnt"));
    }
    const Member piece = find_member(part, {"text"});
    if (!piece) unreadable(str("'", member.name, "': a part without text"));
    text += text_of(piece);
  }
  return text;
}

std::optional<bool> flag_of(const Json& object, const char* name) {
  const Member flag = find_member(object, {name});
  if (!flag) return std::nullopt;
  if (flag.value->is_boolean()) return flag.value->get<bool>();
  if (*flag.value == 0 || *flag.value == 1) return *flag.value == 1;
  unsupported(str("'", name, "': expected 0 or 1, found ", shown(*flag.value)));
}

void refuse_parts(const Json& object, Names names) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found == object.end() || !says_something(*found)) continue;
    if (*found == false) continue;
    unsupported(
        str("'", name, "' cannot be learnt here; remove it, or the row"));
  }
}

std::string list_of(Names names) {
  return either(names, [](const char* name) { return str("'", name, "'"); });
}

}  // namespace selfalign::formats
