// SPDX-License-Identifier: Apache-2.0
#include "judge/judge_prompts.h"

#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_rows.h"
#include "recipe/prompts.h"
#include "recipe/yaml.h"

namespace selfalign::judge {
namespace {

constexpr char kFile[] = "judge.yaml";
constexpr std::array<const char*, 12> kRoles = {
    "pair",     "pair_reference",     "pair_turns",   "pair_turns_reference",
    "single",   "single_reference",   "single_turns", "single_turns_reference",
    "truthful", "truthful_reference", "informative",  "adherence"};
constexpr std::array<const char*, 2> kLayouts = {"plain", "chatml"};

bool names_place(const std::string& text, const std::string& name) {
  return text.find("{" + name + "}") != std::string::npos;
}

std::vector<std::string> places_of(const std::string& role) {
  const bool turns = role.find("_turns") != std::string::npos;
  std::vector<std::string> answers = {"answer"};
  if (role.starts_with("pair")) answers = {"answer_a", "answer_b"};
  std::vector<std::string> places;
  for (const char* turn : {"_1", "_2"}) {
    places.push_back(turns ? str("question", turn) : "question");
    for (const std::string& answer : answers) {
      places.push_back(turns ? answer + turn : answer);
    }
    if (!turns) break;
  }
  if (role == "truthful_reference") {
    places.insert(places.end(), {"correct", "incorrect"});
  } else if (role.ends_with("_reference")) {
    places.emplace_back("ref_answer_1");
    if (turns) places.emplace_back("ref_answer_2");
  }
  if (role == "adherence") {
    places.insert(places.end(), {"rule_name", "rule"});
  }
  return places;
}

text::Values empty_values(const std::string& role) {
  text::Values values;
  for (const std::string& place : places_of(role)) values[place] = "";
  return values;
}

void read_prompt(recipe::YamlMap& map, const std::string& role,
                 JudgePrompt& prompt) {
  prompt.name = role;
  map.require("system").get("system", prompt.system);
  map.require("text").get("text", prompt.text);
  try {
    if (map.has("text")) {
      text::fill_template(prompt.text, empty_values(role), role);
    }
  } catch (const Error& error) {
    map.mistake("text", error.what());
  }
  map.done();
}

void read_own(const std::string& path, JudgePrompts& out) {
  recipe::YamlMistakes mistakes(path);
  recipe::YamlMap map(recipe::load_yaml(path), "", mistakes);
  recipe::YamlMap layouts = map.require("layouts").map("layouts");
  for (const char* name : kLayouts) {
    JudgeLayout& layout = out.layouts[name];
    layout.name = name;
    recipe::YamlMap one = layouts.require(name).map(name);
    one.get("before", layout.before);
    one.require("between").get("between", layout.between);
    one.require("after").get("after", layout.after);
    one.get("stop", layout.stop);
    one.done();
  }
  layouts.done();
  recipe::YamlMap prompts = map.require("prompts").map("prompts");
  for (const char* role : kRoles) {
    recipe::YamlMap one = prompts.require(role).map(role);
    read_prompt(one, role, out.prompts[role]);
  }
  prompts.done();
  map.done();
  mistakes.throw_if_any();
}

// "" for a prompt of no role here.
std::string role_of(const Json& row, const std::string& text,
                    const std::string& where) {
  const std::string type = json_string(row, "type", where);
  const std::string form = json_string(row, "output_format", where);
  std::string role;
  if (type == "pairwise" && form == "[[A]]") role = "pair";
  if (type == "single" && form == "[[rating]]") role = "single";
  if (role.empty()) return role;
  if (names_place(text, "question_2")) role += "_turns";
  if (names_place(text, "ref_answer_1")) role += "_reference";
  return role;
}

void read_published(const std::string& path, JudgePrompts& out) {
  std::map<std::string, JudgePrompt> found;
  each_json_row(read_file(path), path, [&found](const JsonRow& row) {
    const Json& value = row.get();
    JudgePrompt prompt{json_string(value, "name", row.where),
                       json_string(value, "system_prompt", row.where),
                       json_string(value, "prompt_template", row.where)};
    const std::string role = role_of(value, prompt.text, row.where);
    if (role.empty()) return;
    text::fill_template(prompt.text, empty_values(role), row.where);
    found.emplace(role, std::move(prompt));
  });
  for (auto& [role, prompt] : found) out.prompts[role] = std::move(prompt);
  if (found.empty()) {
    throw Error(ErrorKind::kInput,
                str(path,
                    ": this file has no prompts of type pairwise or single; "
                    "leave it out to use prompts/",
                    kFile));
  }
}

}  // namespace

JudgePrompts load_judge_prompts(const std::string& folder,
                                const std::string& published) {
  const std::string path = recipe::prompt_path(folder, {}, kFile);
  JudgePrompts out;
  read_own(path, out);
  out.source = kFile;
  Hasher hasher;
  hasher.add(read_file(path));
  if (!published.empty()) {
    read_published(published, out);
    out.source =
        std::filesystem::path(published).filename().string() + ", " + kFile;
    hasher.add(read_file(published));
  }
  out.digest = hasher.digest();
  return out;
}

std::string fill_judge_prompt(const JudgePrompt& prompt,
                              const text::Values& values) {
  text::Values used;
  for (const auto& [name, value] : values) {
    if (names_place(prompt.text, name)) used.emplace(name, value);
  }
  return text::fill_template(prompt.text, used, prompt.name);
}

}  // namespace selfalign::judge
