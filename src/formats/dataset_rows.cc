#include "formats/dataset_rows.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "base/error.h"
#include "text/words.h"

namespace selfalign::formats {
namespace {

using Names = std::initializer_list<const char*>;

constexpr Names kLists = {"messages", "conversations", "conversation",
                          "dialogue", "dialog"};
constexpr Names kRequests = {"instruction", "prompt", "question", "query"};
constexpr Names kInputs = {"input", "context"};
constexpr Names kAnswers = {"output", "response", "completion", "answer"};
constexpr Names kTexts = {"content", "value", "text", "markdown"};
constexpr Names kSystems = {"system", "system_prompt"};
// Parts of a row and of a turn that would change what is learnt, and that a
// model of text under this trainer cannot take.
constexpr Names kRowParts = {"images", "image", "videos", "video",
                             "audios", "audio", "tools",  "functions"};
constexpr Names kTurnParts = {
    "tool_calls", "function_call",     "images",       "audio",     "thinking",
    "refusal",    "reasoning_content", "train_detail", "loss_scale"};

// Of UltraChat: texts, the user's and the assistant's in turn.
constexpr Names kTextLists = {"data"};
// A turn's word on whether its answer is learnt.
constexpr Names kFlags = {"weight", "train", "loss", "output_with_loss"};

// Why a row cannot be used.
struct Refusal {
  const char* reason;
  std::string detail;
};

[[noreturn]] void unreadable(const std::string& detail) {
  throw Refusal{"unreadable", detail};
}

[[noreturn]] void unsupported(const std::string& detail) {
  throw Refusal{"unsupported", detail};
}

std::string shown(const Json& value) {
  const std::string text = dump_json(value);
  return text.size() > 40 ? value.type_name() : text;
}

// Nothing is said: missing, null, "", [], {}, or "[]" as some tables have it.
bool is_empty(const Json& value) {
  return value.is_null() || value == "" || value == "[]" ||
         (value.is_structured() && value.empty());
}

// The first of `names` that is there and not null.
struct Member {
  const char* name = nullptr;
  const Json* value = nullptr;
  explicit operator bool() const { return value != nullptr; }
};

Member find(const Json& object, Names names) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found != object.end() && !found->is_null()) return {name, &*found};
  }
  return {};
}

bool has_any(const Json& object, Names names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return object.contains(name); });
}

std::string text_of(const Member& member) {
  if (!member) return "";
  if (!member.value->is_string()) {
    unreadable(str("'", member.name, "': expected text, found ",
                   shown(*member.value)));
  }
  return member.value->get<std::string>();
}

// Text, or a list of parts that are all text.
std::string content_of(const Member& member) {
  if (!member || !member.value->is_array()) return text_of(member);
  std::string text;
  for (const Json& part : *member.value) {
    if (!part.is_object()) {
      unreadable(str("'", member.name,
                     "': expected text or parts of it, found ", shown(part)));
    }
    const Member type = find(part, {"type"});
    if (type && *type.value != "text" && *type.value != "input_text" &&
        *type.value != "output_text") {
      unsupported(str("'", member.name, "': a part of type ",
                      shown(*type.value), "; only text can be learnt"));
    }
    const Member piece = find(part, {"text"});
    if (!piece) unreadable(str("'", member.name, "': a part without text"));
    text += text_of(piece);
  }
  return text;
}

void refuse_parts(const Json& object, Names names) {
  for (const char* name : names) {
    const auto found = object.find(name);
    if (found == object.end() || is_empty(*found)) continue;
    unsupported(str("'", name,
                    "' cannot be learnt here; remove it, or the "
                    "row"));
  }
}

// "user", "assistant" or "system", as data sets name them; "" for others.
std::string role_of(const std::string& given) {
  const std::string name = text::to_lower(text::trim(given));
  const auto is = [&name](Names names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (is({"user", "human", "prompter"})) return "user";
  if (is({"system", "developer"})) return "system";
  if (name.starts_with("gpt") ||
      is({"assistant", "chatgpt", "bing", "bard", "model", "bot", "chatbot",
          "ai", "claude", "gemini"})) {
    return "assistant";
  }
  return "";
}

// 0 or 1, true or false; none where it is not said.
std::optional<bool> flag_of(const Json& object, const char* name) {
  const Member flag = find(object, {name});
  if (!flag) return std::nullopt;
  if (flag.value->is_boolean()) return flag.value->get<bool>();
  if (*flag.value == 0 || *flag.value == 1) return *flag.value == 1;
  unsupported(str("'", name, "': expected 0 or 1, found ", shown(*flag.value)));
}

Turn read_turn(const Json& turn) {
  if (!turn.is_object()) {
    unreadable(
        str("expected a turn with role and content, or from and value, "
            "found ",
            shown(turn)));
  }
  const Member name = find(turn, {"role", "from"});
  if (!name || !name.value->is_string()) {
    unreadable("expected 'role' or 'from' with a name, found none");
  }
  if (!has_any(turn, kTexts)) {
    unreadable("expected 'content' or 'value' with text, found none");
  }
  Turn read{role_of(text_of(name)), "", true};
  if (read.role.empty()) {
    unsupported(
        str("expected turns of the system, the user and the assistant, "
            "found one of ",
            shown(*name.value)));
  }
  refuse_parts(turn, kTurnParts);
  read.text = content_of(find(turn, kTexts));
  for (const char* flag : kFlags) {
    const std::optional<bool> learn = flag_of(turn, flag);
    if (learn == true && read.role != "assistant") {
      unsupported(str("'", flag, "' on a turn of the ", read.role,
                      "; only answers are learnt"));
    }
    if (learn == false) read.learn = read.role != "assistant";
  }
  return read;
}

// XTuner's turn: a request and its answer in one.
bool is_exchange(const Json& turn) {
  return turn.is_object() && !find(turn, {"role", "from"}) &&
         has_any(turn, {"input", "output"});
}

// With the system's text, if any, before them.
void read_exchange(const Json& exchange, bool prompt_only,
                   std::vector<Turn>& turns) {
  if (!prompt_only && !has_any(exchange, {"output"})) {
    unreadable("expected 'output' beside 'input', found none");
  }
  refuse_parts(exchange, kTurnParts);
  const std::string system = text_of(find(exchange, kSystems));
  if (!system.empty()) turns.push_back({"system", system});
  turns.push_back({"user", text_of(find(exchange, {"input"}))});
  if (prompt_only) return;
  turns.push_back({"assistant", text_of(find(exchange, {"output"}))});
  for (const char* flag : kFlags) {
    if (flag_of(exchange, flag) == false) turns.back().learn = false;
  }
}

void learn_no_answer(std::vector<Turn>& turns) {
  for (Turn& turn : turns) turn.learn = turn.role != "assistant";
}

// The turns of a list, up to the user's first where `prompt_only`.
void read_turns(const Member& list, bool prompt_only,
                std::vector<Turn>& turns) {
  if (!list.value->is_array()) {
    unreadable(str("'", list.name, "': expected a list of turns, found ",
                   shown(*list.value)));
  }
  size_t number = 0;
  for (const Json& turn : *list.value) {
    ++number;
    try {
      if (is_exchange(turn)) {
        read_exchange(turn, prompt_only, turns);
      } else {
        turns.push_back(read_turn(turn));
      }
    } catch (Refusal& refusal) {
      refusal.detail = str("turn ", number, ": ", refusal.detail);
      throw;
    }
    if (prompt_only && turns.back().role == "user") return;
  }
}

// Texts in place of turns, the user's first.
void read_texts(const Member& list, bool prompt_only,
                std::vector<Turn>& turns) {
  if (!list.value->is_array()) {
    unreadable(str("'", list.name, "': expected a list of texts, found ",
                   shown(*list.value)));
  }
  for (const Json& text : *list.value) {
    const char* role = turns.size() % 2 == 0 ? "user" : "assistant";
    turns.push_back({role, text_of({list.name, &text})});
    if (prompt_only) return;
  }
}

// Earlier turns of a task: pairs of request and answer, or turns.
void read_history(const Json& row, bool prompt_only, std::vector<Turn>& turns) {
  const Member history = find(row, {"history"});
  if (!history || is_empty(*history.value)) return;
  if (!history.value->is_array()) {
    unreadable(str("'history': expected a list of pairs, found ",
                   shown(*history.value)));
  }
  if (history.value->front().is_object()) {
    read_turns(history, prompt_only, turns);
    return;
  }
  for (const Json& pair : *history.value) {
    if (!pair.is_array() || pair.size() != 2) {
      unreadable(
          str("'history': expected pairs of a request and an answer, "
              "found ",
              shown(pair)));
    }
    turns.push_back({"user", text_of({"history", &pair[0]})});
    turns.push_back({"assistant", text_of({"history", &pair[1]})});
  }
}

// What is asked: the request and what belongs to it, apart by blank lines.
std::string request_of(const Json& row, const Json& inputs) {
  std::string text = text_of(find(row, kRequests));
  for (const char* name : kInputs) {
    const std::string input = text_of(find(inputs, {name}));
    if (!text.empty() && !input.empty()) text += "\n\n";
    text += input;
  }
  return text;
}

// A task and its answer, from which the rows of Self-Instruct's seeds have
// several in "instances": the first is taken.
void read_task(const Json& row, bool prompt_only, std::vector<Turn>& turns) {
  const Json* task = &row;
  if (const Member instances = find(row, {"instances"})) {
    if (!instances.value->is_array() || instances.value->empty() ||
        !instances.value->front().is_object()) {
      unreadable(
          "'instances': expected a list with input and output, found "
          "none");
    }
    task = &instances.value->front();
  }
  const Member request = find(row, kRequests);
  const Member answer = find(*task, kAnswers);
  if (!prompt_only && !has_any(*task, kAnswers)) {
    unreadable(
        "expected 'output', 'response', 'completion' or 'answer' with "
        "the answer, found none");
  }
  read_history(row, prompt_only, turns);
  if (request && request.value->is_array()) {
    // Turns that only lead up to the answer.
    read_turns(request, prompt_only, turns);
    learn_no_answer(turns);
  } else {
    turns.push_back({"user", request_of(row, *task)});
  }
  if (prompt_only) return;
  if (answer && answer.value->is_array()) {
    read_turns(answer, prompt_only, turns);
  } else {
    turns.push_back({"assistant", text_of(answer)});
  }
}

void refuse_what_is_no_example(const Json& row) {
  if (find(row, {"chosen"}) && find(row, {"rejected"})) {
    unsupported("'chosen' and 'rejected': preferences are not learnt here");
  }
  for (const char* name : {"label", "kto_tag"}) {
    const auto found = row.find(name);
    if (found != row.end() && *found == false) {
      unsupported(str("'", name, "' is false: an answer not to be given"));
    }
  }
}

std::vector<Turn> turns_of(const Json& row, bool prompt_only) {
  if (!row.is_object()) {
    unreadable(str("expected an object, found ", shown(row)));
  }
  refuse_parts(row, kRowParts);
  if (!prompt_only) refuse_what_is_no_example(row);
  std::vector<Turn> turns;
  if (const Member list = find(row, kLists)) {
    read_turns(list, prompt_only, turns);
  } else if (find(row, kRequests) || find(row, {"input"})) {
    read_task(row, prompt_only, turns);
  } else if (const Member texts = find(row, kTextLists)) {
    read_texts(texts, prompt_only, turns);
  } else {
    std::string names;
    for (const auto& [name, value] : row.items()) {
      names += (names.empty() ? "" : ", ") + name;
    }
    unreadable(
        str("expected a row with 'instruction', 'prompt', "
            "'conversations' or 'messages', found ",
            names.empty() ? "none" : names.substr(0, 80)));
  }
  const std::string system = text_of(find(row, kSystems));
  const bool there =
      !turns.empty() && turns[0].role == "system" && turns[0].text == system;
  if (!system.empty() && !there) {
    turns.insert(turns.begin(), {"system", system});
  }
  if (!prompt_only && flag_of(row, "weight") == false) learn_no_answer(turns);
  return turns;
}

}  // namespace

DatasetRow read_dataset_row(const Json& row, bool prompt_only) {
  DatasetRow read;
  try {
    read.conversation.turns = turns_of(row, prompt_only);
  } catch (const Refusal& refusal) {
    read.reason = refusal.reason;
    read.detail = refusal.detail;
  }
  return read;
}

}  // namespace selfalign::formats
