#include "stages/yaml_merge.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"

namespace selfalign::stages {
namespace {

constexpr char kMerge[] = "<<";
constexpr size_t kMaxDepth = 100;

bool has_key(const YAML::Node& map, const std::string& key) {
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return true;
  }
  return false;
}

class Merger {
 public:
  explicit Merger(YamlMistakes& mistakes) : mistakes_(mistakes) {}

  void resolve(YAML::Node node, size_t depth) {
    if (!node.IsMap() && !node.IsSequence()) return;
    if (depth > kMaxDepth) {
      mistakes_.add(node.Mark(), str("expected at most ", kMaxDepth,
                                     " levels of nesting, found more"));
      return;
    }
    // An alias is the same node again.
    const bool known =
        std::any_of(done_.begin(), done_.end(),
                    [&node](const YAML::Node& one) { return one.is(node); });
    if (known) return;
    done_.push_back(node);
    std::vector<YAML::Node> merged;
    for (const auto& entry : node) {
      if (node.IsSequence()) {
        resolve(entry, depth + 1);
        continue;
      }
      resolve(entry.second, depth + 1);
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
    if (from.IsSequence()) {
      for (const auto& one : from) merge_map(one, into);
    } else {
      merge_map(from, into);
    }
  }

  void merge_map(const YAML::Node& from, YAML::Node& into) {
    if (!from.IsMap()) {
      mistakes_.add(from.Mark(),
                    "<<: expected a mapping or a list of "
                    "mappings, found something else");
      return;
    }
    for (const auto& entry : from) {
      if (entry.first.IsScalar() && !has_key(into, entry.first.Scalar())) {
        into.force_insert(entry.first, entry.second);
      }
    }
  }

  YamlMistakes& mistakes_;
  std::vector<YAML::Node> done_;
};

}  // namespace

void resolve_merges(YAML::Node node, YamlMistakes& mistakes) {
  Merger(mistakes).resolve(node, 0);
}

}  // namespace selfalign::stages
