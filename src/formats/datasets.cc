#include "formats/datasets.h"

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

const char* form_name(DatasetForm form) {
  constexpr const char* kNames[] = {"alpaca", "sharegpt", "messages"};
  return kNames[static_cast<size_t>(form)];
}

std::optional<DatasetForm> recognise(const Json& row) {
  if (row.contains("messages")) return DatasetForm::kMessages;
  if (row.contains("conversations")) return DatasetForm::kShareGpt;
  if (row.contains("instruction")) return DatasetForm::kAlpaca;
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
  if (name == "gpt" || name == "assistant") return "assistant";
  if (name == "system") return "system";
  fail(where,
       "expected role system, user (human) or assistant (gpt), found \"" +
           name + "\"; remove such turns");
}

Conversation read_alpaca(const Json& row, const std::string& where) {
  std::string request = json_string(row, "instruction", where);
  const std::string input = json_string_or(row, "input", where, "");
  if (!request.empty() && !input.empty()) request += "\n\n";
  request += input;
  if (request.empty()) fail(where, "instruction: expected text, found none");
  return {{{"user", std::move(request)},
           {"assistant", json_string(row, "output", where)}}};
}

Conversation read_dialogue(const Json& row, DatasetForm form,
                           const std::string& where) {
  const DialogueForm names = dialogue_form(form);
  const Json& list = row[names.list];
  if (!list.is_array() || list.empty()) {
    fail(where, str(names.list, ": expected a list of turns, found ",
                    list.is_array() ? "an empty one" : "something else"));
  }
  Conversation conversation;
  for (const Json& turn : list) {
    const std::string role = json_string(turn, names.role, where);
    conversation.turns.push_back(
        {read_role(role, where), json_string(turn, names.text, where)});
  }
  return conversation;
}

// Reads rows one by one; the first decides the form.
class RowReader {
 public:
  void add(const Json& row, const std::string& where) {
    if (!row.is_object())
      fail(where, "expected an object, found another value");
    const auto form = recognise(row);
    if (!form) {
      fail(where,
           "expected a row with instruction (Alpaca), conversations "
           "(ShareGPT) or messages, found none of them");
    }
    if (form_ && *form_ != *form) {
      fail(where,
           str("expected the form of the first row, ", form_name(*form_),
               ", found ", form_name(*form), "; keep one form in a file"));
    }
    form_ = form;
    rows_.push_back(*form == DatasetForm::kAlpaca
                        ? read_alpaca(row, where)
                        : read_dialogue(row, *form, where));
  }

  std::vector<Conversation> take() { return std::move(rows_); }

 private:
  std::optional<DatasetForm> form_;
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
  const MappedFile map(path);
  std::string_view text = map.bytes();
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  RowReader reader;
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
