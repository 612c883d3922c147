// SPDX-License-Identifier: Apache-2.0
// One HTTP request and the way to answer it, as everything above the sockets
// sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace selfalign::serve {

struct HttpCall {
  std::string method;        // "POST"
  std::string path;          // "/v1/completions", without a query
  std::string content_type;  // "application/json", without parameters
  std::string body;
};

struct HttpReply {
  int status = 200;
  std::string content_type;
  std::string body;        // not sent where the method is HEAD
  std::string allow = {};  // with 405: the methods that there are
};

// Either one reply, or a stream: start_events, send_event ..., end_events.
// What comes after the end, or after the client has gone, is dropped. Any
// thread.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpCall& call() const = 0;
  // Who asks: nobody else has this number. A client is a connection.
  virtual uint64_t client() const = 0;

  virtual void reply(HttpReply reply) = 0;
  // A reply that takes long to make: done where it holds up nobody else.
  virtual void reply_with(std::function<HttpReply()> make) = 0;

  // Server-sent events; `data` is one line.
  virtual void start_events() = 0;
  virtual void send_event(const std::string& data) = 0;
  virtual void end_events() = 0;

  // Called once, if the client goes, or is given up, before it has its answer;
  // at once if it is gone already. Quick, and from any thread.
  virtual void when_gone(std::function<void()> callback) = 0;
  virtual bool is_gone() const = 0;
};

}  // namespace selfalign::serve
