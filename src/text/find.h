// SPDX-License-Identifier: Apache-2.0
// Looking for what a person typed in any text: plain words or a regular
// expression (PCRE2 with match limits), upper and lower case alike.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace selfalign::text {

struct Hit {
  size_t begin = 0;  // bytes
  size_t length = 0;
};

class Finder {
 public:
  // Error kUsage with the place for a wrong expression or an empty text.
  Finder(const std::string& text, bool is_regex);
  ~Finder();
  Finder(Finder&&) noexcept;

  // The first hit that is not empty. Any bytes are taken. Error kUsage where
  // the expression gives up at its match limit.
  std::optional<Hit> find(std::string_view text) const;

 private:
  struct Pattern;
  std::unique_ptr<Pattern> pattern_;
};

}  // namespace selfalign::text
