// SPDX-License-Identifier: Apache-2.0
// Short chat prompts (paper: appendix with the verbose and inference prompts):
//   # NAME, a text, then turns "### User", "### NAME" with a line break after
//   the tag, apart by blank lines; at the end the bare tag "### User".

#include "base/error.h"
#include "parse/thoughts.h"
#include "recipe/import/import_parts.h"

namespace selfalign::recipe {
namespace {

constexpr char kUserTag[] = "### User";
constexpr char kDistill[] = "verbose_distill";

struct ChatText {
  std::string name;    // of the assistant
  std::string tag;     // of its turns, "" if there are none
  std::string system;  // up to the first turn
  std::vector<std::pair<std::string, std::string>> turns;
};

// The part of a turn after its tag's line; Error where the tag is another.
std::string body_of(const std::string& section, const std::string& tag,
                    const ImportedFile& file) {
  const std::string line = tag + "\n";
  if (!section.starts_with(line)) {
    throw_damaged(file, "a turn \"" + tag + "\"",
                  "\"" + section.substr(0, 40) + "\"");
  }
  std::string body = section.substr(line.size());
  while (body.ends_with('\n')) body.pop_back();
  return body;
}

ChatText read_chat_text(const std::string& whole, const ImportedFile& file) {
  ChatText chat;
  chat.name = parse::trim(whole.substr(1, whole.find('\n') - 1));
  size_t begin = whole.find(std::string("\n") + kUserTag) + 1;
  chat.system = whole.substr(0, begin);
  std::vector<std::string> sections;
  while (true) {
    const size_t end = whole.find("\n### ", begin);
    if (end == std::string::npos) break;
    sections.push_back(whole.substr(begin, end + 1 - begin));
    begin = end + 1;
  }
  if (whole.substr(begin) != kUserTag || sections.size() % 2 != 0) {
    throw_damaged(file,
                  "turns of the user and the assistant by turns, and "
                  "\"### User\" at the end",
                  "another order");
  }
  for (size_t i = 0; i < sections.size(); i += 2) {
    const std::string& answer = sections[i + 1];
    const std::string tag = answer.substr(0, answer.find('\n'));
    if (chat.tag.empty()) chat.tag = tag;
    chat.turns.emplace_back(body_of(sections[i], kUserTag, file),
                            body_of(answer, chat.tag, file));
  }
  return chat;
}

// Which of the short prompts it is.
std::string kind_of(const ChatText& chat) {
  if (chat.turns.empty()) return "concise";
  if (chat.tag != "### " + chat.name) return kDistill;
  size_t num_bytes = 0;
  size_t num_foreign = 0;
  for (const auto& [user, answer] : chat.turns) {
    for (const char c : user + answer) {
      ++num_bytes;
      if (static_cast<unsigned char>(c) >= 0x80) ++num_foreign;
    }
  }
  if (num_foreign * 10 > num_bytes) return "multilingual";
  if (chat.turns.size() > 1) return "few-shot";
  return chat.turns[0].second.find("\n\n") != std::string::npos ? "verbose"
                                                                : "standard";
}

// What others call the assistant, everywhere in our own file.
void take_name(const std::string& name, const ImportedFile& file,
               ImportedPrompts& out) {
  YAML::Node& meta = out.file("meta.yaml");
  const auto own = meta["assistant"].as<std::string>();
  if (own == name) return;
  if (out.text_of.contains("name")) {
    throw_damaged(file, "the name " + own + ", as in the files before",
                  name + "; import them into folders of their own");
  }
  rename_all(meta, own, name);
  for (const char* key : {"engraved", "verbose", kDistill}) {
    meta[key]["user"] = std::string(kUserTag) + "\n{instruction}\n\n";
    meta[key]["answer"] = "### " + name + "\n";
    meta[key]["between"] = "\n\n";
    meta[key]["stop"] = YAML::Node(YAML::NodeType::Sequence);
    meta[key]["stop"].push_back(std::string("\n") + kUserTag);
    meta[key]["stop"].push_back("\n### " + name);
  }
}

std::string named_template(const std::string& text, const std::string& name) {
  return replace_all(as_template(text), as_template(name), "{assistant}");
}

}  // namespace

void rename_all(YAML::Node node, const std::string& from,
                const std::string& to) {
  if (node.IsScalar()) {
    node = replace_all(node.Scalar(), from, to);
  } else {
    for (auto child : node) {
      rename_all(node.IsMap() ? child.second : YAML::Node(child), from, to);
    }
  }
}

void import_chat(const std::string& text, ImportedPrompts& out,
                 ImportedFile& file) {
  const std::string whole = parse::trim(text);
  const ChatText chat = read_chat_text(whole, file);
  const std::string kind = kind_of(chat);
  const bool distill = kind == kDistill;
  if (!claim(distill ? kind : "form " + kind, whole, out, file)) return;
  take_name(chat.name, file, out);
  out.text_of["name"] = chat.name;
  YAML::Node& meta = out.file("meta.yaml");
  const std::string until_user =
      whole.substr(0, whole.size() - std::string(kUserTag).size());
  if (distill) {
    meta[kDistill]["prompt"] = named_template(until_user, chat.name);
    meta[kDistill]["answer"] = chat.tag + "\n";
    file.became = "the prompt for long answers -> meta.yaml: verbose_distill";
    return;
  }
  YAML::Node form;
  form["prompt"] = named_template(chat.system, chat.name);
  for (const auto& [user, answer] : chat.turns) {
    YAML::Node turn;
    turn["user"] = user;
    turn["answer"] = answer;
    form["turns"].push_back(turn);
  }
  meta["inference"][kind] = form;
  file.became = "an inference prompt -> meta.yaml: inference." + kind;
}

void finish_chat(ImportedPrompts& out, ImportReport& report) {
  if (!out.text_of.contains("name")) return;
  const std::string& name = out.text_of["name"];
  for (const char* form : {"form standard", "form concise"}) {
    if (!out.text_of.contains(form)) continue;
    std::string text = out.text_of[form];
    text.resize(text.size() - std::string(kUserTag).size());
    for (const char* key : {"engraved", "verbose"}) {
      out.file("meta.yaml")[key]["prompt"] = named_template(text, name);
    }
    report.notes.push_back(
        str("meta.yaml: engraved and verbose train with the ",
            std::string(form).substr(5), " prompt"));
    return;
  }
  report.notes.push_back(
      "meta.yaml: engraved and verbose keep our prompts, "
      "with the name " +
      name);
}

}  // namespace selfalign::recipe
