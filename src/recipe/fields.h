// SPDX-License-Identifier: Apache-2.0
// A YAML document field by field, and where two of them differ.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace YAML {
class Node;
}

namespace selfalign::recipe {

// Every field as "a.b[2].c" -> text; a list of plain values is one field.
using Fields = std::map<std::string, std::string>;
Fields fields_of(const YAML::Node& node);

struct FieldChange {
  std::string field;
  std::optional<std::string> was;  // none: it is not there
  std::optional<std::string> is;
};
// Those that differ, in order of their names.
std::vector<FieldChange> changed_fields(const Fields& was, const Fields& is);

}  // namespace selfalign::recipe
