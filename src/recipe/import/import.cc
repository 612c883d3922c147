// SPDX-License-Identifier: Apache-2.0
#include "recipe/import/import.h"

#include <filesystem>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json_rows.h"
#include "parse/thoughts.h"
#include "recipe/import/import_parts.h"
#include "recipe/prompts.h"
#include "recipe/yaml.h"
#include "text/plain_text.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = uint64_t{64} << 20;

size_t num_places(const std::string& text) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find("{}", at)) != std::string::npos; ++at) {
    ++count;
  }
  return count;
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

void import_text(const std::string& text, ImportedPrompts& out,
                 ImportedFile& file) {
  const std::string whole = parse::trim(text);
  if (whole.starts_with("# ") && has(whole, "(internal thoughts):")) {
    import_align(text, out, file);
  } else if (whole.starts_with("# ") && whole.ends_with("\n### User")) {
    import_chat(text, out, file);
  } else if (num_places(whole) == 2 && has(whole, "Hints:\n{}")) {
    import_question_prompt(text, out, file);
  } else if (num_places(whole) == 1 && has(whole, "topics") &&
             has(whole, "type: {}")) {
    import_topic_prompt(text, out, file);
  } else if (num_places(whole) == 0 && has(whole, "<noinput>") &&
             has(whole, "tasks:")) {
    import_task_prompt(text, out, file);
  } else {
    file.left_out = "all: no form that is known";
  }
}

std::vector<Json> rows_of(const std::string& text, const std::string& path) {
  std::vector<Json> rows;
  each_json_row(text, path, [&rows](const JsonRow& row) {
    if (!row.get().is_object()) {
      throw Error(ErrorKind::kInput,
                  str(row.where, ": expected an object, found ",
                      row.get().type_name(), "; correct this row"));
    }
    rows.push_back(row.get());
  });
  return rows;
}

void import_rows(const std::string& text, ImportedPrompts& out,
                 ImportedFile& file) {
  const std::vector<Json> rows = rows_of(text, file.path);
  if (rows.empty()) {
    file.left_out = "all: no rows";
  } else if (rows[0].contains("instances")) {
    import_seed_tasks(rows, out, file);
  } else if (rows[0].contains("question_type")) {
    import_questions(rows, out, file);
  } else if (rows[0].contains("conversations")) {
    import_identity(rows, out, file);
  } else {
    file.left_out =
        "all: rows of no form that is known (data sets are given to a recipe "
        "as they are, in instructions or data)";
  }
}

void import_file(ImportedPrompts& out, ImportedFile& file) {
  const std::string text =
      replace_all(text::read_text(file.path, kMaxBytes), "\r\n", "\n");
  const std::string start = parse::trim(text.substr(0, 4096));
  if (start.starts_with('[') || start.starts_with('{')) {
    import_rows(parse::trim(text), out, file);
  } else {
    import_text(text, out, file);
  }
}

// The files themselves, and those of folders by name.
std::vector<std::string> list_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const std::string& file : list_files_below(path)) {
      const std::string end = fs::path(file).extension();
      if (end == ".txt" || end == ".json" || end == ".jsonl") {
        inside.push_back(file);
      }
    }
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

bool same(const YAML::Node& a, const YAML::Node& b) {
  if (a.Type() != b.Type() || a.size() != b.size()) return false;
  if (a.IsScalar()) return a.Scalar() == b.Scalar();
  for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y) {
    if (a.IsMap() ? !same(x->first, y->first) || !same(x->second, y->second)
                  : !same(*x, *y)) {
      return false;
    }
  }
  return true;
}

std::string to_yaml(const std::string& name, const YAML::Node& node) {
  YAML::Emitter out;
  out << node;
  const std::string text =
      "# Imported; the same file in our prompts/ says what the keys are.\n" +
      std::string(out.c_str()) + "\n";
  SELFALIGN_CHECK(out.good() && same(node, YAML::Load(text)), name);
  return text;
}

// Where the laid out prompt is not the text that was imported.
void check_text(const std::string& part, const std::string& made,
                const std::string& text, ImportReport& report) {
  if (made == text) return;
  const auto at =
      std::mismatch(made.begin(), made.end(), text.begin(), text.end());
  report.notes.push_back(
      str(part, ": the prompt differs from the imported text from byte ",
          at.second - text.begin(), " on (blank lines or spaces?)"));
}

void check_prompts(const Prompts& prompts, const ImportedPrompts& out,
                   ImportReport& report) {
  for (const auto& [part, text] : out.text_of) {
    if (part == "align") {
      check_text(part, align_prefix(prompts) + prompts.align.user_tag, text,
                 report);
    } else if (part == "verbose_distill") {
      check_text(part, prompts.verbose_distill.prompt + "### User", text,
                 report);
    } else if (part.starts_with("form ")) {
      check_text(part, chat_form(prompts, part.substr(5)).prompt + "### User",
                 text, report);
    }
  }
  size_t num_named = 0;
  const std::string& tag = prompts.engraved.answer;
  const std::string name = parse::trim(tag.substr(tag.find_first_not_of("# ")));
  for (const IdentityRow& row : prompts.identity) {
    num_named += row.answer.find(name) != std::string::npos ? 1 : 0;
  }
  if (num_named == 0) {
    report.notes.push_back(
        str("identity.yaml: no answer names ", name,
            ", as meta.yaml calls the assistant; change the name in one of "
            "them"));
  }
}

void write_all(const ImportedPrompts& out, const std::string& output,
               ImportReport& report) {
  for (const auto& [name, node] : out.changed()) {
    const std::string path = output + "/" + name;
    if (fs::exists(path)) {
      throw Error(
          ErrorKind::kInput,
          path + " already exists; choose another --output or remove it");
    }
  }
  const std::string trial = output + ".importing";
  fs::remove_all(trial);
  make_folder(trial);
  for (const std::string& name : prompt_files()) {
    const auto changed = out.changed().find(name);
    write_file_atomic(trial + "/" + name,
                      changed == out.changed().end()
                          ? read_file(prompt_path(out.own_folder(), {}, name))
                          : to_yaml(name, changed->second));
  }
  try {
    check_prompts(load_prompts(trial), out, report);
  } catch (...) {
    fs::remove_all(trial);
    throw;
  }
  make_folder(output);
  for (const auto& [name, node] : out.changed()) {
    write_file_atomic(output + "/" + name, read_file(trial + "/" + name));
    report.written.push_back(name);
  }
  fs::remove_all(trial);
}

}  // namespace

YAML::Node& ImportedPrompts::file(const std::string& name) {
  auto found = files_.find(name);
  if (found == files_.end()) {
    found = files_.emplace(name, load_yaml(prompt_path(own_folder_, {}, name)))
                .first;
  }
  return found->second;
}

std::string as_template(const std::string& text) {
  return replace_all(replace_all(text, "{", "{{"), "}", "}}");
}

std::string replace_all(std::string text, const std::string& from,
                        const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

bool claim(const std::string& part, const std::string& text,
           ImportedPrompts& out, ImportedFile& file) {
  const auto [source, is_first] = out.source_of.emplace(part, file.path);
  if (is_first) {
    out.text_of[part] = text;
  } else {
    file.left_out = str("all: ", part, " comes from ", source->second,
                        " already; import one without the other");
  }
  return is_first;
}

void throw_damaged(const ImportedFile& file, const std::string& expected,
                   const std::string& found) {
  throw Error(ErrorKind::kInput, str(file.path, ": expected ", expected,
                                     ", found ", found, "; correct the file"));
}

ImportReport import_prompts(const std::vector<std::string>& paths,
                            const std::string& own_folder,
                            const std::string& output) {
  load_prompts(own_folder);  // what is built on must be whole
  ImportReport report;
  ImportedPrompts out(own_folder);
  for (const std::string& path : list_files(paths)) {
    report.files.push_back({path, "", ""});
    import_file(out, report.files.back());
  }
  finish_chat(out, report);
  if (out.changed().empty()) {
    throw Error(ErrorKind::kInput,
                str(paths.empty() ? "import" : paths[0],
                    ": no prompts, seeds or identity rows in a form that is "
                    "known were found in ",
                    counted(static_cast<int64_t>(report.files.size()), "file"),
                    "; see selfalign import --help"));
  }
  write_all(out, output, report);
  return report;
}

}  // namespace selfalign::recipe
