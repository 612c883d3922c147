// SPDX-License-Identifier: Apache-2.0
// Stage 1 and identity: rows as JSON, and the prompts for lists. Upstream keeps
// the layout of lists in code; ours is used.
#include <set>

#include "base/error.h"
#include "base/number.h"
#include "parse/thoughts.h"
#include "recipe/import/import_parts.h"

namespace selfalign::recipe {
namespace {

std::string where_of(const ImportedFile& file, size_t row) {
  return str(file.path, ": row ", row + 1);
}

std::string text_of(const Json& row, const char* name,
                    const std::string& where) {
  const std::string text = parse::trim(json_string(row, name, where));
  if (text.empty()) {
    throw Error(ErrorKind::kInput,
                str(where, ": '", name, "' is empty; fill it in"));
  }
  return text;
}

// The number N of "set of N" in the prompt; every N that stands alone becomes
// {total}.
std::string with_total(const std::string& text, const ImportedFile& file,
                       int& total) {
  size_t at = text.find("set of ");
  std::string digits;
  if (at != std::string::npos) {
    for (at += 7; at < text.size() && std::isdigit(text[at]) != 0; ++at) {
      digits += text[at];
    }
  }
  const auto number = parse_number<int>(digits, 0, 999);
  if (!number) throw_damaged(file, "\"a set of N ...\"", "none");
  total = *number;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const bool inside = i > 0 && std::isalnum(text[i - 1]) != 0;
    const size_t end = i + digits.size();
    const bool after =
        end < text.size() && (std::isalnum(text[end]) != 0 || text[end] == '.');
    if (!inside && !after && text.compare(i, digits.size(), digits) == 0) {
      out += "{total}";
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

void import_seed_tasks(const std::vector<Json>& rows, ImportedPrompts& out,
                       ImportedFile& file) {
  if (!claim("seed tasks", "", out, file)) return;
  YAML::Node tasks(YAML::NodeType::Sequence);
  size_t num_inputs = 0;
  size_t num_instances = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = where_of(file, i);
    YAML::Node task;
    task["instruction"] = text_of(rows[i], "instruction", where);
    const Json instances = rows[i].value("instances", Json::array());
    if (!instances.is_array()) {
      throw Error(ErrorKind::kInput,
                  where +
                      ": expected a list 'instances', found another "
                      "value; correct this row");
    }
    num_instances += instances.size();
    if (!instances.empty()) {
      const std::string input =
          parse::trim(json_string_or(instances[0], "input", where, ""));
      if (!input.empty()) task["input"] = input;
      num_inputs += input.empty() ? 0 : 1;
    }
    tasks.push_back(task);
  }
  out.file("seed_tasks.yaml")["seed_tasks"] = tasks;
  file.became = str(tasks.size(), " seed tasks, ", num_inputs,
                    " with an input -> seed_tasks.yaml");
  file.left_out = "outputs and names, which the method does not use";
  if (num_instances > rows.size()) {
    file.left_out +=
        str("; ", num_instances - rows.size(), " further instances of tasks");
  }
}

void import_questions(const std::vector<Json>& rows, ImportedPrompts& out,
                      ImportedFile& file) {
  if (!claim("seed questions", "", out, file)) return;
  struct Type {
    YAML::Node node;
    std::set<std::string> topics;
    size_t num_questions = 0;
  };
  std::vector<std::string> order;
  std::map<std::string, Type> types;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = where_of(file, i);
    const std::string name = text_of(rows[i], "question_type", where);
    const std::string topic = text_of(rows[i], "topic", where);
    if (!types.contains(name)) order.push_back(name);
    Type& type = types[name];
    if (type.topics.insert(topic).second) type.node["topics"].push_back(topic);
    if (!rows[i].contains("question")) continue;
    YAML::Node question;
    question["topic"] = topic;
    question["question"] = text_of(rows[i], "question", where);
    type.node["questions"].push_back(question);
    ++type.num_questions;
  }
  YAML::Node list(YAML::NodeType::Sequence);
  size_t num_questions = 0;
  for (const std::string& name : order) {
    const Type& type = types[name];
    if (type.num_questions == 0) continue;
    YAML::Node node;
    node["type"] = name;
    node["topics"] = type.node["topics"];
    node["questions"] = type.node["questions"];
    num_questions += type.num_questions;
    list.push_back(node);
  }
  if (list.size() == 0) {
    throw_damaged(file, "types with a seed question", "none");
  }
  if (list.size() < order.size()) {
    file.left_out =
        str(order.size() - list.size(), " types without a seed question");
  }
  out.file("red_team.yaml")["types"] = list;
  file.became = str(list.size(), " question types, ", num_questions,
                    " seed questions -> red_team.yaml: types");
}

void import_identity(const std::vector<Json>& rows, ImportedPrompts& out,
                     ImportedFile& file) {
  if (!claim("identity rows", "", out, file)) return;
  YAML::Node list(YAML::NodeType::Sequence);
  std::set<std::pair<std::string, std::string>> seen;
  size_t num_pairs = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = where_of(file, i);
    const Json turns = rows[i].value("conversations", Json());
    if (!turns.is_array() || turns.size() % 2 != 0) {
      throw Error(ErrorKind::kInput,
                  where +
                      ": expected 'conversations' of turns of human and "
                      "gpt, found another value; correct this row");
    }
    for (size_t t = 0; t < turns.size(); t += 2) {
      if (json_string(turns[t], "from", where) != "human" ||
          json_string(turns[t + 1], "from", where) != "gpt") {
        throw Error(ErrorKind::kInput,
                    where +
                        ": expected turns of human and gpt by turns, "
                        "found others; correct this row");
      }
      const std::string question = text_of(turns[t], "value", where);
      const std::string answer = text_of(turns[t + 1], "value", where);
      ++num_pairs;
      if (!seen.insert({question, answer}).second) continue;
      YAML::Node pair;
      pair["question"] = question;
      pair["answer"] = answer;
      list.push_back(pair);
    }
  }
  out.file("identity.yaml")["identity"] = list;
  file.became = str(list.size(),
                    " questions about the assistant, answered, "
                    "-> identity.yaml");
  if (num_pairs > list.size()) {
    file.left_out = str(num_pairs - list.size(), " pairs that are there twice");
  }
}

void import_task_prompt(const std::string& text, ImportedPrompts& out,
                        ImportedFile& file) {
  const std::string whole = parse::trim(text);
  if (!claim("Self-Instruct prompt", whole, out, file)) return;
  int total = 0;
  const std::string prompt = with_total(as_template(whole), file, total);
  YAML::Node& own = out.file("self_instruct.yaml");
  own["prompt"] = prompt + "\n\n{exemplars}\n\n{next}. Task:";
  own["item"] = "{number}. Task: {instruction}\nText: {input}";
  own["num_total"] = total;
  own["no_input"] = "<noinput>";
  own["stop"] = YAML::Node(YAML::NodeType::Sequence);
  own["stop"].push_back(str("\n", total + 1, "."));
  file.became = "the Self-Instruct prompt -> self_instruct.yaml: prompt";
}

void import_topic_prompt(const std::string& text, ImportedPrompts& out,
                         ImportedFile& file) {
  const std::string whole = parse::trim(text);
  if (!claim("topic prompt", whole, out, file)) return;
  int total = 0;
  const std::string prompt = with_total(
      replace_all(as_template(whole), "{{}}", "{type}"), file, total);
  YAML::Node& own = out.file("red_team.yaml");
  own["topic_prompt"] = prompt + "\n\n{topics}\n{next}.";
  own["num_topics"] = total;
  own["topic_stop"] = YAML::Node(YAML::NodeType::Sequence);
  own["topic_stop"].push_back("\n\n");
  own["topic_stop"].push_back(str("\n", total + 1, "."));
  file.became = "the prompt for topics -> red_team.yaml: topic_prompt";
}

void import_question_prompt(const std::string& text, ImportedPrompts& out,
                            ImportedFile& file) {
  std::string prompt = as_template(parse::trim(text));
  if (!claim("question prompt", prompt, out, file)) return;
  std::string list_prompt = prompt;
  list_prompt.replace(list_prompt.find("{{}}"), 4, "\n{hints}");
  list_prompt.replace(list_prompt.find("{{}}"), 4, "\n{examples}\n");
  const size_t hints = prompt.find("{{}}");
  prompt.replace(hints, 4, "{hints}");
  const size_t list = prompt.find("{{}}");
  prompt.replace(list, 4, "{examples}\n{hints}");
  YAML::Node& own = out.file("red_team.yaml");
  own["question_prompt"] = prompt;
  own["list_prompt"] = list_prompt;
  own["example"] =
      "{number}. type: {type}, topic: {topic}, instruction: {question}";
  own["hint"] = "{number}. type: {type}, topic: {topic}, instruction:";
  own["question_stop"] = YAML::Node(YAML::NodeType::Sequence);
  own["question_stop"].push_back("\n");
  file.became =
      "the prompt for questions -> red_team.yaml: list_prompt, and "
      "question_prompt for one a request";
}

}  // namespace selfalign::recipe
