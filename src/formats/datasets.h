// Instruction datasets in the field's forms: reading and writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::formats {

struct Turn {
  std::string role;  // "system", "user", "assistant"
  std::string text;
};
struct Conversation {
  std::vector<Turn> turns;
};

enum class DatasetForm {
  kAlpaca,    // {"instruction","input","output"}
  kShareGpt,  // {"conversations":[{"from":"human|gpt|system","value"}]}
  kMessages,  // {"messages":[{"role","content"}]}
};
// "alpaca", "sharegpt", "messages"; Error kUsage otherwise.
DatasetForm dataset_form(std::string_view name);

// JSON lines or one JSON array; the form is recognised from the first row and
// must hold for all. Alpaca's instruction and input become one user turn,
// joined by a blank line. Further members of a row are ignored. Errors (kInput)
// name file and line, in an array the row.
std::vector<Conversation> read_dataset(const std::string& path);
// JSON lines, written atomically. Alpaca takes one user and one assistant turn
// (Error kInput otherwise); the user's text goes to "instruction" whole.
void write_dataset(const std::string& path, DatasetForm form,
                   const std::vector<Conversation>& rows);

}  // namespace selfalign::formats
