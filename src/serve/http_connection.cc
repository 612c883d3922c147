// SPDX-License-Identifier: Apache-2.0
#include "serve/http_connection.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "serve/access.h"
#include "serve/page.h"

namespace selfalign::serve {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr size_t kReadBytes = 4096;          // of a head at once
constexpr size_t kReadBodyBytes = 64 << 10;  // and of a body
constexpr std::string_view kHead = "HEAD ";

std::string_view text_in(const boost::beast::flat_buffer& buffer) {
  return {static_cast<const char*>(buffer.cdata().data()), buffer.size()};
}

}  // namespace

Connection::Connection(Socket socket, uint64_t id, ConnectionHost& host)
    : socket_(std::move(socket)),
      id_(id),
      host_(host),
      deadline_(socket_.get_executor()),
      write_deadline_(socket_.get_executor()),
      excess_deadline_(socket_.get_executor()),
      probe_timer_(socket_.get_executor()),
      buffer_(host.options().max_header_bytes + kReadBodyBytes) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

std::optional<Connection::Clock::time_point> Connection::idle_since() const {
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kHeader:
      return since_;
    case Phase::kLingering:  // before all that may still ask something
      return Clock::time_point::min();
    case Phase::kAnswered:
      return written_;
    default:
      return std::nullopt;
  }
}

void Connection::next_request() {
  if (host_.is_stopping() && buffer_.size() == 0) return close();
  ++turn_;
  head_sent_ = chunked_ = keep_alive_ = is_head_ = skipped_line_ = false;
  num_probes_ = 0;
  body_.reset();
  path_.clear();
  content_type_.clear();
  authority_.clear();
  scan_ = HeadScan();
  since_ = Clock::now();
  parser_.emplace();
  parser_->header_limit(
      static_cast<uint32_t>(host_.options().max_header_bytes));
  parser_->body_limit(host_.options().max_body_bytes);
  phase_ = Phase::kIdle;
  if (buffer_.size() > 0) {
    set_deadline(host_.options().header_timeout_s);
    return read_header();
  }
  set_deadline(host_.options().idle_timeout_s);
  socket_.async_wait(
      Socket::wait_read, [self = shared_from_this()](error_code error) {
        if (self->phase_ != Phase::kIdle) return;
        if (error) return self->close();
        self->since_ = Clock::now();
        self->set_deadline(self->host_.options().header_timeout_s);
        self->read_header();
      });
}

// Read by hand up to its end, since the parser passes what two servers might
// read in two ways.
void Connection::read_header() {
  phase_ = Phase::kHeader;
  // An empty line before a request is left over from the one before (RFC 9112,
  // section 2.2).
  if (scan_.num_seen() == 0 && text_in(buffer_).starts_with("\r\n") &&
      !std::exchange(skipped_line_, true)) {
    buffer_.consume(2);
  }
  is_head_ = text_in(buffer_).starts_with(kHead);  // a refusal has no body, too
  const size_t most = host_.options().max_header_bytes;
  if (text_in(buffer_) != "\r") scan_.go_on(text_in(buffer_).substr(0, most));
  if (!scan_.fault().empty()) return refuse_bad("request: " + scan_.fault());
  if (scan_.end() > 0) return on_header(scan_.end());
  if (buffer_.size() >= most) return on_read_error(http::error::header_limit);
  socket_.async_read_some(
      buffer_.prepare(std::min(kReadBytes, most - buffer_.size())),
      [self = shared_from_this()](error_code error, size_t count) {
        if (self->phase_ != Phase::kHeader) return;
        if (error) return self->close();
        self->buffer_.commit(count);
        self->read_header();
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
    refuse_bad(str("request: expected HTTP/1.1, found ", error.message()));
  }
}

void Connection::refuse_bad(const std::string& fault) {
  refuse({400, "bad_request", fault});
}

// `size`: of the head, which is in the buffer. The parser ends behind it.
void Connection::on_header(size_t size) {
  const std::string fault = framing_fault(text_in(buffer_).substr(0, size));
  if (!fault.empty()) return refuse_bad(fault);
  error_code error;
  parser_->eager(false);
  const size_t used = parser_->put(asio::buffer(buffer_.cdata(), size), error);
  if (error) return on_read_error(error);
  buffer_.consume(used);
  const auto& request = parser_->get();
  keep_alive_ = request.keep_alive();
  const auto type = request[http::field::content_type];
  content_type_ = std::string(type.substr(0, type.find(';')));
  const std::string flaw =
      set_path({request.target().data(), request.target().size()});
  if (!flaw.empty()) return refuse_bad(flaw);
  if (const auto refusal = check_header()) return refuse(*refusal);
  begin_body();
}

// A target may name the server, too (RFC 9112, section 3.2.2).
std::string Connection::set_path(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (same_name(target.substr(0, kScheme.size()), kScheme)) {
    target.remove_prefix(kScheme.size());
    const size_t slash = std::min(target.find_first_of("/?"), target.size());
    authority_ = target.substr(0, slash);
    target.remove_prefix(slash);
    if (authority_.empty() || authority_.front() == ':') {
      return "target: there is no server's name behind http://";
    }
  }
  path_ = target.substr(0, target.find('?'));
  if (path_.empty()) path_ = "/";
  return "";
}

std::optional<Connection::Refusal> Connection::check_header() const {
  const HttpOptions& options = host_.options();
  const auto& request = parser_->get();
  const auto field = [&request](http::field name) {
    const auto value = request[name];
    return std::string_view(value.data(), value.size());
  };
  const bool has_host = request.count(http::field::host) > 0;
  if (is_loopback(options.host) &&
      ((has_host && !names_loopback(field(http::field::host))) ||
       (!authority_.empty() && !names_loopback(authority_)))) {
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
  return std::nullopt;
}

// One that is all here, with the head, takes no place among those that are on
// their way.
void Connection::begin_body() {
  const HttpOptions& options = host_.options();
  std::optional<size_t> length;
  if (!parser_->chunked()) {
    length = static_cast<size_t>(parser_->content_length().value_or(0));
    if (*length > options.max_body_bytes) {
      return on_read_error(http::error::body_limit);
    }
  }
  body_.emplace(length, options.max_body_bytes, options.max_header_bytes);
  if (take_body()) return;
  phase_ = Phase::kBody;
  // How long a body in chunks will be nobody knows.
  host_.body_begins(*this, length.value_or(options.max_body_bytes));
  has_body_place_ = true;
  set_deadline(options.body_timeout_s);
  const auto& request = parser_->get();
  if (request.version() == 11 &&
      boost::beast::iequals(request[http::field::expect], "100-continue")) {
    send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  read_body();
}

void Connection::read_body() {
  socket_.async_read_some(
      buffer_.prepare(kReadBodyBytes),
      [self = shared_from_this()](error_code error, size_t count) {
        if (self->phase_ != Phase::kBody) return;
        if (error) return self->close();
        self->buffer_.commit(count);
        if (!self->take_body()) self->read_body();
      });
}

bool Connection::take_body() {
  buffer_.consume(body_->take(text_in(buffer_)));
  if (const auto& fault = body_->fault()) {
    refuse({fault->status, fault->code, fault->message});
    return true;
  }
  if (!body_->is_done()) return false;
  leave_body();
  begin_work();
  return true;
}

void Connection::leave_body() {
  if (std::exchange(has_body_place_, false)) host_.body_ends(*this);
}

// Only what may take long needs a place.
void Connection::begin_work() {
  const auto& request = parser_->get();
  std::string body = body_->body();
  if (request.method() == http::verb::post) {
    place_bytes_ = body.size();
    if (!host_.take_place(place_bytes_)) {
      return refuse({503, "overloaded",
                     "server: expected room for a request, found too many at "
                     "work; try again later"});
    }
    has_place_ = true;
  }
  phase_ = Phase::kWorking;
  set_deadline(host_.options().request_timeout_s);
  HttpCall call{std::string(request.method_string()), path_, content_type_,
                std::move(body)};
  const auto exchange = std::make_shared<HttpExchange>(
      std::move(call), shared_from_this(), turn_);
  exchange_ = exchange;
  watch_client();
  host_.handle(exchange);
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
                     "the answer took longer than this server allows; ask for "
                     "fewer tokens"});
    default:
      return close();
  }
}

}  // namespace selfalign::serve
