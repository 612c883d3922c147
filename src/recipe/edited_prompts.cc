// SPDX-License-Identifier: Apache-2.0
#include "recipe/edited_prompts.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/own_file.h"
#include "recipe/yaml.h"
#include "text/words.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

constexpr char kPrinciples[] = "/principles.yaml";
constexpr char kExemplars[] = "/exemplars.yaml";

std::string slug(const std::string& name) {
  std::string slug;
  for (const char c : text::to_lower(name).substr(0, 40)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    slug += plain ? c : '-';
  }
  return slug;
}

void check_numbers(const std::vector<int>& numbers, size_t count,
                   const std::string& what) {
  for (const int number : numbers) {
    if (number >= 1 && size_t(number) <= count) continue;
    throw Error(ErrorKind::kUsage, str(what, ": expected a number from 1 to ",
                                       count, ", found ", number));
  }
}

bool holds(const std::vector<int>& numbers, size_t number) {
  return std::find(numbers.begin(), numbers.end(), int(number)) !=
         numbers.end();
}

void save(const std::string& path, const YAML::Node& node) {
  YAML::Emitter out;
  out << node;
  write_file_atomic(path, str(out.c_str(), "\n"));
}

// Where a thought says "3 (helpful)".
struct Mention {
  size_t begin;
  size_t digits_end;
  size_t end;  // of the item of the list, a reason and the like included
  int number;  // new; 0: taken out
};

// In a list with semicolons, "3 (helpful), since ...; 7 (candor), so ...", an
// item goes on to the next semicolon, the last one to the end of its sentence.
void include_reasons(const std::string& thought,
                     std::vector<Mention>& mentions) {
  const auto semicolon = [&thought](size_t from, size_t to) {
    return thought.substr(0, to).find(';', from);
  };
  for (size_t i = 0; i < mentions.size(); ++i) {
    Mention& mention = mentions[i];
    const size_t next =
        i + 1 < mentions.size() ? mentions[i + 1].begin : thought.size();
    const size_t own = semicolon(mention.end, next);
    const bool is_last =
        i > 0 && semicolon(mentions[i - 1].end, mention.begin) != thought.npos;
    if (own != thought.npos) {
      mention.end = own;
    } else if (is_last) {
      size_t dot = thought.find(". ", mention.end);
      if (dot == thought.npos) dot = thought.find_last_not_of(". \n") + 1;
      mention.end = std::max(mention.end, dot);
    }
  }
}

std::vector<Mention> find_mentions(const std::string& thought,
                                   const std::vector<std::string>& names,
                                   const std::vector<int>& numbers) {
  std::vector<Mention> mentions;
  const char* const kDigits = "0123456789";
  for (size_t at = 0;
       (at = thought.find_first_of(kDigits, at)) != std::string::npos;) {
    const size_t digits_end =
        std::min(thought.find_first_not_of(kDigits, at), thought.size());
    const size_t close = thought.find(')', digits_end);
    if (thought.compare(digits_end, 2, " (") == 0 &&
        close != std::string::npos) {
      const std::string name = text::to_lower(
          thought.substr(digits_end + 2, close - digits_end - 2));
      const auto found = std::find(names.begin(), names.end(), name);
      if (found != names.end()) {
        mentions.push_back({at, digits_end, close + 1,
                            numbers[size_t(found - names.begin())]});
      }
    }
    at = digits_end;
  }
  include_reasons(thought, mentions);
  return mentions;
}

void edit_turn(YAML::Node turn, const std::vector<std::string>& names,
               const std::vector<int>& numbers) {
  turn["thought"] = renumbered(turn["thought"].Scalar(), names, numbers);
}

YAML::Node without(const YAML::Node& list, const std::vector<int>& drop) {
  YAML::Node rest(YAML::NodeType::Sequence);
  for (size_t i = 0; i < list.size(); ++i) {
    if (!holds(drop, i + 1)) rest.push_back(list[i]);
  }
  return rest;
}

void edit_principles(const std::string& from, const PromptEdit& edit,
                     const std::string& to) {
  YAML::Node file = load_yaml(from + kPrinciples);
  check_numbers(edit.drop_rules, file["principles"].size(), "rule to drop");
  YAML::Node rest = without(file["principles"], edit.drop_rules);
  for (const Principle& principle : edit.add_rules) {
    YAML::Node node;
    node["name"] = principle.name;
    node["text"] = principle.text;
    rest.push_back(node);
  }
  file["principles"] = rest;
  save(to + kPrinciples, file);
}

void edit_exemplars(const std::string& from, const PromptEdit& edit,
                    const std::vector<std::string>& names,
                    const std::string& to) {
  YAML::Node file = load_yaml(from + kExemplars);
  check_numbers(edit.drop_exemplars, file["exemplars"].size(),
                "exemplar to drop");
  YAML::Node rest = without(file["exemplars"], edit.drop_exemplars);
  std::vector<int> numbers;
  int next = 1;
  for (size_t i = 0; i < names.size(); ++i) {
    numbers.push_back(holds(edit.drop_rules, i + 1) ? 0 : next++);
  }
  for (YAML::Node exemplar : rest) {
    edit_turn(exemplar, names, numbers);
    for (YAML::Node turn : exemplar["turns"]) edit_turn(turn, names, numbers);
  }
  for (const std::string& path : edit.add_exemplars) {
    const YAML::Node more = load_yaml(path)["exemplars"];
    if (!more || !more.IsSequence()) {
      throw Error(ErrorKind::kUsage,
                  path +
                      ": there is no list under the key exemplars, as "
                      "prompts/exemplars.yaml has");
    }
    for (const YAML::Node& exemplar : more) rest.push_back(exemplar);
  }
  file["exemplars"] = rest;
  save(to + kExemplars, file);
}

}  // namespace

bool PromptEdit::empty() const {
  return drop_rules.empty() && add_rules.empty() && drop_exemplars.empty() &&
         add_exemplars.empty();
}

std::string PromptEdit::name() const {
  std::string name;
  const auto add = [&name](const std::string& part) {
    name += (name.empty() ? "" : "-") + part;
  };
  for (const int rule : drop_rules) add(str("drop-rule-", rule));
  for (const Principle& rule : add_rules) add("add-rule-" + slug(rule.name));
  for (const int one : drop_exemplars) add(str("drop-exemplar-", one));
  for (const std::string& path : add_exemplars) {
    add("add-exemplar-" + slug(fs::path(path).stem()));
  }
  return name.empty() ? "control" : name;
}

std::string renumbered(const std::string& thought,
                       const std::vector<std::string>& names,
                       const std::vector<int>& numbers) {
  const std::vector<Mention> mentions = find_mentions(thought, names, numbers);
  std::string result;
  size_t at = 0;  // copied up to here
  bool any = false;
  for (size_t i = 0; i < mentions.size(); ++i) {
    const Mention& mention = mentions[i];
    if (mention.number > 0) {
      result +=
          thought.substr(at, mention.begin - at) +
          std::to_string(mention.number) +
          thought.substr(mention.digits_end, mention.end - mention.digits_end);
      at = mention.end;
      any = true;
    } else if (any) {  // with the comma in front of it
      at = mention.end;
    } else {  // what is in front stays, the comma behind it goes
      result += thought.substr(at, mention.begin - at);
      at = i + 1 < mentions.size() ? mentions[i + 1].begin : mention.end;
    }
  }
  if (!mentions.empty() && !any) {
    throw Error(
        ErrorKind::kUsage,
        str("exemplars: after the edit a thought would name no rule: \"",
            thought, "\"; drop that exemplar as well"));
  }
  return result + thought.substr(at);
}

void write_edited_prompts(const std::string& from, const PromptEdit& edit,
                          const std::string& to) {
  require_plain_folder(to);
  make_folder(to);
  const std::vector<std::string> names = principle_names(load_prompts(from));
  for (const std::string& file : prompt_files()) {
    if (!fs::exists(from + "/" + file)) continue;
    write_file_atomic(to + "/" + file, read_file(from + "/" + file));
  }
  if (!edit.drop_rules.empty() || !edit.add_rules.empty()) {
    edit_principles(from, edit, to);
  }
  if (!edit.drop_rules.empty() || !edit.drop_exemplars.empty() ||
      !edit.add_exemplars.empty()) {
    edit_exemplars(from, edit, names, to);
  }
}

}  // namespace selfalign::recipe
