// SPDX-License-Identifier: Apache-2.0
// The sockets: connections, limits and time-outs of an HTTP/1.1 server (RFC
// 9112), on one thread; requests are handled on a few others. What one client
// does, or does not do, holds up no other. Boost.Beast stays behind this.
#pragma once

#include <functional>
#include <memory>

#include "serve/exchange.h"
#include "serve/http_options.h"
#include "serve/metrics.h"

namespace selfalign::serve {

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
