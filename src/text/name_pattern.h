// SPDX-License-Identifier: Apache-2.0
// A regular expression from a foreign file, which is to match a whole text. It
// runs on PCRE2 without its JIT and under a match limit, so that it can neither
// run code nor hang.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace selfalign::text {

class NamePattern {
 public:
  // Error kInput, which begins with `where`, if PCRE2 does not understand it.
  NamePattern(const std::string& pattern, std::string where);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;

  // As Python's re.fullmatch. Error kInput if the match runs over its limit.
  bool matches(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string where_;
};

}  // namespace selfalign::text
