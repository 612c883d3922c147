// SPDX-License-Identifier: Apache-2.0
// The terminal that is typed on, taken for as long as a command reads lines.
#pragma once

#include <termios.h>

namespace selfalign::cli {

// Sets stdin, where it is a terminal, so that it neither echoes nor keeps lines
// back: what is typed or pasted before it is asked for is not lost. Makes
// system calls alone, so that a command that reads lines can begin with it
// before its libraries do (early_terminal.cc). A signal that ends the process
// at once gives the terminal back. How the terminal was.
const termios& take_terminal();
// As it was; nothing where it was not taken.
void give_terminal_back();

}  // namespace selfalign::cli
