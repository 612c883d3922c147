// SPDX-License-Identifier: Apache-2.0
// One connection of the server; all of it runs on the server's one thread.
// Only the http_*.cc files include this (it brings in Boost.Beast).
#pragma once

// clang-format off: Asio 1.74 needs <utility> before it and does not include it.
#include <utility>
// clang-format on
#include <array>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "serve/exchange.h"
#include "serve/http_body.h"
#include "serve/http_framing.h"
#include "serve/http_options.h"
#include "serve/metrics.h"

namespace selfalign::serve {

class Connection;
class HttpExchange;

// What connections share, and what they tell the server.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual const HttpOptions& options() const = 0;
  virtual Metrics& metrics() = 0;
  virtual bool is_stopping() const = 0;
  // A body of at most so many bytes is on its way: others, those longest on
  // theirs first, are asked to give_way() until there is room. body_ends later,
  // exactly once.
  virtual void body_begins(Connection& connection, size_t bytes) = 0;
  virtual void body_ends(Connection& connection) = 0;
  // Takes a place among the requests at work and `bytes` of the room for
  // bodies; false if there is none. given_back later, exactly once.
  virtual bool take_place(size_t bytes) = 0;
  virtual void give_back(size_t bytes) = 0;
  // Bytes that wait for a client, more of them or fewer. Where they are too
  // many of all, connections, perhaps the caller, are closed.
  virtual void unsent_grows(size_t bytes) = 0;
  virtual void unsent_shrinks(size_t bytes) = 0;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  // Work for one client that takes long: in slices, and in turns with that for
  // others. Any thread.
  virtual void run_long(std::shared_ptr<Exchange> exchange,
                        std::function<void()> work) = 0;
  virtual void closed(const void* connection) = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Clock = std::chrono::steady_clock;

  // `id`: no other connection has it.
  Connection(Socket socket, uint64_t id, ConnectionHost& host);

  void start() { next_request(); }
  // Answers 503 and closes.
  void turn_away();
  // Its body takes room that others need.
  void give_way();
  // Closes now; a request at work is given up.
  void abort();
  // The server is stopping: closes unless a request is at work.
  void wind_down();
  // Since when it holds a place for nothing: waits for a request or for its
  // end, or for a client that takes no answer. None while it is at work.
  std::optional<Clock::time_point> idle_since() const;

  size_t num_unsent() const { return num_unsent_; }
  // Since when there have always been some; meant where there are.
  Clock::time_point unsent_since() const { return unsent_since_; }

  Socket::executor_type executor() { return socket_.get_executor(); }
  uint64_t id() const { return id_; }
  ConnectionHost& host() { return host_; }

  // From the exchange of request number `turn`, already on this thread.
  void reply(uint64_t turn, HttpReply reply);
  void start_events(uint64_t turn);
  void send_event(uint64_t turn, const std::string& data);
  void end_events(uint64_t turn);

 private:
  // Of heads alone: it would take what stands behind a body for a part of them.
  using Parser =
      boost::beast::http::request_parser<boost::beast::http::empty_body>;
  enum class Phase {
    kIdle,
    kHeader,
    kBody,
    kWorking,
    kAnswered,
    kLingering,
    kClosing
  };
  struct Refusal {
    int status;
    const char* code;
    std::string message;
  };

  // Reading (http_connection.cc).
  void next_request();
  void read_header();
  void on_header(size_t size);
  // "": nothing is wrong with it.
  std::string set_path(std::string_view target);
  std::optional<Refusal> check_header() const;
  void begin_body();
  void read_body();
  bool take_body();  // true once it was refused, or is at work
  void begin_work();
  void leave_body();
  void on_read_error(boost::system::error_code error);
  void refuse_bad(const std::string& fault);
  void set_deadline(double seconds);
  void on_deadline();

  // A client that may go (http_client_watch.cc).
  void watch_client();
  void on_client_input();
  void probe_client();
  void send_probe();
  void wait_for_reset(uint64_t turn);
  bool is_reset();
  void give_up_client();

  // Answers (http_connection_answers.cc).
  void refuse(const Refusal& refusal);
  bool is_answering(uint64_t turn) const {
    return phase_ == Phase::kWorking && turn == turn_;
  }
  void send_head(const std::string& head);
  void finish_answer(int status);
  void leave_work();  // the request has its answer or nobody waits for it
  void send(std::string bytes);
  void write_some();
  void on_written(boost::system::error_code error);
  void watch_excess();
  void after_writes();
  void linger();
  void close();

  Socket socket_;
  const uint64_t id_;
  ConnectionHost& host_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer write_deadline_;
  boost::asio::steady_timer excess_deadline_;
  boost::asio::steady_timer probe_timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  HeadScan scan_;
  std::optional<BodyReader> body_;
  Phase phase_ = Phase::kIdle;
  Clock::time_point since_;    // of the phase's or the request's beginning
  Clock::time_point written_;  // when the client last took something
  uint64_t turn_ = 0;          // counts requests; late calls have an old one
  uint64_t num_waits_ = 0;     // counts deadlines set
  bool keep_alive_ = false;
  bool skipped_line_ = false;  // that stood before the request
  bool is_head_ = false;       // HEAD: what GET says, without the body
  bool chunked_ = false;       // the answer is a stream in chunks
  bool head_sent_ = false;
  bool has_body_place_ = false;  // taken with body_begins
  bool has_place_ = false;       // taken with take_place
  size_t place_bytes_ = 0;
  std::string path_;
  std::string content_type_;
  std::string authority_;  // of a target that names one; "": Host's
  std::weak_ptr<HttpExchange> exchange_;
  int num_probes_ = 0;        // sent for this request
  size_t num_head_sent_ = 0;  // bytes of the head that went as probes
  std::deque<std::string> unsent_;
  size_t num_front_sent_ = 0;  // bytes of the front of unsent_
  size_t num_unsent_ = 0;      // bytes
  Clock::time_point unsent_since_;
  bool writing_ = false;
  std::array<char, 4096> discarded_;
};

// Hands calls from any thread to the connection's. The connection may be gone.
class HttpExchange final : public Exchange,
                           public std::enable_shared_from_this<HttpExchange> {
 public:
  HttpExchange(HttpCall call, const std::shared_ptr<Connection>& connection,
               uint64_t turn)
      : call_(std::move(call)),
        client_(connection->id()),
        connection_(connection),
        turn_(turn) {}

  const HttpCall& call() const override { return call_; }
  uint64_t client() const override { return client_; }
  void reply(HttpReply reply) override;
  void reply_with(std::function<HttpReply()> make) override;
  void start_events() override;
  void send_event(const std::string& data) override;
  void end_events() override;
  void when_gone(std::function<void()> callback) override;
  bool is_gone() const override;

  void set_gone();

 private:
  template <typename Work>
  void post(Work work);

  const HttpCall call_;
  const uint64_t client_;
  const std::weak_ptr<Connection> connection_;
  const uint64_t turn_;
  mutable std::mutex mutex_;
  bool gone_ = false;
  std::function<void()> callback_;
};

}  // namespace selfalign::serve
