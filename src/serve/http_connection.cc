#include "serve/http_connection.h"

#include <sys/socket.h>

#include <mutex>
#include <utility>

#include "base/error.h"
#include "serve/access.h"
#include "serve/api_error.h"
#include "serve/page.h"

namespace selfalign::serve {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr double kLingerSeconds = 2;
// What is read and cannot be parsed yet: the parser sets no limit of its own to
// the line before a chunk and to what follows the last one.
constexpr size_t kMaxUnparsed = 64 << 10;

double seconds_since(Connection::Clock::time_point begin) {
  return std::chrono::duration<double>(Connection::Clock::now() - begin)
      .count();
}

std::string status_line(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  return str("HTTP/1.1 ", status, " ", http::obsolete_reason(known), "\r\n");
}

std::string whole_answer(int status, const std::string& content_type,
                         const std::string& body, bool keep_alive,
                         bool with_body) {
  return str(status_line(status), "Content-Type: ", content_type,
             "\r\nContent-Length: ", body.size(),
             "\r\nX-Content-Type-Options: nosniff"
             "\r\nX-Frame-Options: DENY\r\nConnection: ",
             keep_alive ? "keep-alive" : "close",
             status == 503 ? "\r\nRetry-After: 1" : "",
             status == 401 ? "\r\nWWW-Authenticate: Bearer" : "", "\r\n\r\n",
             with_body ? body : "");
}

std::string chunk(const std::string& bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string size;
  for (size_t left = bytes.size(); left > 0; left /= 16) {
    size.insert(size.begin(), kHex[left % 16]);
  }
  return size + "\r\n" + bytes + "\r\n";
}

}  // namespace

// Hands calls from any thread to the connection's. The connection may be gone.
class HttpExchange final : public Exchange {
 public:
  HttpExchange(HttpCall call, const std::shared_ptr<Connection>& connection,
               uint64_t turn)
      : call_(std::move(call)), connection_(connection), turn_(turn) {}

  const HttpCall& call() const override { return call_; }

  void reply(int status, const std::string& content_type,
             std::string body) override {
    post([=, turn = turn_, body = std::move(body)](Connection& connection) {
      connection.reply(turn, status, content_type, body);
    });
  }
  void start_events() override {
    post([turn = turn_](Connection& c) { c.start_events(turn); });
  }
  void send_event(const std::string& data) override {
    post([=, turn = turn_](Connection& c) { c.send_event(turn, data); });
  }
  void end_events() override {
    post([turn = turn_](Connection& c) { c.end_events(turn); });
  }

  void when_gone(std::function<void()> callback) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!gone_) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  void set_gone() {
    std::function<void()> callback;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      gone_ = true;
      callback = std::exchange(callback_, nullptr);
    }
    if (callback) callback();
  }

 private:
  template <typename Work>
  void post(Work work) {
    const std::shared_ptr<Connection> connection = connection_.lock();
    if (connection == nullptr) return;
    asio::post(connection->executor(),
               [connection, work = std::move(work)] { work(*connection); });
  }

  const HttpCall call_;
  const std::weak_ptr<Connection> connection_;
  const uint64_t turn_;
  std::mutex mutex_;
  bool gone_ = false;
  std::function<void()> callback_;
};

Connection::Connection(Socket socket, ConnectionHost& host)
    : socket_(std::move(socket)),
      host_(host),
      deadline_(socket_.get_executor()),
      write_deadline_(socket_.get_executor()),
      buffer_(host.options().max_header_bytes + kMaxUnparsed) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

std::optional<Connection::Clock::time_point> Connection::idle_since() const {
  if (phase_ == Phase::kIdle || phase_ == Phase::kHeader) return since_;
  // Its answer is sent; before all that may still ask something.
  if (phase_ == Phase::kAnswered && linger_ && !writing_) {
    return Clock::time_point::min();
  }
  return std::nullopt;
}

// Reading ------------------------------------------------------------------

void Connection::next_request() {
  if (host_.is_stopping() && buffer_.size() == 0) return close();
  ++turn_;
  head_sent_ = chunked_ = keep_alive_ = false;
  path_.clear();
  since_ = Clock::now();
  parser_.emplace();
  parser_->header_limit(
      static_cast<uint32_t>(host_.options().max_header_bytes));
  parser_->body_limit(host_.options().max_body_bytes);
  if (buffer_.size() > 0) return read_header();
  phase_ = Phase::kIdle;
  set_deadline(host_.options().idle_timeout_s);
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](error_code error) {
                       if (self->phase_ != Phase::kIdle) return;
                       error ? self->close() : self->read_header();
                     });
}

void Connection::read_header() {
  phase_ = Phase::kHeader;
  since_ = Clock::now();
  set_deadline(host_.options().header_timeout_s);
  http::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code error, size_t) {
        if (self->phase_ == Phase::kHeader) self->on_header(error);
      });
}

void Connection::on_read_error(error_code error) {
  const HttpOptions& options = host_.options();
  if (error == http::error::header_limit) {
    refuse({431, "headers_too_large",
            str("headers: expected at most ", options.max_header_bytes,
                " bytes, found more")});
  } else if (error == http::error::body_limit) {
    refuse({413, "body_too_large",
            str("body: expected at most ", options.max_body_bytes,
                " bytes, found more; send less at once")});
  } else if (error == http::error::end_of_stream ||
             error == http::error::partial_message ||
             error.category() !=
                 make_error_code(http::error::bad_method).category()) {
    close();  // the client went, or the network did
  } else {
    refuse({400, "bad_request",
            str("request: expected HTTP/1.1, found ", error.message())});
  }
}

void Connection::on_header(error_code error) {
  if (error) return on_read_error(error);
  const auto& request = parser_->get();
  path_ = std::string(request.target().substr(0, request.target().find('?')));
  keep_alive_ = request.keep_alive();
  if (const auto refusal = check_header()) return refuse(*refusal);
  const auto length = parser_->content_length();
  // How long a body in chunks will be nobody knows.
  body_bytes_ = parser_->chunked() ? host_.options().max_body_bytes
                                   : static_cast<size_t>(length.value_or(0));
  if (!host_.take_request(body_bytes_)) {
    return refuse({503, "overloaded",
                   "server: expected room for a request, found too many at "
                   "work; try again later"});
  }
  has_place_ = true;
  if (boost::beast::iequals(request[http::field::expect], "100-continue")) {
    send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  read_body();
}

std::optional<Connection::Refusal> Connection::check_header() const {
  const HttpOptions& options = host_.options();
  const auto& request = parser_->get();
  const auto field = [&request](http::field name) {
    const auto value = request[name];
    return std::string_view(value.data(), value.size());
  };
  if (request.count(http::field::host) > 1 ||
      (request.version() == 11 && request.count(http::field::host) == 0)) {
    return Refusal{400, "bad_request", "Host: expected one, found another"};
  }
  if (is_loopback(options.host) && request.count(http::field::host) == 1 &&
      !names_loopback(field(http::field::host))) {
    return Refusal{403, "wrong_host",
                   "Host: expected localhost or 127.0.0.1, found another "
                   "name; ask this server by its own address"};
  }
  // Without a key nothing is given that takes room: no body is read.
  const bool has_body =
      parser_->chunked() || parser_->content_length().value_or(0) > 0;
  const bool is_open =
      !has_body && (path_ == "/health" || find_page_file(path_) != nullptr);
  if (!options.api_key.empty() && !is_open &&
      !has_bearer(field(http::field::authorization), options.api_key)) {
    return Refusal{401, "invalid_api_key",
                   "Authorization: expected \"Bearer KEY\" with this server's "
                   "key, found another"};
  }
  if (request.method() != http::verb::post) return std::nullopt;
  // A page of another site cannot send this type without asking first.
  const std::string_view type = field(http::field::content_type);
  if (!boost::beast::iequals(
          boost::beast::string_view(type.data(), type.find(';') < type.size()
                                                     ? type.find(';')
                                                     : type.size()),
          "application/json")) {
    return Refusal{415, "wrong_content_type",
                   "Content-Type: expected application/json, found another"};
  }
  return std::nullopt;
}

void Connection::read_body() {
  phase_ = Phase::kBody;
  set_deadline(host_.options().body_timeout_s);
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](error_code error, size_t) {
                     if (self->phase_ == Phase::kBody) self->on_body(error);
                   });
}

void Connection::on_body(error_code error) {
  if (error) return on_read_error(error);
  begin_work();
}

void Connection::begin_work() {
  phase_ = Phase::kWorking;
  set_deadline(host_.options().request_timeout_s);
  auto& request = parser_->get();
  HttpCall call{std::string(request.method_string()), path_,
                std::move(request.body())};
  const auto exchange = std::make_shared<HttpExchange>(
      std::move(call), shared_from_this(), turn_);
  exchange_ = exchange;
  watch_client();
  host_.handle(exchange);
}

// Readable while nothing is expected: the end, or an early next request.
void Connection::watch_client() {
  socket_.async_wait(Socket::wait_read, [self = shared_from_this(),
                                         turn = turn_](error_code error) {
    if (!self->is_answering(turn)) return;
    char byte = 0;
    const ssize_t count = error ? -1
                                : ::recv(self->socket_.native_handle(), &byte,
                                         1, MSG_PEEK | MSG_DONTWAIT);
    if (count > 0) return;
    if (count < 0 && !error && (errno == EAGAIN || errno == EINTR)) {
      return self->watch_client();
    }
    self->host_.metrics().request_cancelled();
    self->abort();
  });
}

// Deadlines ------------------------------------------------------------------

void Connection::set_deadline(double seconds) {
  const uint64_t wait = ++num_waits_;
  deadline_.expires_after(
      std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  deadline_.async_wait([self = shared_from_this(), wait](error_code error) {
    if (!error && wait == self->num_waits_) self->on_deadline();
  });
}

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::kHeader:
    case Phase::kBody:
      return refuse({408, "timeout",
                     "request: expected the whole of it sooner, found a "
                     "part; send faster"});
    case Phase::kWorking:
      if (head_sent_) return abort();
      if (const auto exchange = exchange_.lock()) exchange->set_gone();
      return refuse({504, "timeout",
                     "server: expected the answer sooner, found it not done; "
                     "ask for fewer tokens"});
    default:
      return close();
  }
}

// Answers --------------------------------------------------------------------

void Connection::refuse(const Refusal& refusal) {
  keep_alive_ = false;
  linger_ = true;
  const ApiError error(refusal.status, refusal.message, refusal.code);
  send(whole_answer(refusal.status, "application/json",
                    dump_json(error_json(error)), false, true));
  finish_answer(refusal.status);
}

void Connection::turn_away() {
  since_ = Clock::now();
  refuse({503, "overloaded",
          "server: expected fewer connections, found too many; try again "
          "later"});
}

void Connection::reply(uint64_t turn, int status,
                       const std::string& content_type,
                       const std::string& body) {
  if (!is_answering(turn) || head_sent_) return;
  keep_alive_ = keep_alive_ && !host_.is_stopping();
  send(whole_answer(status, content_type, body, keep_alive_,
                    parser_->get().method() != http::verb::head));
  finish_answer(status);
}

void Connection::start_events(uint64_t turn) {
  if (!is_answering(turn) || head_sent_) return;
  head_sent_ = true;
  chunked_ = parser_->get().version() == 11;
  keep_alive_ = keep_alive_ && chunked_ && !host_.is_stopping();
  send(str(status_line(200),
           "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
           "X-Content-Type-Options: nosniff\r\nConnection: ",
           keep_alive_ ? "keep-alive" : "close",
           chunked_ ? "\r\nTransfer-Encoding: chunked" : "", "\r\n\r\n"));
}

void Connection::send_event(uint64_t turn, const std::string& data) {
  if (!is_answering(turn) || !head_sent_) return;
  const std::string event = "data: " + data + "\n\n";
  send(chunked_ ? chunk(event) : event);
}

void Connection::end_events(uint64_t turn) {
  if (!is_answering(turn) || !head_sent_) return;
  if (chunked_) send("0\r\n\r\n");
  finish_answer(200);
}

// All of the answer is on its way. `send` may have closed the connection.
void Connection::finish_answer(int status) {
  if (phase_ == Phase::kClosing) return;
  host_.metrics().request_done(path_, status, seconds_since(since_));
  leave_work();
  ++num_waits_;  // from here the writes have their own deadline
  phase_ = Phase::kAnswered;
  if (!writing_) after_writes();
}

void Connection::leave_work() {
  if (std::exchange(has_place_, false)) host_.give_back(body_bytes_);
}

void Connection::send(std::string bytes) {
  if (phase_ == Phase::kClosing) return;
  num_unsent_ += bytes.size();
  unsent_.push_back(std::move(bytes));
  if (num_unsent_ > host_.options().max_unsent_bytes && unsent_.size() > 1) {
    return abort();
  }
  if (!writing_) write_some();
}

void Connection::write_some() {
  writing_ = true;
  write_deadline_.expires_after(std::chrono::milliseconds(
      static_cast<int64_t>(host_.options().write_timeout_s * 1000)));
  write_deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && self->writing_ &&
        self->write_deadline_.expiry() <= Clock::now()) {
      self->abort();
    }
  });
  // A part at a time: the deadline is for getting on, not for the whole.
  socket_.async_write_some(
      asio::buffer(unsent_.front()),
      [self = shared_from_this()](error_code error, size_t count) {
        if (self->phase_ == Phase::kClosing) return;
        if (!error) {
          self->num_unsent_ -= count;
          self->unsent_.front().erase(0, count);
          if (self->unsent_.front().empty()) self->unsent_.pop_front();
        }
        self->on_written(error);
      });
}

void Connection::on_written(error_code error) {
  if (error) return abort();
  if (!unsent_.empty()) return write_some();
  writing_ = false;
  write_deadline_.cancel();
  if (phase_ == Phase::kAnswered) after_writes();
}

void Connection::after_writes() {
  if (keep_alive_) return next_request();
  if (!linger_) return close();
  error_code ignored;
  socket_.cancel(ignored);  // a read that was given up
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_deadline(kLingerSeconds);
  linger();
}

// What the client still sends is read and dropped, for a while: closing at once
// would throw away the answer with it (RFC 9112, section 9.6).
void Connection::linger() {
  socket_.async_read_some(
      asio::buffer(discarded_),
      [self = shared_from_this()](error_code error, size_t) {
        error ? self->close() : self->linger();
      });
}

void Connection::wind_down() {
  if (phase_ == Phase::kIdle) close();
}

void Connection::abort() {
  if (phase_ == Phase::kClosing) return;
  if (phase_ == Phase::kWorking) {
    if (const auto exchange = exchange_.lock()) exchange->set_gone();
  }
  close();
}

void Connection::close() {
  if (phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  leave_work();
  ++num_waits_;
  deadline_.cancel();
  write_deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
  host_.closed(this);
}

}  // namespace selfalign::serve
