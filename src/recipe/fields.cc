// SPDX-License-Identifier: Apache-2.0
#include "recipe/fields.h"

#include <yaml-cpp/yaml.h>

#include "base/error.h"

namespace selfalign::recipe {
namespace {

void flatten(const YAML::Node& node, const std::string& name, Fields& fields) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      flatten(entry.second, name.empty() ? key : name + "." + key, fields);
    }
  } else if (node.IsSequence() && node.size() > 0 && !node[0].IsScalar()) {
    for (size_t i = 0; i < node.size(); ++i) {
      flatten(node[i], str(name, "[", i, "]"), fields);
    }
  } else if (node.IsScalar()) {
    fields[name] = node.Scalar();
  } else {
    YAML::Emitter out;
    out << YAML::Flow << node;
    fields[name] = out.c_str();
  }
}

}  // namespace

Fields fields_of(const YAML::Node& node) {
  Fields fields;
  flatten(node, "", fields);
  return fields;
}

std::vector<FieldChange> changed_fields(const Fields& was, const Fields& is) {
  std::map<std::string, FieldChange> all;
  for (const auto& [name, text] : was) all[name] = {name, text, std::nullopt};
  for (const auto& [name, text] : is) {
    all[name].field = name;
    all[name].is = text;
  }
  std::vector<FieldChange> changes;
  for (const auto& [name, change] : all) {
    if (change.was != change.is) changes.push_back(change);
  }
  return changes;
}

}  // namespace selfalign::recipe
