// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_text.h"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace selfalign::recipe {
namespace {

std::string number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

// Writes settings into an open mapping (base/settings.h).
class Writer {
 public:
  // `writes_later`: also of what came later the values that are no others than
  // the default profile's, which another profile would not take for granted.
  Writer(YAML::Emitter& out, bool writes_later)
      : out_(out), writes_later_(writes_later) {}

  template <typename Number>
  void operator()(const Setting& of, Number value,
                  const Range<Number>& /*limits*/) {
    plain(of, std::is_integral_v<Number> ? std::to_string(value)
                                         : number(double(value)));
  }
  void operator()(const Setting& of, bool value, AnyValue /*limits*/) {
    plain(of, value ? "true" : "false");
  }
  void operator()(const Setting& of, uint64_t value, AnyValue /*limits*/) {
    plain(of, std::to_string(value));
  }
  template <typename Limits>
  void operator()(const Setting& of, const std::string& text,
                  const Limits& /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::DoubleQuoted << text;
  }
  void operator()(const Setting& of, const std::vector<std::string>& paths,
                  Paths /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::BeginSeq;
    for (const std::string& path : paths) out_ << YAML::DoubleQuoted << path;
    out_ << YAML::EndSeq;
  }
  void operator()(const Setting& of, const std::vector<double>& numbers,
                  const Numbers& /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const double value : numbers) out_ << number(value);
    out_ << YAML::EndSeq;
  }
  void operator()(const Setting& of, const std::vector<std::string>& names,
                  const SomeOf& /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::Flow << names;
  }
  template <typename Number>
  void operator()(const Setting& of,
                  const std::map<std::string, Number>& numbers,
                  const NumberOf<Number>& /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::Flow << YAML::BeginMap;
    for (const auto& [name, value] : numbers) {
      out_ << YAML::Key << name << YAML::Value << number(double(value));
    }
    out_ << YAML::EndMap;
  }
  void operator()(const Setting& of, const std::vector<std::string>& stages,
                  StageNames /*limits*/) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::Flow << stages;
  }
  template <typename Options>
  void group(const Setting& of, const Options& options) {
    out_ << YAML::Key << of.key << YAML::Value << YAML::BeginMap;
    Options::describe(*this, options);
    out_ << YAML::EndMap;
  }
  void follows(const auto&, const auto&) {}
  bool shows(bool is_used) { return is_used; }
  bool later(bool is_other) { return is_other || writes_later_; }

 private:
  void plain(const Setting& of, const std::string& text) {
    out_ << YAML::Key << of.key << YAML::Value << text;
  }
  YAML::Emitter& out_;
  bool writes_later_;
};

}  // namespace

std::string recipe_to_yaml(const Recipe& recipe, bool all) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  Writer writer(out, all || recipe.profile != "default");
  Recipe::describe(writer, recipe);
  out << YAML::EndMap;
  return str(out.c_str(), "\n");
}

std::string tune_to_yaml(const TuneOptions& options) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  Writer(out, false).group({"tune", ""}, options);
  out << YAML::EndMap;
  return out.c_str();
}

}  // namespace selfalign::recipe
