// The text of a completion while it grows token by token: finds stop strings
// across token boundaries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::engine {

class CompletionText {
 public:
  explicit CompletionText(std::vector<std::string> stop = {});

  // Appends a token's bytes. True once a stop string is in the text: then the
  // text ends before the earliest of them and must not grow any more.
  bool append(std::string_view bytes);

  // Valid UTF-8.
  std::string text() const;

 private:
  std::vector<std::string> stop_;
  size_t longest_ = 0;  // bytes of the longest stop string
  std::string bytes_;
};

}  // namespace selfalign::engine
