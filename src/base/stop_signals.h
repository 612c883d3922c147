// The signals that ask to stop (interrupt.h), for who waits for them otherwise.
#pragma once

#include <csignal>

namespace selfalign {

inline constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGUSR1, SIGQUIT,
                                       SIGHUP};

// False where SIGHUP is ignored, as nohup has it: then it asks nothing.
bool asks_to_stop(int signal);

}  // namespace selfalign
