// SPDX-License-Identifier: Apache-2.0
#include "formats/dataset_rows.h"

#include <algorithm>

#include "base/error.h"
#include "formats/dataset_members.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::formats {
namespace {

constexpr Names kLists = {"messages", "conversations", "conversation",
                          "dialogue", "dialog"};
constexpr Names kRequests = {"instruction", "prompt", "question", "query"};
constexpr Names kInputs = {"input", "context"};
constexpr Names kAnswers = {"output", "response", "completion", "answer"};
constexpr Names kRoles = {"role", "from"};
constexpr Names kTexts = {"content", "value", "text", "markdown"};
constexpr Names kSystems = {"system", "system_prompt", "system_message",
                            "developer", "instructions"};
// Of UltraChat: texts, the user's and the assistant's in turn.
constexpr Names kTextLists = {"data"};
// What a row has one of.
constexpr Names kForms = {"instruction", "prompt",       "question",
                          "query",       "input",        "data",
                          "dialog",      "dialogue",     "conversation",
                          "messages",    "conversations"};
// Of a task, and so not beside a dialogue.
constexpr Names kTaskParts = {"instruction", "prompt",  "question", "query",
                              "input",       "context", "output",   "response",
                              "completion",  "answer",  "instances"};
// Of an instance of a task, and so not beside "instances".
constexpr Names kInstanceParts = {"input",    "context",    "output",
                                  "response", "completion", "answer"};
// Parts of a row and of a turn that would change what is learnt, and that a
// model of text under this trainer cannot take: of the request, and of what is
// to be learnt.
constexpr Names kRowParts = {"images", "image", "videos", "video",
                             "audios", "audio", "tools",  "functions"};
constexpr Names kLearntParts = {"thinking",
                                "reasoning",
                                "reasoning_content",
                                "tool_calls",
                                "function_call",
                                "prefix",
                                "suffix",
                                "documents",
                                "chat_template",
                                "chat_template_kwargs",
                                "completion_mask",
                                "assistant_masks",
                                "train_detail",
                                "loss_scale"};
constexpr Names kTurnParts = {"tool_calls",
                              "function_call",
                              "images",
                              "image",
                              "videos",
                              "video",
                              "audios",
                              "audio",
                              "documents",
                              "thinking",
                              "reasoning",
                              "refusal",
                              "reasoning_content",
                              "prefix",
                              "suffix",
                              "train_detail",
                              "training_detail",
                              "loss_scale"};
// Texts or turns that are better or worse than others.
constexpr Names kPreferences = {"chosen",
                                "rejected",
                                "rejected_response",
                                "rejected_messages",
                                "preferred_output",
                                "non_preferred_output"};
// A word on whether answers are learnt, a row's and a turn's.
constexpr Names kRowFlags = {"weight", "loss_mask"};
constexpr Names kFlags = {"weight", "train",     "training",        "learn",
                          "loss",   "loss_mask", "output_with_loss"};

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

// Some programs learn what has a mask, others all else. A row's may name the
// user, whose turns are never learnt.
void refuse_mask(const Json& object) {
  const Member mask = find_member(object, {"mask"});
  if (!mask || !says_something(*mask.value)) return;
  if (mask.value->is_string() && role_of(text_of(mask)) == "user") return;
  unsupported(
      "'mask' does not say whether it keeps an answer or leaves it out; write "
      "'weight' with 0 or 1 in its place");
}

std::string quoted(const Member& member, const char* otherwise) {
  return str("'", member ? member.name : otherwise, "'");
}

Turn read_turn(const Json& turn) {
  if (!turn.is_object()) {
    unreadable(
        str("expected a turn with role and content, or from and value, "
            "found ",
            shown(turn)));
  }
  const Member name = find_member(turn, kRoles);
  if (!name) unreadable("expected 'role' or 'from' with a name, found none");
  if (!has_any(turn, kTexts)) {
    unreadable("expected 'content' or 'value' with text, found none");
  }
  Turn read{role_of(text_of(name)), "", true, ""};
  if (read.role.empty()) {
    unsupported(
        str("expected turns of the system, the user and the assistant, "
            "found one of ",
            shown(*name.value)));
  }
  refuse_parts(turn, kTurnParts);
  refuse_mask(turn);
  read.text = content_of(find_member(turn, kTexts));
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

// A request and its answer in one, as XTuner has them.
bool is_exchange(const Json& turn) {
  return turn.is_object() && !find_member(turn, kRoles) &&
         (has_any(turn, kRequests) || has_any(turn, {"input"}) ||
          has_any(turn, kAnswers));
}

// What is asked: the request and what belongs to it, apart by blank lines.
Turn request_of(const Json& row, const Json& inputs) {
  const Member request = find_member(row, kRequests);
  Turn turn{"user", text_of(request), true, quoted(request, "input")};
  for (const char* name : kInputs) {
    const std::string input = text_of(find_member(inputs, {name}));
    if (text::is_blank(input)) continue;
    turn.text += (text::is_blank(turn.text) ? "" : "\n\n") + input;
  }
  return turn;
}

Turn answer_of(const Json& task) {
  const Member answer = find_member(task, kAnswers);
  return {"assistant", text_of(answer), true, quoted(answer, "output")};
}

// With the system's text, if any, before them.
void read_exchange(const Json& exchange, bool prompt_only,
                   std::vector<Turn>& turns) {
  if (!prompt_only && !has_any(exchange, kAnswers)) {
    unreadable("expected 'output' beside 'input', found none");
  }
  if (!has_any(exchange, kRequests) && !has_any(exchange, {"input"})) {
    unreadable("expected 'input' beside 'output', found none");
  }
  refuse_parts(exchange, kTurnParts);
  refuse_mask(exchange);
  const std::string system = text_of(find_member(exchange, kSystems));
  if (!text::is_blank(system)) turns.push_back({"system", system});
  turns.push_back(request_of(exchange, exchange));
  if (prompt_only) return;
  turns.push_back(answer_of(exchange));
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
  // Whose turns they are is plain where the row is a dialogue.
  const bool is_dialogue =
      std::find(kLists.begin(), kLists.end(), std::string_view(list.name)) !=
      kLists.end();
  const std::string place = is_dialogue ? "" : str(" of '", list.name, "'");
  size_t number = 0;
  for (const Json& turn : *list.value) {
    const std::string name = str("turn ", ++number, place);
    const size_t begin = turns.size();
    try {
      if (is_exchange(turn)) {
        read_exchange(turn, prompt_only, turns);
      } else {
        turns.push_back(read_turn(turn));
      }
    } catch (Refusal& refusal) {
      refusal.detail = str(name, ": ", refusal.detail);
      throw;
    }
    for (size_t i = begin; i < turns.size(); ++i) {
      turns[i].name =
          turns[i].name.empty() ? name : str(name, ", ", turns[i].name);
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
  size_t number = 0;
  for (const Json& text : *list.value) {
    if (!text.is_string()) {
      unreadable(str("'", list.name,
                     "': expected texts, the user's and the assistant's in "
                     "turn, found ",
                     shown(text),
                     "; if these are rows, write each on a line of its own"));
    }
    const char* role = number % 2 == 0 ? "user" : "assistant";
    turns.push_back({role, text.get<std::string>(), true,
                     str("text ", ++number, " of '", list.name, "'")});
    if (prompt_only) return;
  }
}

// Earlier turns: pairs of request and answer, or turns.
void read_history(const Json& row, bool prompt_only, std::vector<Turn>& turns) {
  const Member history = find_member(row, {"history"});
  if (!history || !says_something(*history.value)) return;
  if (!history.value->is_array()) {
    unreadable(str("'history': expected a list of pairs or of turns, found ",
                   shown(*history.value)));
  }
  if (history.value->front().is_object()) {
    read_turns(history, prompt_only, turns);
    return;
  }
  size_t number = 0;
  for (const Json& pair : *history.value) {
    if (!pair.is_array() || pair.size() != 2) {
      unreadable(
          str("'history': expected pairs of a request and an answer, "
              "found ",
              shown(pair)));
    }
    const std::string name = str("pair ", ++number, " of 'history'");
    turns.push_back({"user", text_of({"history", &pair[0]}), true, name});
    turns.push_back({"assistant", text_of({"history", &pair[1]}), true, name});
  }
}

// The task's part with input and output: the row, or the first of "instances",
// of which Self-Instruct's seeds have several.
const Json& instance_of(const Json& row) {
  const Member instances = find_member(row, {"instances"});
  if (!instances) return row;
  if (!instances.value->is_array() || instances.value->empty() ||
      !instances.value->front().is_object()) {
    unreadable(
        "'instances': expected a list with input and output, found "
        "none");
  }
  const Json& first = instances.value->front();
  for (const char* name : kInstanceParts) {
    const Member beside = find_member(row, {name});
    if (!beside || !says_something(*beside.value)) continue;
    const Member within = find_member(first, {name});
    if (within && *within.value == *beside.value) continue;
    unsupported(str("'instances' and '", name,
                    "' say different things; keep one of the two"));
  }
  return first;
}

void read_task(const Json& row, bool prompt_only, std::vector<Turn>& turns) {
  const Json& task = instance_of(row);
  if (!prompt_only && !has_any(task, kAnswers)) {
    unreadable(
        str("expected ", list_of(kAnswers), " with the answer, found none"));
  }
  const Member request = find_member(row, kRequests);
  if (request && request.value->is_array()) {
    // Turns that only lead up to the answer.
    read_turns(request, prompt_only, turns);
    learn_no_answer(turns);
  } else {
    turns.push_back(request_of(row, task));
  }
  if (prompt_only) return;
  const Member answer = find_member(task, kAnswers);
  if (answer && answer.value->is_array()) {
    read_turns(answer, prompt_only, turns);
  } else {
    turns.push_back(answer_of(task));
  }
}

// Preferences among answers, answers that are not to be given, and parts that
// cannot be learnt.
void refuse_what_is_no_example(const Json& row) {
  for (const char* name : kPreferences) {
    const Member member = find_member(row, {name});
    if (member && says_something(*member.value) &&
        (member.value->is_string() || member.value->is_structured())) {
      unsupported(str("'", name, "': preferences are not learnt here"));
    }
  }
  for (const char* name : {"label", "kto_tag"}) {
    const auto found = row.find(name);
    if (found != row.end() && *found == false) {
      unsupported(str("'", name, "' is false: an answer not to be given"));
    }
  }
  refuse_parts(row, kLearntParts);
  refuse_mask(row);
}

// Beside a dialogue a request or an answer is one of its texts, as some data
// sets repeat the first, or another, which would be lost.
void refuse_task_beside(const Member& list, const Json& row,
                        const std::vector<Turn>& turns) {
  for (const char* name : kTaskParts) {
    const Member part = find_member(row, {name});
    if (!part || !says_something(*part.value)) continue;
    const bool is_there =
        part.value->is_string() &&
        std::any_of(turns.begin(), turns.end(), [&part](const Turn& turn) {
          return text::trim(turn.text) == text::trim(text_of(part));
        });
    if (is_there) continue;
    unsupported(str("'", list.name, "' and '", name,
                    "' say different things; keep one of the two"));
  }
}

// The row's own system text becomes the first turn.
void add_system(const Json& row, std::vector<Turn>& turns) {
  const Member system = find_member(row, kSystems);
  const std::string text = text_of(system);
  if (text::is_blank(text)) return;
  if (turns.empty() || turns[0].role != "system") {
    turns.insert(turns.begin(), {"system", text, true, quoted(system, "")});
  } else if (text::is_blank(turns[0].text)) {
    turns[0].text = text;
  } else if (text::trim(turns[0].text) != text::trim(text)) {
    unsupported(str("'", system.name, "' and ", turns[0].name,
                    ", the system's, say different things; keep one of the "
                    "two"));
  }
}

[[noreturn]] void refuse_form(const Json& row) {
  std::string names;
  for (const auto& [name, value] : row.items()) {
    names += (names.empty() ? "" : ", ") + name;
  }
  unreadable(str("expected a row with ", list_of(kForms), ", found ",
                 names.empty() ? "none" : names.substr(0, 80)));
}

// What the row's form holds, behind its history.
void read_form(const Json& row, bool prompt_only, std::vector<Turn>& turns) {
  const Member list = find_member(row, kLists);
  const auto is_task = [&row] {
    return find_member(row, kRequests) || find_member(row, {"input"});
  };
  const Member texts = find_member(row, kTextLists);
  if (list && (says_something(*list.value) || !is_task())) {
    const auto before = static_cast<ptrdiff_t>(turns.size());
    read_turns(list, prompt_only, turns);
    const auto first = turns.begin() + before;
    if (first != turns.end() && first->role == "system") {
      std::rotate(turns.begin(), first, first + 1);
    }
    if (!prompt_only) refuse_task_beside(list, row, turns);
  } else if (is_task()) {
    read_task(row, prompt_only, turns);
  } else if (texts) {
    read_texts(texts, prompt_only, turns);
    if (!prompt_only) refuse_task_beside(texts, row, turns);
  } else {
    refuse_form(row);
  }
}

std::vector<Turn> turns_of(const Json& row, bool prompt_only) {
  if (!row.is_object()) {
    unreadable(str("expected an object, found ", shown(row)));
  }
  refuse_parts(row, kRowParts);
  if (!prompt_only) refuse_what_is_no_example(row);
  std::vector<Turn> turns;
  read_history(row, prompt_only, turns);
  read_form(row, prompt_only, turns);
  if (prompt_only) return turns;
  add_system(row, turns);
  for (const char* flag : kRowFlags) {
    if (flag_of(row, flag) == false) learn_no_answer(turns);
  }
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
