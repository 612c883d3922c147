// SPDX-License-Identifier: Apache-2.0
// The text of a completion while it grows token by token: finds stop strings
// across token boundaries, and says which text can be shown already.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::generate {

class CompletionText {
 public:
  explicit CompletionText(std::vector<std::string> stop = {});

  // Appends a token's bytes. True once a stop string is in the text: then the
  // text ends before the earliest of them and must not grow any more.
  bool append(std::string_view bytes);

  // Valid UTF-8.
  std::string text() const;

  // What is certain and was not taken yet: no stop string can begin in it, and
  // no character is cut. Pieces taken, and the rest at the end, are text().
  std::string take_certain();
  std::string take_rest();
  // Ends the text with what was taken.
  void drop_rest() { bytes_.resize(taken_); }

 private:
  std::vector<std::string> stop_;
  size_t longest_ = 0;  // bytes of the longest stop string
  std::string bytes_;
  size_t taken_ = 0;  // bytes
};

}  // namespace selfalign::generate
