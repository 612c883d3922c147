// SPDX-License-Identifier: Apache-2.0
// Prompts, seeds and rows that others published, as prompt files of ours.
//
// Each file is recognized by its content: a Self-Align prompt (rules, worked
// conversations with internal thoughts), seed tasks (JSON lines), the
// Self-Instruct prompt, red-teaming seed questions (JSON lines), its prompts
// for topics and for questions, short chat prompts (which one is told from
// their turns), rows about the assistant's identity (JSON). What it does not
// say - layout, stop strings - stays as in our own file of the name.
#pragma once

#include <string>
#include <vector>

#include "recipe/import/imported_file.h"

namespace selfalign::recipe {

// Reads files, and the .txt, .json and .jsonl files of folders in the order of
// their names, and writes what they become into the folder `output`, which can
// then be a recipe's prompts_overlay; the prompts in `own_folder` give the
// rest. Before anything is written the result is read as a run would read it.
// Error kInput: nothing recognized, a file that is damaged, an output that has
// one of the files already.
ImportReport import_prompts(const std::vector<std::string>& paths,
                            const std::string& own_folder,
                            const std::string& output);

}  // namespace selfalign::recipe
