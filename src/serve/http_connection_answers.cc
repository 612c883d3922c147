// SPDX-License-Identifier: Apache-2.0
// Answers of a connection, and its end.
#include <utility>

#include "base/error.h"
#include "serve/api_error.h"
#include "serve/http_connection.h"

namespace selfalign::serve {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr double kLingerSeconds = 2;
// Of the bytes that may wait for a client, the part that it has to take each
// second while more of one answer do.
constexpr size_t kExcessPart = 64;

double seconds_since(Connection::Clock::time_point begin) {
  return std::chrono::duration<double>(Connection::Clock::now() - begin)
      .count();
}

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

std::string status_line(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  return str("HTTP/1.1 ", status, " ", http::obsolete_reason(known), "\r\n");
}

std::string head_of(const HttpReply& reply, bool keep_alive) {
  return str(status_line(reply.status), "Content-Type: ", reply.content_type,
             "\r\nContent-Length: ", reply.body.size(),
             "\r\nX-Content-Type-Options: nosniff"
             "\r\nX-Frame-Options: DENY\r\nConnection: ",
             keep_alive ? "keep-alive" : "close",
             reply.allow.empty() ? "" : "\r\nAllow: ", reply.allow,
             reply.status == 503 ? "\r\nRetry-After: 1" : "",
             reply.status == 401 ? "\r\nWWW-Authenticate: Bearer" : "",
             "\r\n\r\n");
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

// No request is read after a refusal: where it ends is not known.
void Connection::refuse(const Refusal& refusal) {
  keep_alive_ = false;
  leave_body();
  const ApiError error(refusal.status, refusal.message, refusal.code);
  const HttpReply reply{.status = refusal.status,
                        .content_type = "application/json",
                        .body = dump_json(error_json(error))};
  send_head(head_of(reply, false));
  if (!is_head_) send(reply.body);
  finish_answer(refusal.status);
}

void Connection::turn_away() {
  since_ = Clock::now();
  refuse({503, "overloaded",
          "server: expected fewer connections, found too many; try again "
          "later"});
}

void Connection::give_way() {
  refuse({503, "overloaded",
          "server: expected room for a body, found too many on their way; send "
          "faster, or try again later"});
}

void Connection::reply(uint64_t turn, HttpReply reply) {
  if (!is_answering(turn) || head_sent_) return;
  keep_alive_ = keep_alive_ && !host_.is_stopping();
  send_head(head_of(reply, keep_alive_));
  if (!is_head_) send(std::move(reply.body));
  finish_answer(reply.status);
  if (num_unsent_ > host_.options().max_unsent_bytes) watch_excess();
}

void Connection::start_events(uint64_t turn) {
  if (!is_answering(turn) || head_sent_) return;
  chunked_ = parser_->get().version() == 11;
  keep_alive_ = keep_alive_ && chunked_ && !host_.is_stopping();
  send_head(str(status_line(200),
                "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                "X-Content-Type-Options: nosniff\r\nConnection: ",
                keep_alive_ ? "keep-alive" : "close",
                chunked_ ? "\r\nTransfer-Encoding: chunked" : "", "\r\n\r\n"));
  head_sent_ = true;
}

void Connection::send_event(uint64_t turn, const std::string& data) {
  if (!is_answering(turn) || !head_sent_) return;
  const std::string event = "data: " + data + "\n\n";
  send(chunked_ ? chunk(event) : event);
  if (num_unsent_ <= host_.options().max_unsent_bytes) return;
  unsent_.size() > 1 ? abort() : watch_excess();
}

void Connection::end_events(uint64_t turn) {
  if (!is_answering(turn) || !head_sent_) return;
  if (chunked_) send("0\r\n\r\n");
  finish_answer(200);
}

// A part that waits for a client which may have gone; see probe_client.
void Connection::send_probe() {
  constexpr std::string_view kBegin = "HTTP/1.1 ";  // of every answer
  constexpr char kComment[] = ":\n\n";              // of a stream of events
  if (head_sent_) {
    send(chunked_ ? chunk(kComment) : kComment);
  } else if (num_head_sent_ < kBegin.size()) {
    send(std::string(1, kBegin[num_head_sent_++]));
  }
}

void Connection::send_head(const std::string& head) {
  send(head.substr(std::exchange(num_head_sent_, 0)));
}

// All of the answer is on its way. `send` may have closed the connection.
void Connection::finish_answer(int status) {
  if (phase_ == Phase::kClosing) return;
  host_.metrics().request_done(path_, status, seconds_since(since_));
  leave_work();
  ++num_waits_;  // from here the writes have their own deadline
  probe_timer_.cancel();
  phase_ = Phase::kAnswered;
  if (!writing_) after_writes();
}

void Connection::leave_work() {
  if (std::exchange(has_place_, false)) host_.give_back(place_bytes_);
}

void Connection::send(std::string bytes) {
  if (phase_ == Phase::kClosing || bytes.empty()) return;
  const size_t size = bytes.size();
  if (num_unsent_ == 0) unsent_since_ = Clock::now();
  num_unsent_ += size;
  unsent_.push_back(std::move(bytes));
  if (!writing_) write_some();
  host_.unsent_grows(size);
}

void Connection::write_some() {
  writing_ = true;
  written_ = Clock::now();
  write_deadline_.expires_after(
      milliseconds_of(host_.options().write_timeout_s));
  write_deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && self->writing_ &&
        self->write_deadline_.expiry() <= Clock::now()) {
      self->abort();
    }
  });
  // A part at a time: the deadline is for getting on, not for the whole.
  const std::string& front = unsent_.front();
  socket_.async_write_some(
      asio::buffer(front.data() + num_front_sent_,
                   front.size() - num_front_sent_),
      [self = shared_from_this()](error_code error, size_t count) {
        if (self->phase_ == Phase::kClosing) return;
        if (!error) {
          self->num_unsent_ -= count;
          self->host_.unsent_shrinks(count);
          self->num_front_sent_ += count;
          if (self->num_front_sent_ == self->unsent_.front().size()) {
            self->unsent_.pop_front();
            self->num_front_sent_ = 0;
          }
        }
        self->on_written(error);
      });
}

void Connection::on_written(error_code error) {
  if (error) return give_up_client();
  if (!unsent_.empty()) return write_some();
  writing_ = false;
  write_deadline_.cancel();
  if (phase_ == Phase::kAnswered) after_writes();
}

// An answer of one piece may be longer than what may wait for a client, and so
// may an event, but not for one that does not read it.
void Connection::watch_excess() {
  excess_deadline_.expires_after(std::chrono::seconds(1));
  excess_deadline_.async_wait([self = shared_from_this(),
                               before = num_unsent_](error_code error) {
    const size_t most = self->host_.options().max_unsent_bytes;
    if (error || self->phase_ == Phase::kClosing || self->num_unsent_ <= most) {
      return;
    }
    if (self->num_unsent_ + most / kExcessPart > before) return self->abort();
    self->watch_excess();
  });
}

void Connection::after_writes() {
  if (keep_alive_) return next_request();
  phase_ = Phase::kLingering;
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

// What is not at work is not begun any more.
void Connection::wind_down() {
  if (phase_ == Phase::kIdle) close();
  if (phase_ != Phase::kHeader && phase_ != Phase::kBody) return;
  refuse({503, "stopping",
          "server: expected the request before it stops, found a part; ask "
          "again when it is back"});
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
  leave_body();
  leave_work();
  host_.unsent_shrinks(std::exchange(num_unsent_, 0));
  ++num_waits_;
  deadline_.cancel();
  write_deadline_.cancel();
  excess_deadline_.cancel();
  probe_timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
  host_.closed(this);
}

}  // namespace selfalign::serve
