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
// must hold for all. Beside the forms above:
//   Dolly          {"instruction","context","response"}
//   Self-Instruct  {"instruction","instances":[{"input","output"}]}, of which
//                  the first instance is taken
// Instruction and input become one user turn, joined by a blank line.
// ShareGPT's names of roles may be user, assistant and chatgpt, its text
// "markdown". A dialogue may be empty. Further members of a row are ignored.
// Errors (kInput) name file and line, in an array the row.
std::vector<Conversation> read_dataset(const std::string& path);
// The prompts of a dataset: of each row the user's first turn, "" if it has
// none. Takes the forms of read_dataset, answers or not, {"prompt"}, and, in a
// file whose name ends in .txt, a prompt a line; empty lines are skipped.
std::vector<std::string> read_prompts(const std::string& path);
// JSON lines, written atomically. Alpaca takes one user and one assistant turn
// (Error kInput otherwise); the user's text goes to "instruction" whole.
void write_dataset(const std::string& path, DatasetForm form,
                   const std::vector<Conversation>& rows);

}  // namespace selfalign::formats
