// SPDX-License-Identifier: Apache-2.0
// The mistakes of one YAML file, told together.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

namespace selfalign::recipe {

class YamlMistakes {
 public:
  explicit YamlMistakes(std::string path) : path_(std::move(path)) {}

  void add(const YAML::Mark& mark, const std::string& text);
  // Throws Error kUsage with one line per mistake, in the order of the file:
  // "path:line:column: text", after a hundred their number.
  void throw_if_any() const;
  const std::string& path() const { return path_; }

 private:
  struct Mistake {
    int line;
    int column;
    std::string text;
  };
  std::string path_;
  std::vector<Mistake> mistakes_;
};

}  // namespace selfalign::recipe
