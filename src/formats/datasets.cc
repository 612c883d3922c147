#include "formats/datasets.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/plain_text.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

const char* form_name(DatasetForm form) {
  constexpr const char* kNames[] = {"alpaca", "sharegpt", "messages"};
  return kNames[static_cast<size_t>(form)];
}

// What a row may be; the first three can be written too.
enum class RowForm {
  kAlpaca,
  kShareGpt,
  kMessages,
  kDolly,
  kSelfInstruct,
  kPrompt
};

const char* row_form_name(RowForm form) {
  constexpr const char* kNames[] = {"alpaca", "sharegpt",      "messages",
                                    "dolly",  "self-instruct", "prompt"};
  return kNames[static_cast<size_t>(form)];
}

std::optional<RowForm> recognise(const Json& row) {
  if (row.contains("messages")) return RowForm::kMessages;
  if (row.contains("conversations")) return RowForm::kShareGpt;
  if (row.contains("instances")) return RowForm::kSelfInstruct;
  if (row.contains("instruction")) {
    const bool dolly = row.contains("response") || row.contains("context");
    return dolly ? RowForm::kDolly : RowForm::kAlpaca;
  }
  if (row.contains("prompt")) return RowForm::kPrompt;
  return std::nullopt;
}

// The names of a dialogue's parts in one form.
struct DialogueForm {
  const char* list;
  const char* role;
  const char* text;
};

DialogueForm dialogue_form(DatasetForm form) {
  return form == DatasetForm::kShareGpt
             ? DialogueForm{"conversations", "from", "value"}
             : DialogueForm{"messages", "role", "content"};
}

std::string read_role(const std::string& name, const std::string& where) {
  if (name == "human" || name == "user") return "user";
  if (name == "gpt" || name == "assistant" || name == "chatgpt") {
    return "assistant";
  }
  if (name == "system") return "system";
  fail(where,
       "expected role system, user (human) or assistant (gpt), found \"" +
           name + "\"; remove such turns");
}

// A task with an optional input, and its answer.
Conversation make_task(std::string request, const std::string& input,
                       std::string answer, const std::string& where) {
  if (!request.empty() && !input.empty()) request += "\n\n";
  request += input;
  if (request.empty()) fail(where, "instruction: expected text, found none");
  return {{{"user", std::move(request)}, {"assistant", std::move(answer)}}};
}

Conversation read_dialogue(const Json& row, const DialogueForm& names,
                           const std::string& where) {
  const Json& list = row[names.list];
  if (!list.is_array()) {
    fail(where,
         str(names.list, ": expected a list of turns, found something else"));
  }
  Conversation conversation;
  for (const Json& turn : list) {
    const std::string role = json_string(turn, names.role, where);
    const bool marked_up = turn.contains("markdown") && !turn.contains("value");
    conversation.turns.push_back(
        {read_role(role, where),
         json_string(turn, marked_up ? "markdown" : names.text, where)});
  }
  return conversation;
}

Conversation read_self_instruct(const Json& row, const std::string& where) {
  const Json& instances = row["instances"];
  if (!instances.is_array() || instances.empty() || !instances[0].is_object()) {
    fail(where, "instances: expected a list with input and output, found none");
  }
  return make_task(json_string(row, "instruction", where),
                   json_string_or(instances[0], "input", where, ""),
                   json_string(instances[0], "output", where), where);
}

// Reads rows one by one; the first decides the form.
class RowReader {
 public:
  explicit RowReader(bool prompts_only) : prompts_only_(prompts_only) {}

  void add(const Json& row, const std::string& where) {
    if (!row.is_object())
      fail(where, "expected an object, found another value");
    const auto form = recognise(row);
    if (!form || (*form == RowForm::kPrompt && !prompts_only_)) {
      fail(where,
           "expected a row with instruction (Alpaca, Dolly, Self-Instruct), "
           "conversations (ShareGPT) or messages, found none of them");
    }
    if (form_ && *form_ != *form) {
      fail(where,
           str("expected the form of the first row, ", row_form_name(*form_),
               ", found ", row_form_name(*form), "; keep one form in a file"));
    }
    form_ = form;
    rows_.push_back(read(row, where));
  }

  std::vector<Conversation> take() { return std::move(rows_); }

 private:
  Conversation read(const Json& row, const std::string& where) const {
    switch (*form_) {
      case RowForm::kAlpaca:
        return make_task(json_string(row, "instruction", where),
                         json_string_or(row, "input", where, ""),
                         answer(row, "output", where), where);
      case RowForm::kDolly:
        return make_task(json_string(row, "instruction", where),
                         json_string_or(row, "context", where, ""),
                         answer(row, "response", where), where);
      case RowForm::kSelfInstruct:
        return read_self_instruct(row, where);
      case RowForm::kPrompt:
        return {{{"user", json_string(row, "prompt", where)}}};
      case RowForm::kShareGpt:
        return read_dialogue(row, dialogue_form(DatasetForm::kShareGpt), where);
      case RowForm::kMessages:
        break;
    }
    return read_dialogue(row, dialogue_form(DatasetForm::kMessages), where);
  }

  std::string answer(const Json& row, const char* name,
                     const std::string& where) const {
    return prompts_only_ ? json_string_or(row, name, where, "")
                         : json_string(row, name, where);
  }

  const bool prompts_only_;
  std::optional<RowForm> form_;
  std::vector<Conversation> rows_;
};

void read_array(std::string_view text, const std::string& path,
                RowReader& reader) {
  const Json rows = parse_json(text, path);
  size_t number = 0;
  for (const Json& row : rows) reader.add(row, str(path, ": row ", ++number));
}

void read_lines(std::string_view text, const std::string& path,
                RowReader& reader) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = str(path, ": line ", number);
    reader.add(parse_json(line, where), where);
  }
}

std::string_view without_bom(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text;
}

std::vector<Conversation> read_rows(const std::string& path,
                                    bool prompts_only) {
  const MappedFile map(path);
  const std::string_view text = without_bom(map.bytes());
  RowReader reader(prompts_only);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '[') {
    read_array(text, path, reader);
  } else {
    read_lines(text, path, reader);
  }
  std::vector<Conversation> rows = reader.take();
  if (rows.empty()) fail(path, "expected rows, found none");
  return rows;
}

std::vector<std::string> read_prompt_lines(const std::string& path) {
  const std::string bytes = text::read_text(path);
  std::string_view text = bytes;
  std::vector<std::string> prompts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
    prompts.emplace_back(line);
  }
  if (prompts.empty()) fail(path, "expected lines of text, found none");
  return prompts;
}

// The one user turn and the one assistant turn of a row of Alpaca.
Json alpaca_row(const Conversation& row, const std::string& where) {
  if (row.turns.size() != 2 || row.turns[0].role != "user" ||
      row.turns[1].role != "assistant") {
    fail(where, str("expected one user and one assistant turn, which is all "
                    "that Alpaca's form holds, found ",
                    row.turns.size(), " turns; write sharegpt or messages"));
  }
  return {{"instruction", row.turns[0].text},
          {"input", ""},
          {"output", row.turns[1].text}};
}

Json dialogue_row(const Conversation& row, DatasetForm form) {
  const DialogueForm names = dialogue_form(form);
  Json turns = Json::array();
  for (const Turn& turn : row.turns) {
    std::string role = turn.role;
    if (form == DatasetForm::kShareGpt) {
      if (role == "user") role = "human";
      if (role == "assistant") role = "gpt";
    }
    turns.push_back({{names.role, role}, {names.text, turn.text}});
  }
  Json object = Json::object();
  object[names.list] = std::move(turns);
  return object;
}

}  // namespace

DatasetForm dataset_form(std::string_view name) {
  for (DatasetForm form :
       {DatasetForm::kAlpaca, DatasetForm::kShareGpt, DatasetForm::kMessages}) {
    if (name == form_name(form)) return form;
  }
  throw Error(
      ErrorKind::kUsage,
      str("dataset form: expected alpaca, sharegpt or messages, found ", name));
}

std::vector<Conversation> read_dataset(const std::string& path) {
  return read_rows(path, false);
}

std::vector<std::string> read_prompts(const std::string& path) {
  if (path.ends_with(".txt")) return read_prompt_lines(path);
  std::vector<std::string> prompts;
  for (const Conversation& row : read_rows(path, true)) {
    const auto user =
        std::find_if(row.turns.begin(), row.turns.end(),
                     [](const Turn& turn) { return turn.role == "user"; });
    prompts.push_back(user == row.turns.end() ? "" : user->text);
  }
  return prompts;
}

void write_dataset(const std::string& path, DatasetForm form,
                   const std::vector<Conversation>& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = str(path, ": row ", i + 1);
    text +=
        dump_json(form == DatasetForm::kAlpaca ? alpaca_row(rows[i], where)
                                               : dialogue_row(rows[i], form));
    text += '\n';
  }
  write_file_atomic(path, text);
}

}  // namespace selfalign::formats
