// SPDX-License-Identifier: Apache-2.0
#include "recipe/yaml_merge.h"

#include <set>
#include <string>
#include <vector>

namespace selfalign::recipe {
namespace {

constexpr char kMerge[] = "<<";

std::set<std::string> keys_of(const YAML::Node& map) {
  std::set<std::string> keys;
  for (const auto& entry : map) {
    if (entry.first.IsScalar()) keys.insert(entry.first.Scalar());
  }
  return keys;
}

class Merger {
 public:
  explicit Merger(YamlMistakes& mistakes) : mistakes_(mistakes) {}

  // An alias is the same node again, where nothing is left to do; how often,
  // how deep, and that no node stands in itself is bounded by parse_yaml.
  void resolve(YAML::Node node) {
    if (!node.IsMap() && !node.IsSequence()) return;
    std::vector<YAML::Node> merged;
    for (const auto& entry : node) {
      if (node.IsSequence()) {
        resolve(entry);
        continue;
      }
      resolve(entry.second);
      if (entry.first.IsScalar() && entry.first.Scalar() == kMerge) {
        merged.push_back(entry.second);
      }
    }
    if (merged.empty()) return;
    if (merged.size() > 1) {
      mistakes_.add(merged[1].Mark(),
                    "<<: expected once, found again; give "
                    "one list of mappings");
    }
    node.remove(kMerge);
    merge(merged[0], node);
  }

 private:
  void merge(const YAML::Node& from, YAML::Node& into) {
    std::set<std::string> keys = keys_of(into);
    if (from.IsSequence()) {
      for (const auto& one : from) merge_map(one, into, keys);
    } else {
      merge_map(from, into, keys);
    }
  }

  void merge_map(const YAML::Node& from, YAML::Node& into,
                 std::set<std::string>& keys) {
    if (!from.IsMap()) {
      mistakes_.add(from.Mark(),
                    "<<: expected a mapping or a list of "
                    "mappings, found something else");
      return;
    }
    for (const auto& entry : from) {
      if (entry.first.IsScalar() && keys.insert(entry.first.Scalar()).second) {
        into.force_insert(entry.first, entry.second);
      }
    }
  }

  YamlMistakes& mistakes_;
};

}  // namespace

void resolve_merges(YAML::Node node, YamlMistakes& mistakes) {
  Merger(mistakes).resolve(node);
}

}  // namespace selfalign::recipe
