// SPDX-License-Identifier: Apache-2.0
// The kinds of upstream files, and the files of ours that they change. Only for
// import.cc and import_*.cc.
#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>

#include "base/json.h"
#include "recipe/import/imported_file.h"

namespace selfalign::recipe {

// Our prompt files as YAML, read when first asked for; what was asked for is
// written in the end.
class ImportedPrompts {
 public:
  explicit ImportedPrompts(std::string own_folder)
      : own_folder_(std::move(own_folder)) {}

  YAML::Node& file(const std::string& name);
  const std::map<std::string, YAML::Node>& changed() const { return files_; }
  const std::string& own_folder() const { return own_folder_; }

  // The text of each part that was imported, by its name ("align",
  // "seed_tasks", "form standard", ...): a part is imported once.
  std::map<std::string, std::string> source_of;
  std::map<std::string, std::string> text_of;

 private:
  std::string own_folder_;
  std::map<std::string, YAML::Node> files_;
};

// `text` as a template: braces doubled.
std::string as_template(const std::string& text);
// Every `from` replaced.
std::string replace_all(std::string text, const std::string& from,
                        const std::string& to);

// The same in every scalar of a node.
void rename_all(YAML::Node node, const std::string& from,
                const std::string& to);

// Each takes `file.path`'s content and fills in the rest of `file`. Error
// kInput, naming the path, if it is damaged.
void import_align(const std::string& text, ImportedPrompts& out,
                  ImportedFile& file);
void import_seed_tasks(const std::vector<Json>& rows, ImportedPrompts& out,
                       ImportedFile& file);
void import_questions(const std::vector<Json>& rows, ImportedPrompts& out,
                      ImportedFile& file);
void import_identity(const std::vector<Json>& rows, ImportedPrompts& out,
                     ImportedFile& file);
void import_task_prompt(const std::string& text, ImportedPrompts& out,
                        ImportedFile& file);
void import_topic_prompt(const std::string& text, ImportedPrompts& out,
                         ImportedFile& file);
void import_question_prompt(const std::string& text, ImportedPrompts& out,
                            ImportedFile& file);
void import_chat(const std::string& text, ImportedPrompts& out,
                 ImportedFile& file);

// Makes meta.yaml one whole again once all short prompts are in: the prompts
// that stages 3 and 4 train take the imported standard one, and what stays of
// ours takes the imported name.
void finish_chat(ImportedPrompts& out, ImportReport& report);

// True if the part may be imported; else says in `file` who was first.
bool claim(const std::string& part, const std::string& text,
           ImportedPrompts& out, ImportedFile& file);

[[noreturn]] void throw_damaged(const ImportedFile& file,
                                const std::string& expected,
                                const std::string& found);

}  // namespace selfalign::recipe
