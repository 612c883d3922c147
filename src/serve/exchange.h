// One HTTP request and the way to answer it, as everything above the sockets
// sees it.
#pragma once

#include <functional>
#include <string>

namespace selfalign::serve {

struct HttpCall {
  std::string method;  // "POST"
  std::string path;    // "/v1/completions", without a query
  std::string body;
};

// Either one reply, or a stream: start_events, send_event ..., end_events.
// What comes after the end, or after the client has gone, is dropped. Any
// thread.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpCall& call() const = 0;

  virtual void reply(int status, const std::string& content_type,
                     std::string body) = 0;

  // Server-sent events; `data` is one line.
  virtual void start_events() = 0;
  virtual void send_event(const std::string& data) = 0;
  virtual void end_events() = 0;

  // Called once, if the client goes, or is given up, before it has its answer;
  // at once if it is gone already. Quick, and from any thread.
  virtual void when_gone(std::function<void()> callback) = 0;
};

}  // namespace selfalign::serve
