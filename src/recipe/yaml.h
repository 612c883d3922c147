// SPDX-License-Identifier: Apache-2.0
// YAML from a person's hand, checked strictly: every mistake is kept with its
// line and column, an unknown key is one, and all are reported together.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recipe/yaml_mistakes.h"

namespace selfalign::recipe {

// Reads and parses the file; Error kInput if unreadable, kUsage with the place
// if it is no YAML, or more of it than any file of ours needs. What a person
// names may be a pipe.
YAML::Node load_yaml(const std::string& path, bool may_be_pipe = false);
// The same of a text that is there; `where` names it in the mistakes.
YAML::Node parse_yaml(const std::string& text, const std::string& where);

// The place of the value of "a.b.c" in a file; none where the file does not
// have it.
std::optional<YAML::Mark> place_of(const YAML::Node& file,
                                   const std::string& field);
// Where it would stand: the place of the innermost mapping around it that the
// file has.
YAML::Mark nearest_place(const YAML::Node& file, std::string field);

// The keys of one mapping. Each get() makes its key known, takes the value
// when the key is there and leaves `out` alone otherwise; done() reports the
// keys nobody asked for. Values out of range or of the wrong type are mistakes.
class YamlMap {
 public:
  // `name` is the mapping's own key, "" at the top.
  YamlMap(const YAML::Node& node, std::string name, YamlMistakes& mistakes);

  bool has(const std::string& key);
  // Reports the key as missing if it is (not in a mapping that is missing or
  // no mapping: that is one mistake, reported already).
  YamlMap& require(const std::string& key);

  void get(const std::string& key, std::string& out);
  void get(const std::string& key, bool& out);
  void get(const std::string& key, int& out, int low, int high);
  void get(const std::string& key, int64_t& out, int64_t low, int64_t high);
  void get(const std::string& key, uint64_t& out);
  void get(const std::string& key, double& out, double low, double high);
  void get(const std::string& key, std::vector<std::string>& out);
  void get(const std::string& key, std::vector<double>& out, double low,
           double high);
  // One of `choices`.
  void get(const std::string& key, std::string& out,
           const std::vector<std::string>& choices);
  // A mapping, without any key where `key` is missing.
  YamlMap map(const std::string& key);
  // The items of a sequence; none where the key is missing.
  std::vector<YAML::Node> items(const std::string& key);

  void done();
  // A mistake at the place of `key`'s value (of the mapping if it is missing).
  void mistake(const std::string& key, const std::string& text);
  const YAML::Node& node() const { return node_; }
  YamlMistakes& mistakes() { return mistakes_; }

 private:
  // `range` says what is expected.
  template <typename Number>
  void number(const std::string& key, Number& out, Number low, Number high,
              const std::string& range);
  YAML::Node find(const std::string& key);
  bool scalar(const std::string& key, std::string& text);
  std::string named(const std::string& key) const;

  YAML::Node node_;
  std::string name_;
  YamlMistakes& mistakes_;
  std::vector<std::string> known_;
};

}  // namespace selfalign::recipe
