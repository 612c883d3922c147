// What is put right when a second signal ends the process at once
// (interrupt.h), such as a terminal that was set otherwise.
#pragma once

namespace selfalign {

// Only what a signal handler may do. Null: nothing.
void set_last_act(void (*act)());

}  // namespace selfalign
