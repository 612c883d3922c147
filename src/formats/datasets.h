// SPDX-License-Identifier: Apache-2.0
// Instruction datasets in the field's forms: reading and writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/conversation.h"

namespace selfalign::formats {

enum class DatasetForm {
  kAlpaca,    // {"instruction","input","output"}
  kShareGpt,  // {"conversations":[{"from":"human|gpt|system","value"}]}
  kMessages,  // {"messages":[{"role","content"}]}
};
// "alpaca", "sharegpt", "messages"; Error kUsage otherwise.
DatasetForm dataset_form(std::string_view name);

// JSON in any layout of base/json_rows.h. Each row says its form by its
// members, null being as good as missing:
//   dialogues  a list "messages", "conversations", "conversation", "dialogue"
//              or "dialog" of turns: "role" or "from", and "content", "value",
//              "text" or "markdown", which is text or parts of type text; or
//              of exchanges: "input" and "output", perhaps with "system"
//              (XTuner); or a list "data" of texts, the user's and the
//              assistant's in turn (UltraChat)
//   tasks      "instruction", "prompt", "question" or "query", then "input" and
//              "context", joined by blank lines, are the user's turn; "output",
//              "response", "completion" or "answer" is the assistant's.
//              "prompt" and "completion" may be lists of turns, of which those
//              of the prompt are not learnt. Of "instances" (Self-Instruct) the
//              first is taken
// "system", "system_prompt", "system_message", "developer" or "instructions"
// becomes the first turn, "history" (pairs, turns or exchanges) the turns
// before the others. "weight" and "loss_mask" of a row, and those, "train",
// "training", "learn", "loss" and "output_with_loss" of a turn, say whether an
// answer is learnt. Roles in any case: human and user; gpt..., assistant,
// chatgpt, bing, bard, model and the like; system and developer. Of several
// members for one thing all but one must be empty or equal to it. Other members
// are not read. Who takes turns with whom is not asked, texts may be empty.
// Errors (kInput): other file formats, a NUL byte, an array that does not
// close, no row that can be read.
std::vector<DatasetRow> read_dataset(const std::string& path);
// The same for prompts: each conversation is one turn, the user's first, or
// empty if there is none. Answers may be missing; of a file whose name ends in
// .txt every line that is not empty is a prompt.
std::vector<DatasetRow> read_prompts(const std::string& path);
// JSON lines, written atomically. Alpaca takes one user and one assistant turn
// (Error kInput otherwise); the user's text goes to "instruction" whole.
void write_dataset(const std::string& path, DatasetForm form,
                   const std::vector<Conversation>& rows);

}  // namespace selfalign::formats
