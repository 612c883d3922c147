// SPDX-License-Identifier: Apache-2.0
// The limits of the server's sockets.
#pragma once

#include <cstddef>
#include <string>

namespace selfalign::serve {

struct HttpOptions {
  std::string host = "127.0.0.1";      // address or "localhost"
  int port = 8000;                     // 0: any that is free
  std::string api_key;                 // "": none is asked for
  size_t max_header_bytes = 16 << 10;  // else 431
  size_t max_body_bytes = 8 << 20;     // else 413
  // Of all requests at work, else 503, and again of all bodies on their way.
  size_t max_bodies_bytes = size_t{256} << 20;
  // Bodies on their way: beyond it the one that is longest makes room.
  int max_arriving = 128;
  // At the limit the connection that has been idle longest makes room.
  int max_connections = 512;
  int max_requests = 256;          // at work, all clients together; else 503
  double idle_timeout_s = 60;      // between requests
  double header_timeout_s = 10;    // of a whole header; else 408
  double body_timeout_s = 60;      // of a whole body; else 408
  double request_timeout_s = 900;  // until the answer's end; else 504
  double write_timeout_s = 30;     // a client that takes nothing is dropped
  // Of one client that reads slowly; of an answer in one piece more may wait,
  // but has to be taken.
  size_t max_unsent_bytes = 64 << 20;
  // Of all clients together: beyond it, of those with more than an equal share,
  // the one that has not taken all of its own for longest is dropped.
  size_t max_all_unsent_bytes = size_t{256} << 20;
  double stop_grace_s = 15;  // for answers at work, once it shall stop
  int num_handlers = 2;      // threads that read and check requests
  // A longer body is read and checked in turns with others like it.
  size_t max_quick_bytes = 64 << 10;
  // The first of the signals of interrupt.h calls stop. The second ends the
  // process at once, and so does a second after stop_grace_s whatever is then
  // still at work (with exit code 0): a thread in one long step ends with it.
  bool handle_signals = false;
};

}  // namespace selfalign::serve
