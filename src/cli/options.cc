#include "cli/options.h"

#include <algorithm>

#include "base/user_path.h"

namespace selfalign::cli {
namespace {

// Names of options whose values are paths; positional ones without dashes.
constexpr const char* kPaths[] = {"run",
                                  "recipe",
                                  "model",
                                  "dataset",
                                  "file",
                                  "paths",
                                  "path",
                                  "out",
                                  "a",
                                  "b",
                                  "prompts",
                                  "--run-folder",
                                  "--fork",
                                  "--recipe",
                                  "--model",
                                  "--adapter",
                                  "--prompts",
                                  "--output",
                                  "--out",
                                  "--data",
                                  "--set",
                                  "--judge",
                                  "--judge-adapter",
                                  "--add-exemplar",
                                  "--api-key-file"};

bool takes_path(const CLI::Option& option) {
  return std::any_of(std::begin(kPaths), std::end(kPaths),
                     [&](const char* name) { return option.check_name(name); });
}

// The path begins at `begin`.
std::string expand(std::string& text, size_t begin) {
  try {
    text = text.substr(0, begin) + user_path(text.substr(begin));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string expand_path(std::string& text) { return expand(text, 0); }

// FOLDER or NAME=FOLDER.
std::string expand_named(std::string& text) {
  const size_t sign = text.find('=');
  return expand(text, sign == std::string::npos ? 0 : sign + 1);
}

}  // namespace

void expand_home_folders(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (takes_path(*option)) {
        option->transform(CLI::Validator(
            option->check_name("--adapter") ? expand_named : expand_path, "",
            "home folder"));
      }
    }
  }
}

}  // namespace selfalign::cli
