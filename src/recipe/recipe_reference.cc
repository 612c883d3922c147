// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_reference.h"

#include <map>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/joined.h"
#include "recipe/recipe.h"

namespace selfalign::recipe {
namespace {

// A key, or a mapping with keys of its own.
struct Entry {
  std::string key;
  std::string help;
  std::string values;  // "0 to 1", "true or false"
  Json default_value;
  Json schema;
  bool is_group = false;
  std::type_index type = typeid(void);  // of a group's struct
  std::vector<Entry> entries = {};
};

Json string_schema() { return {{"type", "string"}}; }

// Collects the settings of one struct (base/settings.h).
class Collector {
 public:
  std::vector<Entry> entries;

  template <typename Number>
  void operator()(const Setting& of, Number value, const Range<Number>& range) {
    add(of, str(range.low, " to ", range.high), value,
        {{"type", std::is_integral_v<Number> ? "integer" : "number"},
         {"minimum", range.low},
         {"maximum", range.high}});
  }
  void operator()(const Setting& of, bool value, AnyValue /*limits*/) {
    add(of, "true or false", value, {{"type", "boolean"}});
  }
  void operator()(const Setting& of, uint64_t value, AnyValue /*limits*/) {
    add(of, "0 to 2^64 - 1", value, {{"type", "integer"}, {"minimum", 0}});
  }
  void operator()(const Setting& of, const std::string& value,
                  AnyText /*limits*/) {
    add(of, "text", value, string_schema());
  }
  void operator()(const Setting& of, const std::string& value,
                  OnePath /*limits*/) {
    add(of, "path", value, string_schema());
  }
  void operator()(const Setting& of, const std::vector<std::string>& value,
                  Paths /*limits*/) {
    const Json list = {{"type", "array"}, {"items", string_schema()}};
    add(of, "a path or a list", value,
        {{"anyOf", Json::array({string_schema(), list})}});
  }
  void operator()(const Setting& of, const std::string& value,
                  const OneOf& limits) {
    add(of, joined(limits.names), value,
        {{"type", "string"}, {"enum", limits.names}});
  }
  void operator()(const Setting& of, const std::vector<double>& value,
                  const Numbers& limits) {
    const Json item = {{"type", "number"},
                       {"minimum", limits.range.low},
                       {"maximum", limits.range.high}};
    add(of,
        str("up to ", limits.most, " numbers, ", limits.range.low, " to ",
            limits.range.high),
        value, {{"type", "array"}, {"items", item}, {"maxItems", limits.most}});
  }
  void operator()(const Setting& of, const std::vector<std::string>& value,
                  const SomeOf& limits) {
    const Json item = {{"type", "string"}, {"enum", limits.names}};
    const Json list = {{"type", "array"}, {"items", item}, {"minItems", 1}};
    add(of, joined(limits.names) + "; one or a list", value,
        {{"anyOf", Json::array({item, list})}});
  }
  template <typename Number>
  void operator()(const Setting& of, const std::map<std::string, Number>& value,
                  const NumberOf<Number>& limits) {
    Json numbers = {{"type", "object"}, {"additionalProperties", false}};
    for (const std::string& name : limits.names) {
      numbers["properties"][name] = {
          {"type", std::is_integral_v<Number> ? "integer" : "number"},
          {"minimum", limits.range.low},
          {"maximum", limits.range.high}};
    }
    add(of,
        str("a mapping: some of ", joined(limits.names), " to ",
            limits.range.low, " to ", limits.range.high),
        Json(value), numbers);
  }
  void operator()(const Setting& of, const std::vector<std::string>& value,
                  StageNames /*limits*/) {
    const Json item = {{"type", "string"}, {"enum", stage_names()}};
    add(of, "names of stages", value,
        {{"type", "array"}, {"items", item}, {"uniqueItems", true}});
  }
  template <typename Options>
  void group(const Setting& of, const Options& options) {
    Collector inner;
    Options::describe(inner, options);
    entries.push_back({of.key, of.help, "", nullptr, nullptr, true,
                       typeid(Options), std::move(inner.entries)});
  }
  void follows(const auto&, const auto&) {}
  bool shows(bool /*is_used*/) { return true; }
  bool later(bool /*is_other*/) { return true; }

 private:
  void add(const Setting& of, std::string values, Json value, Json schema) {
    if (*of.unit != '\0') values += str(" (", of.unit, ")");
    schema["description"] = of.help;
    schema["default"] = value;
    entries.push_back(
        {of.key, of.help, std::move(values), std::move(value), schema});
  }
};

std::vector<Entry> recipe_entries() {
  Collector all;
  const Recipe recipe = default_recipe();
  Recipe::describe(all, recipe);
  return std::move(all.entries);
}

std::string default_text(const Json& value) {
  if (value == "" || value.empty()) return "";
  return str("`", value.is_string() ? value.get<std::string>() : value.dump(),
             "`");
}

class Reference {
 public:
  void section(const std::string& path, const std::vector<Entry>& entries) {
    text_ += "\n| key | default | may be | |\n|---|---|---|---|\n";
    for (const Entry& entry : entries) {
      text_ +=
          entry.is_group
              ? str("| `", entry.key, "` | | keys below | ", entry.help, " |\n")
              : str("| `", entry.key, "` | ", default_text(entry.default_value),
                    " | ", entry.values, " | ", entry.help, " |\n");
    }
    for (const Entry& entry : entries) {
      if (entry.is_group) group(path + entry.key, entry);
    }
  }
  std::string text() const { return text_; }

 private:
  // The keys of a struct stand once; then what is other by default.
  void group(const std::string& path, const Entry& entry) {
    text_ += str("\n## ", path, "\n", entry.help, "\n");
    const auto [first, is_new] =
        seen_.emplace(entry.type, std::pair(path, entry.entries));
    if (is_new) return section(path + ".", entry.entries);
    std::string others;
    for (size_t i = 0; i < entry.entries.size(); ++i) {
      const Entry& one = entry.entries[i];
      if (one.is_group) {
        group(str(path, ".", one.key), one);
      } else if (one.default_value != first->second.second[i].default_value) {
        others += str(others.empty() ? "; by default " : ", ", "`", one.key,
                      "` ", default_text(one.default_value));
      }
    }
    text_ += str("The keys of `", first->second.first, "`", others, ".\n");
  }

  std::map<std::type_index, std::pair<std::string, std::vector<Entry>>> seen_;
  std::string text_;
};

Json schema_of(const std::vector<Entry>& entries) {
  Json properties = Json::object();
  for (const Entry& entry : entries) {
    properties[entry.key] = entry.schema;
    if (!entry.is_group) continue;
    properties[entry.key] = schema_of(entry.entries);
    properties[entry.key]["description"] = entry.help;
  }
  return {{"type", "object"},
          {"additionalProperties", false},
          {"properties", std::move(properties)}};
}

}  // namespace

std::string recipe_reference() {
  Reference reference;
  reference.section("", recipe_entries());
  return str(
      "# Recipes, key by key\n\n"
      "Made by `selfalign recipe --reference`. Paths are meant from the "
      "recipe's folder.\nAn unknown key is an error. `selfalign recipe FILE` "
      "shows a recipe with all it leaves out.\nDefaults are those of profile "
      "default; [formats.md](formats.md) has the others.\n",
      reference.text());
}

Json recipe_schema() {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "selfalign recipe"}};
  schema.update(schema_of(recipe_entries()));
  schema["required"] = {"model", "prompts_folder"};
  return schema;
}

}  // namespace selfalign::recipe
