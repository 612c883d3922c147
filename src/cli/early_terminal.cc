// SPDX-License-Identifier: Apache-2.0
// A person may type or paste before the program is there: the terminal cuts a
// line that it keeps back to 4,095 bytes. torch's constructors take most of the
// start, so commands that read lines take the terminal before them, from
// .preinit_array (see openmp_wait.cc: system calls only), with the handlers
// that give it back.
#include "cli/early_terminal.h"

#include <unistd.h>

#include <string_view>

#include "base/interrupt.h"

namespace {

constexpr std::string_view kReaders[] = {"chat", "generate", "score",
                                         "tokenize"};

void begin(int argc, char** argv, char** /*variables*/) {
  int command = 1;
  while (command < argc && argv[command][0] == '-') ++command;
  if (command >= argc || ::isatty(STDIN_FILENO) != 1) return;
  for (const std::string_view reader : kReaders) {
    if (reader != argv[command]) continue;
    selfalign::install_interrupt_handlers();
    selfalign::cli::take_terminal();
  }
}

__attribute__((section(".preinit_array"),
               used)) void (*const hook)(int, char**, char**) = begin;

}  // namespace
