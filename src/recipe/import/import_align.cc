// SPDX-License-Identifier: Apache-2.0
// A Self-Align prompt (paper: section 3.2 and its appendix):
//   # NAME, a text, "1 (name). rule" a line each, a text, then conversations of
//   turns "User: ...", "NAME (internal thoughts): ...", "NAME: ...", apart by
//   blank lines, each closed by a "User: ..." and "NAME (auto reply): ..."; it
//   ends in the user's tag.
#include <algorithm>

#include "base/error.h"
#include "parse/thoughts.h"
#include "recipe/import/import_parts.h"

namespace selfalign::recipe {
namespace {

constexpr char kUserTag[] = "User:";

struct Turn {
  std::string tag;
  std::string text;
};
struct Conversation {
  std::vector<YAML::Node> turns;  // {user, thought, answer}
  std::string close;
};

std::string name_of(const std::string& text, const ImportedFile& file) {
  const std::string name = parse::trim(text.substr(1, text.find('\n') - 1));
  if (text[0] != '#' || name.empty() || name.size() > 60) {
    throw_damaged(file, "a first line \"# NAME\"", "another");
  }
  return name;
}

// Whether line [begin, end) is "number (name). text".
bool is_rule(const std::string& line, size_t number) {
  const std::string mark = std::to_string(number) + " (";
  return line.starts_with(mark) &&
         line.find("). ", mark.size()) != std::string::npos;
}

// The rules, and where they stand in the text.
YAML::Node read_rules(const std::string& text, const ImportedFile& file,
                      size_t& begin, size_t& end) {
  YAML::Node rules(YAML::NodeType::Sequence);
  begin = end = text.find("\n1 (");
  if (begin == std::string::npos) {
    throw_damaged(file, "rules \"1 (name). text\", a line each", "none");
  }
  end = ++begin;
  while (end < text.size()) {
    const size_t stop = std::min(text.find('\n', end), text.size());
    const std::string line = text.substr(end, stop - end);
    if (!is_rule(line, rules.size() + 1)) break;
    const size_t name = line.find('(') + 1;
    const size_t close = line.find("). ", name);
    YAML::Node rule;
    rule["name"] = line.substr(name, close - name);
    rule["text"] = line.substr(close + 3);
    rules.push_back(rule);
    end = std::min(stop + 1, text.size());
  }
  if (rules.size() == 0) throw_damaged(file, "\"1 (name). text\"", "another");
  if (text[end - 1] == '\n') --end;
  return rules;
}

// Splits at blank lines before a tag; the last turn may be a bare tag.
std::vector<Turn> split_turns(const std::string& text,
                              const std::vector<std::string>& tags) {
  std::vector<Turn> turns;
  for (size_t begin = 0; begin < text.size();) {
    const auto tag =
        std::find_if(tags.begin(), tags.end(), [&](const std::string& one) {
          return text.compare(begin, one.size(), one) == 0;
        });
    size_t end = text.size();
    for (const std::string& next : tags) {
      end = std::min(end, text.find("\n\n" + next, begin));
    }
    const std::string whole = text.substr(begin, end - begin);
    const size_t skip = tag == tags.end() ? 0 : tag->size();
    const size_t space = skip < whole.size() && whole[skip] == ' ' ? 1 : 0;
    turns.push_back(
        {tag == tags.end() ? "" : *tag, whole.substr(skip + space)});
    begin = end + 2;
  }
  return turns;
}

class Conversations {
 public:
  Conversations(const std::string& name, const ImportedFile& file)
      : thought_(name + " (internal thoughts):"),
        answer_(name + ":"),
        reply_(name + " (auto reply):"),
        file_(file) {}

  std::vector<Conversation> read(const std::string& text) {
    const std::vector<Turn> turns =
        split_turns(text, {kUserTag, thought_, reply_, answer_});
    Conversation now;
    size_t i = 0;
    while (i + 1 < turns.size()) {
      if (turns[i].tag == kUserTag && turns[i + 1].tag == reply_) {
        close(turns[i], turns[i + 1], now);
        i += 2;
      } else if (i + 2 < turns.size() && turns[i].tag == kUserTag &&
                 turns[i + 1].tag == thought_ && turns[i + 2].tag == answer_) {
        YAML::Node turn;
        turn["user"] = turns[i].text;
        turn["thought"] = turns[i + 1].text;
        turn["answer"] = turns[i + 2].text;
        now.turns.push_back(turn);
        i += 3;
      } else {
        fail(turns[i]);
      }
    }
    const bool ends = i + 1 == turns.size() && turns[i].tag == kUserTag &&
                      turns[i].text.empty() && now.turns.empty();
    if (!ends || all_.empty()) {
      throw_damaged(file_,
                    "conversations that are closed by \"" + reply_ +
                        "\" and after the last one \"User:\"",
                    all_.empty() ? "none" : "another end");
    }
    return std::move(all_);
  }

 private:
  void close(const Turn& user, const Turn& reply, Conversation& now) {
    if (now.turns.empty()) fail(user);
    now.close = std::string(kUserTag) + " " + user.text + "\n\n" + reply_ +
                " " + reply.text;
    all_.push_back(std::exchange(now, {}));
  }
  [[noreturn]] void fail(const Turn& turn) const {
    throw_damaged(file_,
                  str("turns \"User:\", \"", thought_, "\", \"", answer_,
                      "\" in this order"),
                  str("another order at \"", turn.tag, " ",
                      turn.text.substr(0, 40), "\""));
  }

  std::string thought_, answer_, reply_;
  const ImportedFile& file_;
  std::vector<Conversation> all_;
};

YAML::Node exemplars_node(const std::vector<Conversation>& conversations) {
  YAML::Node exemplars(YAML::NodeType::Sequence);
  for (const Conversation& one : conversations) {
    YAML::Node exemplar = YAML::Clone(one.turns[0]);
    for (size_t i = 1; i < one.turns.size(); ++i) {
      exemplar["turns"].push_back(one.turns[i]);
    }
    if (one.close != conversations[0].close) exemplar["close"] = one.close;
    exemplars.push_back(exemplar);
  }
  return exemplars;
}

void fill_align(const std::string& name, const std::string& prompt,
                const std::string& close, YAML::Node& align) {
  const auto own_name = align["assistant"].as<std::string>();
  align["assistant"] = name;
  align["user_tag"] = kUserTag;
  align["thought_tag"] = name + " (internal thoughts):";
  align["answer_tag"] = name + ":";
  align["principle"] = "{number} ({name}). {text}";
  const std::string layout = as_template(name);
  align["turn"] = "User: {user}\n\n" + layout +
                  " (internal thoughts): {thought}\n\n" + layout + ": {answer}";
  align["close"] = close;
  align["prompt"] = prompt;
  align["suffix"] =
      "User: {instruction}\n\n" + layout + " (internal thoughts):";
  rename_all(align["stop"], own_name, name);
}

}  // namespace

void import_align(const std::string& text, ImportedPrompts& out,
                  ImportedFile& file) {
  const std::string whole = parse::trim(text);
  if (!claim("align", whole, out, file)) return;
  const std::string name = name_of(whole, file);
  size_t rules_begin = 0;
  size_t rules_end = 0;
  const YAML::Node rules = read_rules(whole, file, rules_begin, rules_end);
  size_t first = std::string::npos;
  for (const std::string& tag :
       {std::string(kUserTag), name + " (internal thoughts):", name + ":"}) {
    first = std::min(first, whole.find("\n\n" + tag, rules_end));
  }
  if (first == std::string::npos) {
    throw_damaged(file, "worked conversations after the rules", "none");
  }
  const std::vector<Conversation> conversations =
      Conversations(name, file).read(whole.substr(first + 2));
  const auto frame = [&](size_t begin, size_t end) {
    return replace_all(as_template(whole.substr(begin, end - begin)),
                       as_template(name), "{assistant}");
  };
  fill_align(name,
             frame(0, rules_begin) + "{principles}" +
                 frame(rules_end, first + 2) + "{exemplars}\n\n",
             conversations[0].close, out.file("align.yaml"));
  out.file("principles.yaml")["principles"] = rules;
  out.file("exemplars.yaml")["exemplars"] = exemplars_node(conversations);
  file.became =
      str("the Self-Align prompt: ", rules.size(), " principles, ",
          conversations.size(),
          " exemplars -> principles.yaml, exemplars.yaml, align.yaml");
}

}  // namespace selfalign::recipe
