// SPDX-License-Identifier: Apache-2.0
#include "stages/openings.h"

#include "base/random.h"

namespace selfalign::stages {
namespace {

constexpr char kMember[] = "opening";

// Up to `number` words of the text, but never all of them.
std::string first_words(const std::string& text, int number) {
  size_t end = 0;
  for (int i = 0; i < number; ++i) {
    const size_t begin = text.find_first_not_of(' ', end);
    const size_t space = text.find_first_of(" \n", begin);
    if (begin == std::string::npos || space == std::string::npos) break;
    end = space;
    if (text[space] == '\n') break;
  }
  return text.substr(0, end);
}

}  // namespace

Opening draw_opening(const std::vector<OpeningSeed>& seeds, int num_words,
                     uint64_t draw) {
  if (num_words == 0) return {};
  const auto number = uint32_t(seeds.size());
  for (const uint32_t i : draw_sample(draw, number, number)) {
    const std::string text = first_words(seeds[i].text, num_words);
    if (!text.empty()) return {seeds[i].key, text};
  }
  return {};
}

std::string after(const std::string& prompt, const Opening& opening) {
  const bool apart =
      !prompt.empty() && prompt.back() != ' ' && prompt.back() != '\n';
  return opening.text.empty() ? "" : (apart ? " " : "") + opening.text;
}

void keep_opening(const Opening& opening, Json& content) {
  if (!opening.text.empty()) content[kMember] = opening.text;
}

std::string with_opening(const Json& content, const std::string& completion) {
  const auto found = content.find(kMember);
  if (found == content.end()) return completion;
  return json_string(content, kMember, "request") + completion;
}

}  // namespace selfalign::stages
