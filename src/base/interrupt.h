// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM, SIGUSR1, SIGQUIT, SIGHUP (not if ignored: nohup): the first
// asks work to stop at a safe point, the second ends at once with exit code 75.
// What a write may signal (SIGXFSZ, SIGPIPE) is ignored: the call says so.
#pragma once

namespace selfalign {

// Installs the handlers; called once by main, or before it: system calls alone.
void install_interrupt_handlers();

// For who ends his work otherwise: installs the handlers, and the first signal,
// one that has come already included, writes a byte to `fd` in place of asking
// to stop; the second ends the process at once, as ever. -1: no more.
void tell_first_signal(int fd);

// What a person at a terminal is told at the first signal, a line that lives as
// long as the program; "" for nothing, where it is plain to see what ends.
void set_stop_note(const char* text);

// True once a signal came in. Any thread; cheap enough for an inner loop.
bool interrupted();

// Throws Error kInterrupted if a signal came in. `resume_hint` ends the text.
void stop_if_interrupted(const char* resume_hint);

// As if a signal had come in, or none had (tests, and a chat that goes on).
void set_interrupted(bool on);

}  // namespace selfalign
