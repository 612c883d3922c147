// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <algorithm>

#include "base/user_path.h"
#include "generate/remote_address.h"

namespace selfalign::cli {
namespace {

// Names of options whose values are paths; positional ones without dashes.
constexpr const char* kPaths[] = {"run",
                                  "recipe",
                                  "backup",
                                  "model",
                                  "dataset",
                                  "file",
                                  "paths",
                                  "path",
                                  "folder",
                                  "out",
                                  "a",
                                  "b",
                                  "prompts",
                                  "--run-folder",
                                  "--fork",
                                  "--recipe",
                                  "--model",
                                  "--prompts",
                                  "--output",
                                  "--out",
                                  "--data",
                                  "--set",
                                  "--judge",
                                  "--judge-adapter",
                                  "--add-exemplar",
                                  "--api-key-file",
                                  "--sign-key",
                                  "--key"};

// Those that take FOLDER or NAME=FOLDER.
constexpr const char* kNamedPaths[] = {"--adapter", "--answers", "--questions"};

template <typename Names>
bool is_among(const CLI::Option& option, const Names& names) {
  return std::any_of(std::begin(names), std::end(names),
                     [&](const char* name) { return option.check_name(name); });
}

// The path begins at `begin`.
std::string expand(std::string& text, size_t begin) {
  if (const auto flaw = generate::address_flaw(text.substr(begin))) {
    return *flaw;
  }
  try {
    text = text.substr(0, begin) + user_path(text.substr(begin));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string expand_path(std::string& text) { return expand(text, 0); }

std::string expand_named(std::string& text) {
  if (const auto flaw = generate::address_flaw(text)) return *flaw;
  const size_t sign = text.find('=');
  return expand(text, sign == std::string::npos ? 0 : sign + 1);
}

}  // namespace

void expand_home_folders(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      const bool is_named = is_among(*option, kNamedPaths);
      if (is_named || is_among(*option, kPaths)) {
        option->transform(CLI::Validator(is_named ? expand_named : expand_path,
                                         "", "home folder"));
      }
    }
  }
}

}  // namespace selfalign::cli
