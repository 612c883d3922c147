// The sockets: connections, limits and time-outs of an HTTP/1.1 server (RFC
// 9112), on one thread; requests are handled on a few others. What one client
// does, or does not do, holds up no other. Boost.Beast stays behind this.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "serve/exchange.h"
#include "serve/metrics.h"

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
  double stop_grace_s = 15;  // for answers at work, once it shall stop
  int num_handlers = 2;      // threads that read and check requests
  // A longer body is read and checked in turns with others like it.
  size_t max_quick_bytes = 64 << 10;
  // The first of the signals of interrupt.h calls stop. The second ends the
  // process at once, and so does a second after stop_grace_s whatever is then
  // still at work (with exit code 0): a thread in one long step ends with it.
  bool handle_signals = false;
};

class HttpServer {
 public:
  using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;

  // Listens. Error kUsage by check_exposure, kFailed if the address cannot be
  // had. `metrics` must live longer; exchanges end before the server does.
  HttpServer(const HttpOptions& options, Metrics& metrics);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

  // Serves until it is stopped and all connections are closed. `handler` is
  // called from several threads; for what is no POST, and so has to be quick,
  // from the one that has the sockets. For a long body it runs in slices
  // (base/slices.h), which end it with an exception when nobody waits any more.
  void run(const Handler& handler);

  // The first time: no new connections, answers at work have stop_grace_s; the
  // second: now. Any thread.
  void stop();
  // Called once, on the first stop.
  void when_stopping(std::function<void()> callback);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace selfalign::serve
