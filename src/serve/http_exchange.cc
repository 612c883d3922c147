// SPDX-License-Identifier: Apache-2.0
#include <mutex>
#include <utility>

#include "serve/http_connection.h"

namespace selfalign::serve {

template <typename Work>
void HttpExchange::post(Work work) {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  boost::asio::post(
      connection->executor(),
      [connection, work = std::move(work)]() mutable { work(*connection); });
}

void HttpExchange::reply(HttpReply reply) {
  post([turn = turn_, reply = std::move(reply)](Connection& c) mutable {
    c.reply(turn, std::move(reply));
  });
}

void HttpExchange::reply_with(std::function<HttpReply()> make) {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  connection->host().run_long(
      shared_from_this(), [this, make = std::move(make)] { reply(make()); });
}

void HttpExchange::start_events() {
  post([turn = turn_](Connection& c) { c.start_events(turn); });
}

void HttpExchange::send_event(const std::string& data) {
  post([turn = turn_, data](Connection& c) { c.send_event(turn, data); });
}

void HttpExchange::end_events() {
  post([turn = turn_](Connection& c) { c.end_events(turn); });
}

void HttpExchange::when_gone(std::function<void()> callback) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!gone_) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

bool HttpExchange::is_gone() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return gone_;
}

void HttpExchange::set_gone() {
  std::function<void()> callback;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    gone_ = true;
    callback = std::exchange(callback_, nullptr);
  }
  if (callback) callback();
}

}  // namespace selfalign::serve
