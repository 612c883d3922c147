// SPDX-License-Identifier: Apache-2.0
#include "recipe/prompts.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "parse/rules.h"
#include "parse/thoughts.h"
#include "recipe/yaml.h"
#include "text/template.h"
#include "text/words.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;
using text::fill_template;

struct PromptsFolder {
  std::string folder;
  Overlays overlays;
  std::string path(const std::string& file) const {
    return prompt_path(folder, overlays, file);
  }
};

// Opens the folder's `file`, lets `read` take its keys, reports all mistakes.
void read_file_of(const PromptsFolder& folder, const std::string& file,
                  const std::function<void(YamlMap&, YamlMistakes&)>& read) {
  const std::string path = folder.path(file);
  YamlMistakes mistakes(path);
  YamlMap map(load_yaml(path), "", mistakes);
  read(map, mistakes);
  map.done();
  mistakes.throw_if_any();
}

void get_text(YamlMap& map, const std::string& key, std::string& out) {
  map.require(key).get(key, out);
  if (map.has(key) && out.empty()) map.mistake(key, "expected some text");
}

// A template, tried with the places it may name.
void get_template(YamlMap& map, const std::string& key, std::string& out,
                  const std::vector<std::string>& places) {
  get_text(map, key, out);
  if (!map.has(key)) return;
  text::Values values;
  for (const std::string& place : places) values[place] = "";
  try {
    fill_template(out, values, key);
  } catch (const Error& error) {
    map.mistake(key, error.what());
  }
}

// Calls `read` for each item of the list `key`, of which there must be one.
void each(YamlMap& map, YamlMistakes& mistakes, const std::string& key,
          const std::function<void(YamlMap&)>& read) {
  map.require(key);
  const auto items = map.items(key);
  if (map.has(key) && items.empty()) map.mistake(key, "expected some items");
  for (const YAML::Node& node : items) {
    YamlMap item(node, key, mistakes);
    read(item);
    item.done();
  }
}

void read_principles(const PromptsFolder& folder, Prompts& out) {
  read_file_of(folder, "principles.yaml", [&](YamlMap& map, YamlMistakes& m) {
    each(map, m, "principles", [&](YamlMap& item) {
      Principle principle;
      get_text(item, "name", principle.name);
      get_text(item, "text", principle.text);
      if (principle.name.find_first_of("(),") != std::string::npos) {
        item.mistake("name", "expected a name without brackets and commas");
      }
      out.principles.push_back(std::move(principle));
    });
  });
}

void read_turn(YamlMap& item, const std::vector<std::string>& names,
               Exemplar& exemplar) {
  ExemplarTurn turn;
  get_text(item, "user", turn.user);
  get_text(item, "thought", turn.thought);
  get_text(item, "answer", turn.answer);
  const parse::FiredRules fired = parse::find_rules(turn.thought, names);
  if (fired.rules.empty() || fired.num_malformed() > 0) {
    item.mistake("thought",
                 "expected \"rules N (name), ...\" with numbers and names of "
                 "principles.yaml");
  }
  exemplar.turns.push_back(std::move(turn));
}

void read_exemplars(const PromptsFolder& folder, Prompts& out) {
  const std::vector<std::string> names = principle_names(out);
  read_file_of(folder, "exemplars.yaml", [&](YamlMap& map, YamlMistakes& m) {
    each(map, m, "exemplars", [&](YamlMap& item) {
      Exemplar exemplar;
      read_turn(item, names, exemplar);
      if (item.has("turns")) {
        each(item, m, "turns",
             [&](YamlMap& turn) { read_turn(turn, names, exemplar); });
      }
      item.get("close", exemplar.close);
      out.exemplars.push_back(std::move(exemplar));
    });
  });
}

void read_align(const PromptsFolder& folder, AlignPrompt& align) {
  read_file_of(folder, "align.yaml", [&](YamlMap& map, YamlMistakes&) {
    get_text(map, "assistant", align.assistant);
    get_text(map, "user_tag", align.user_tag);
    get_text(map, "thought_tag", align.thought_tag);
    get_text(map, "answer_tag", align.answer_tag);
    get_template(map, "principle", align.principle, {"number", "name", "text"});
    get_template(map, "turn", align.turn, {"user", "thought", "answer"});
    get_text(map, "close", align.close);
    get_template(map, "prompt", align.prompt,
                 {"assistant", "principles", "exemplars"});
    get_template(map, "suffix", align.suffix, {"instruction"});
    map.require("stop").get("stop", align.stop);
  });
}

void read_chat(YamlMap map, const std::string& assistant, ChatPrompt& chat) {
  get_template(map, "prompt", chat.prompt, {"assistant"});
  get_template(map, "user", chat.user, {"instruction"});
  get_text(map, "answer", chat.answer);
  get_text(map, "between", chat.between);
  map.require("stop").get("stop", chat.stop);
  map.done();
  try {
    chat.prompt = fill_template(chat.prompt, {{"assistant", assistant}}, "");
  } catch (const Error&) {  // reported by get_template
  }
}

// A form has the layout of `engraved`; what it says before the first turn, and
// turns that have been, are its own.
void read_form(YamlMap form, const std::string& assistant,
               const ChatPrompt& layout, ChatPrompt& chat) {
  chat = layout;
  if (form.has("prompt")) {
    get_template(form, "prompt", chat.prompt, {"assistant"});
    try {
      chat.prompt = fill_template(chat.prompt, {{"assistant", assistant}}, "");
    } catch (const Error&) {  // reported by get_template
    }
  }
  for (const YAML::Node& node : form.items("turns")) {
    YamlMap turn(node, "turns", form.mistakes());
    std::string user, answer;
    get_text(turn, "user", user);
    get_text(turn, "answer", answer);
    turn.done();
    chat.prompt += chat_turn(layout, user) + answer + layout.between;
  }
  form.done();
}

void read_inference(YamlMap& map, const std::string& assistant, Prompts& out) {
  if (!map.has("inference")) return;
  YamlMap forms = map.map("inference");
  for (const std::string& name : inference_forms()) {
    if (!forms.has(name)) continue;
    read_form(forms.map(name), assistant, out.engraved, out.inference[name]);
  }
  forms.done();
}

void read_meta(const PromptsFolder& folder, Prompts& out) {
  read_file_of(folder, "meta.yaml", [&](YamlMap& map, YamlMistakes&) {
    std::string assistant;
    get_text(map, "assistant", assistant);
    for (auto& [key, chat] :
         {std::pair<const char*, ChatPrompt*>("engraved", &out.engraved),
          {"verbose_distill", &out.verbose_distill},
          {"verbose", &out.verbose}}) {
      map.require(key);
      read_chat(map.map(key), assistant, *chat);
    }
    out.tuned = out.engraved;
    out.tuned.prompt.clear();
    if (map.has("tuned")) read_chat(map.map("tuned"), assistant, out.tuned);
    read_inference(map, assistant, out);
  });
}

void read_self_instruct(const PromptsFolder& folder, Prompts& out) {
  SelfInstructPrompt& prompt = out.self_instruct;
  read_file_of(folder, "self_instruct.yaml", [&](YamlMap& map, YamlMistakes&) {
    map.get("num_total", prompt.num_total, 1, 1000);
    get_text(map, "no_input", prompt.no_input);
    get_template(map, "item", prompt.item, {"number", "instruction", "input"});
    get_template(map, "prompt", prompt.prompt, {"total", "exemplars", "next"});
    map.require("stop").get("stop", prompt.stop);
  });
  read_file_of(folder, "seed_tasks.yaml", [&](YamlMap& map, YamlMistakes& m) {
    each(map, m, "seed_tasks", [&](YamlMap& item) {
      SeedTask task;
      get_text(item, "instruction", task.instruction);
      item.get("input", task.input);
      out.seed_tasks.push_back(std::move(task));
    });
  });
}

void read_type(YamlMap& item, YamlMistakes& mistakes, QuestionType& type) {
  get_text(item, "type", type.type);
  item.get("weight", type.weight, 0.0, 1e6);
  item.require("topics").get("topics", type.topics);
  each(item, mistakes, "questions", [&](YamlMap& entry) {
    SeedQuestion question;
    get_text(entry, "topic", question.topic);
    get_text(entry, "question", question.question);
    type.questions.push_back(std::move(question));
  });
}

void read_red_team(const PromptsFolder& folder, RedTeamPrompt& prompt) {
  read_file_of(folder, "red_team.yaml", [&](YamlMap& map, YamlMistakes& m) {
    map.get("num_topics", prompt.num_topics, 1, 1000);
    get_template(map, "topic_prompt", prompt.topic_prompt,
                 {"total", "type", "topics", "next"});
    map.require("topic_stop").get("topic_stop", prompt.topic_stop);
    get_template(map, "example", prompt.example,
                 {"number", "type", "topic", "question"});
    get_template(map, "hint", prompt.hint, {"number", "type", "topic"});
    get_template(map, "question_prompt", prompt.question_prompt,
                 {"examples", "hints"});
    map.require("question_stop").get("question_stop", prompt.question_stop);
    if (map.has("list_prompt")) {
      get_template(map, "list_prompt", prompt.list_prompt,
                   {"hints", "examples"});
    }
    each(map, m, "types", [&](YamlMap& item) {
      QuestionType type;
      read_type(item, m, type);
      prompt.types.push_back(std::move(type));
    });
  });
}

void read_identity(const PromptsFolder& folder, Prompts& out) {
  read_file_of(folder, "identity.yaml", [&](YamlMap& map, YamlMistakes& m) {
    each(map, m, "identity", [&](YamlMap& item) {
      IdentityRow row;
      get_text(item, "question", row.question);
      get_text(item, "answer", row.answer);
      out.identity.push_back(std::move(row));
    });
  });
}

void read_held_out(const PromptsFolder& folder, Prompts& out) {
  read_file_of(folder, "held_out.yaml", [&](YamlMap& map, YamlMistakes& m) {
    each(map, m, "held_out", [&](YamlMap& item) {
      HeldOutInstruction row;
      get_text(item, "instruction", row.instruction);
      item.get("show", row.show);
      out.held_out.push_back(std::move(row));
    });
  });
}

// Holds some prompt files, so that the others may be taken from elsewhere.
bool is_layer(const std::string& folder) {
  return std::any_of(
      prompt_files().begin(), prompt_files().end(),
      [&](const std::string& file) { return fs::exists(folder + "/" + file); });
}

// A file that replaces nothing is a mistake in its name.
void check_overlay(const std::string& overlay) {
  if (std::error_code ignored; !fs::is_directory(overlay, ignored)) {
    throw Error(ErrorKind::kInput,
                str("cannot open the folder ", overlay,
                    " (prompts_overlay): no such folder; check the path"));
  }
  const std::vector<std::string>& known = prompt_files();
  std::error_code problem;
  fs::directory_iterator entries(overlay, problem);
  if (problem) {
    throw Error(ErrorKind::kInput,
                str("cannot read the folder ", overlay, " (prompts_overlay): ",
                    problem.message(), "; check its rights"));
  }
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".yaml" ||
        std::find(known.begin(), known.end(), name) != known.end()) {
      continue;
    }
    throw Error(ErrorKind::kUsage,
                str(entry.path().string(),
                    ": expected a file that replaces one of the prompts, "
                    "found another name",
                    text::did_you_mean(name, known)));
  }
}

}  // namespace

const std::vector<std::string>& prompt_files() {
  static const std::vector<std::string> files = {
      "principles.yaml",    "exemplars.yaml",  "align.yaml",
      "self_instruct.yaml", "seed_tasks.yaml", "red_team.yaml",
      "meta.yaml",          "identity.yaml",   "held_out.yaml"};
  return files;
}

std::string prompt_path(const std::string& folder, const Overlays& overlays,
                        const std::string& file) {
  for (size_t i = overlays.size(); i-- > 0;) {
    std::string own = overlays[i] + "/" + file;
    if (fs::exists(own)) return own;
  }
  const std::string plain = folder + "/" + file;
  if (fs::exists(plain) || !is_layer(folder)) return plain;
  const fs::path around = fs::absolute(folder + "/..").lexically_normal();
  const std::string outer =
      prompt_path(around.parent_path().string(), {}, file);
  return fs::exists(outer) ? outer : plain;
}

Prompts load_prompts(const std::string& plain_folder,
                     const Overlays& overlays) {
  if (std::error_code ignored; !fs::is_directory(plain_folder, ignored)) {
    throw Error(ErrorKind::kInput,
                str("cannot open the folder ", plain_folder,
                    " (prompts_folder): no such folder; check the path"));
  }
  for (const std::string& overlay : overlays) check_overlay(overlay);
  const PromptsFolder folder{plain_folder, overlays};
  Prompts prompts;
  read_principles(folder, prompts);
  read_exemplars(folder, prompts);
  read_align(folder, prompts.align);
  read_self_instruct(folder, prompts);
  read_red_team(folder, prompts.red_team);
  read_meta(folder, prompts);
  read_identity(folder, prompts);
  read_held_out(folder, prompts);
  Hasher hasher;
  for (const std::string& file : prompt_files()) {
    hasher.add(file).add(read_file(folder.path(file)));
  }
  prompts.digest = hasher.digest();
  return prompts;
}

std::string align_prefix(const Prompts& prompts) {
  const AlignPrompt& align = prompts.align;
  std::string principles;
  for (size_t i = 0; i < prompts.principles.size(); ++i) {
    if (i > 0) principles += '\n';
    principles += fill_template(align.principle,
                                {{"number", std::to_string(i + 1)},
                                 {"name", prompts.principles[i].name},
                                 {"text", prompts.principles[i].text}},
                                "align.yaml: principle");
  }
  std::string exemplars;
  for (const Exemplar& exemplar : prompts.exemplars) {
    if (!exemplars.empty()) exemplars += "\n\n";
    for (const ExemplarTurn& turn : exemplar.turns) {
      exemplars += fill_template(align.turn,
                                 {{"user", turn.user},
                                  {"thought", turn.thought},
                                  {"answer", turn.answer}},
                                 "align.yaml: turn") +
                   "\n\n";
    }
    exemplars += exemplar.close.empty() ? align.close : exemplar.close;
  }
  return fill_template(align.prompt,
                       {{"assistant", align.assistant},
                        {"principles", principles},
                        {"exemplars", exemplars}},
                       "align.yaml: prompt");
}

std::string align_suffix(const Prompts& prompts,
                         const std::string& instruction) {
  return fill_template(prompts.align.suffix, {{"instruction", instruction}},
                       "align.yaml: suffix");
}

std::string chat_user_tag(const ChatPrompt& chat) {
  return parse::trim(chat.user.substr(0, chat.user.find("{instruction}")));
}

std::vector<std::string> shown_answers(const ChatPrompt& chat) {
  const std::string user = chat_user_tag(chat);
  const std::string answer = parse::trim(chat.answer);
  std::vector<std::string> answers;
  if (user.empty() || answer.empty()) return answers;
  for (size_t at = chat.prompt.find(answer); at != std::string::npos;
       at = chat.prompt.find(answer, at + 1)) {
    const size_t begin = at + answer.size();
    const size_t end = chat.prompt.find("\n" + user, begin);
    answers.push_back(parse::trim(chat.prompt.substr(begin, end - begin)));
  }
  return answers;
}

std::string chat_turn(const ChatPrompt& chat, const std::string& instruction) {
  return fill_template(chat.user, {{"instruction", instruction}},
                       "meta.yaml: user") +
         chat.answer;
}

const std::vector<std::string>& inference_forms() {
  static const std::vector<std::string> forms = {"standard",     "introduction",
                                                 "concise",      "verbose",
                                                 "multilingual", "few-shot"};
  return forms;
}

const ChatPrompt& chat_form(const Prompts& prompts, const std::string& form) {
  if (form == "engraved") return prompts.engraved;
  if (form == "final") return prompts.verbose;
  if (form == "tuned") return prompts.tuned;
  const auto found = prompts.inference.find(form);
  if (found != prompts.inference.end()) return found->second;
  std::string known = "engraved, final, tuned";
  for (const auto& [name, chat] : prompts.inference) known += ", " + name;
  throw Error(
      ErrorKind::kUsage,
      str("meta.yaml: expected an inference prompt \"", form, "\", found ",
          known, "; take one of these or write it there"));
}

std::vector<std::string> principle_names(const Prompts& prompts) {
  std::vector<std::string> names;
  for (const Principle& principle : prompts.principles) {
    names.push_back(principle.name);
  }
  return names;
}

}  // namespace selfalign::recipe
