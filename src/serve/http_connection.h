// One connection of the server; all of it runs on the server's one thread.
// Only the two http_*.cc files include this (it brings in Boost.Beast).
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
#include <memory>
#include <optional>
#include <string>

#include "serve/http_server.h"

namespace selfalign::serve {

class HttpExchange;

// What connections share, and what they tell the server.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual const HttpOptions& options() const = 0;
  virtual Metrics& metrics() = 0;
  virtual bool is_stopping() const = 0;
  // Takes a place among the requests at work and `bytes` of the room for
  // bodies; false if there is none. given_back later, exactly once.
  virtual bool take_request(size_t bytes) = 0;
  virtual void give_back(size_t bytes) = 0;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  virtual void closed(const void* connection) = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Clock = std::chrono::steady_clock;

  Connection(Socket socket, ConnectionHost& host);

  void start() { next_request(); }
  // Answers 503 and closes.
  void turn_away();
  // Closes now; a request at work is given up.
  void abort();
  // The server is stopping: closes unless a request is at work.
  void wind_down();
  // Waits for a request, or for its end, since then; none while it has one.
  std::optional<Clock::time_point> idle_since() const;

  Socket::executor_type executor() { return socket_.get_executor(); }

  // From the exchange of request number `turn`, already on this thread.
  void reply(uint64_t turn, int status, const std::string& content_type,
             const std::string& body);
  void start_events(uint64_t turn);
  void send_event(uint64_t turn, const std::string& data);
  void end_events(uint64_t turn);

 private:
  using Parser =
      boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase { kIdle, kHeader, kBody, kWorking, kAnswered, kClosing };
  struct Refusal {
    int status;
    const char* code;
    std::string message;
  };

  void next_request();
  void read_header();
  void on_header(boost::system::error_code error);
  std::optional<Refusal> check_header() const;
  void read_body();
  void on_body(boost::system::error_code error);
  void begin_work();
  void watch_client();

  void refuse(const Refusal& refusal);
  void on_read_error(boost::system::error_code error);
  void set_deadline(double seconds);
  void on_deadline();

  bool is_answering(uint64_t turn) const {
    return phase_ == Phase::kWorking && turn == turn_;
  }
  void finish_answer(int status);
  void leave_work();  // the request has its answer or nobody waits for it
  void send(std::string bytes);
  void write_some();
  void on_written(boost::system::error_code error);
  void after_writes();
  void linger();
  void close();

  Socket socket_;
  ConnectionHost& host_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer write_deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Phase phase_ = Phase::kIdle;
  Clock::time_point since_;  // of the phase's or the request's beginning
  uint64_t turn_ = 0;        // counts requests; late calls have an old one
  uint64_t num_waits_ = 0;   // counts deadlines set
  bool keep_alive_ = false;
  bool chunked_ = false;  // the answer is a stream in chunks
  bool head_sent_ = false;
  bool has_place_ = false;  // taken with take_request
  size_t body_bytes_ = 0;
  bool linger_ = false;  // unread input is thrown away before the end
  std::string path_;
  std::weak_ptr<HttpExchange> exchange_;
  std::deque<std::string> unsent_;
  size_t num_unsent_ = 0;  // bytes
  bool writing_ = false;
  std::array<char, 4096> discarded_;
};

}  // namespace selfalign::serve
