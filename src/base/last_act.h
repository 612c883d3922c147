// SPDX-License-Identifier: Apache-2.0
// What is put right when a signal ends the process at once (interrupt.h,
// bus_guard.h), such as a terminal that was set otherwise.
#pragma once

namespace selfalign {

// Only what a signal handler may do. Null: nothing.
void set_last_act(void (*act)());
void run_last_act();

}  // namespace selfalign
