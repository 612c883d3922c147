// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <algorithm>

#include "base/error.h"
#include "text/words.h"

namespace selfalign::cli {
namespace {

constexpr char kAll[] = R"("selfalign --help" lists all)";

bool is_option(const std::string& word) { return word.starts_with('-'); }

bool asks_nothing_more(const std::string& word) {
  return word == "--help" || word == "-h" || word == "--version";
}

}  // namespace

std::vector<std::string> command_line(std::vector<std::string> words,
                                      const std::vector<std::string>& names) {
  // Of the program's own options one has a value.
  const auto joined = std::find(words.begin(), words.end(), "--profile");
  const bool is_first = joined != words.end() && joined + 1 != words.end() &&
                        std::all_of(words.begin(), joined, is_option);
  if (is_first) {
    *joined += "=" + *(joined + 1);
    words.erase(joined + 1);
  }
  auto word = std::find_if_not(words.begin(), words.end(), is_option);
  if (std::any_of(words.begin(), word, asks_nothing_more)) return words;
  if (word != words.end() && *word == "version") return {"--version"};
  const bool helps = word != words.end() && *word == "help";
  if (helps) {
    word = std::find_if_not(words.erase(word), words.end(), is_option);
    if (word == words.end()) return {"--help"};
  }
  if (word == words.end()) {
    throw Error(ErrorKind::kUsage,
                str("selfalign: no command is given; ", kAll));
  }
  if (std::find(names.begin(), names.end(), *word) == names.end()) {
    const std::string near = text::nearest(*word, names);
    throw Error(
        ErrorKind::kUsage,
        str("selfalign: no command is named ", *word,
            near.empty() ? "; " : "; did you mean " + near + "? ", kAll));
  }
  if (helps) return {*word, "--help"};
  return words;
}

}  // namespace selfalign::cli
