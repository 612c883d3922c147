// SPDX-License-Identifier: Apache-2.0
// What is known of the person's terminal: how wide it is, whether it takes
// colours, and keys as they are pressed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cli/lines.h"
#include "cli/terminal_input.h"

namespace selfalign::cli {

// Characters a line, 40 to 100; 80 where stdout is no terminal.
size_t terminal_width();

enum class Style { kBold, kDim, kHit, kGone, kNew };  // as kStyleCodes
// `text` for write_out(), in the style where stdout takes_escapes()
// (base/screen.h). Else as it is, and what must be seen between marks: >>hit<<,
// [-gone-], {+new+}.
std::string styled(Style style, std::string_view text);

// Commands of a letter: single keys where stdin is a terminal, else lines. What
// follows the letter on a line, or is typed after ask(), is its text.
class KeyReader {
 public:
  KeyReader();

  // The next key; none at the end of the input or after an interrupt.
  std::optional<char> next();
  // The rest of the line; on a terminal `prompt` is shown and a line is read.
  std::string ask(const std::string& prompt);
  bool on_terminal() const { return terminal_.has_value(); }
  // `text` as the person's $VISUAL or $EDITOR leaves it, through a temporary
  // file; none where there is no editor, or it failed. Only on a terminal.
  std::optional<std::string> edit(const std::string& text);

 private:
  std::optional<LineReader> lines_;  // or
  std::optional<TerminalInput> terminal_;
  std::string rest_;  // of the line after the letter
};

}  // namespace selfalign::cli
