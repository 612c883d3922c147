// SPDX-License-Identifier: Apache-2.0
// A small HTTP server inside a test: what it answers is a function of the
// request, byte for byte, so that it can also answer wrongly.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"

namespace selfalign::generate {

struct TestRequest {
  std::string target;  // "/v1/completions"
  std::string headers;
  std::string body;
};
struct TestReply {
  int status = 200;
  std::string body = {};
  std::string headers = {};  // further lines, each with "\r\n"
  double delay_s = 0;        // before it is sent
  size_t missing_bytes = 0;  // of the body, not sent before the end
  bool hang_up = false;      // answers nothing at all
  double pause_s = 0;        // after each line break of the body
  // In place of all that: bytes that are sent as they are, the last part then
  // again and again until the client leaves (`again`), with a pause_s between.
  std::string raw = {};
  std::string again = {};
};

class TestServer {
 public:
  using Handler = std::function<TestReply(const TestRequest&)>;

  // `handler` is called from many threads, one call at a time.
  explicit TestServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    SELFALIGN_CHECK(::bind(listener_, generic, size) == 0);
    SELFALIGN_CHECK(::listen(listener_, 128) == 0);
    SELFALIGN_CHECK(::getsockname(listener_, generic, &size) == 0);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~TestServer() {
    stopping_ = true;
    accepting_.join();
    for (std::thread& thread : serving_) thread.join();
    ::close(listener_);
  }

  std::string url() const { return str("http://127.0.0.1:", port_, "/v1"); }
  int max_at_once() const { return max_at_once_; }
  int num_requests() const { return num_requests_; }

 private:
  void accept_all() {
    while (!stopping_) {
      pollfd ready = {listener_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int connection =
          ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) {
        serving_.emplace_back([this, connection] { serve(connection); });
      }
    }
  }

  bool read_more(int connection, std::string& text) {
    while (!stopping_) {
      pollfd ready = {connection, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      char buffer[4096];
      const ssize_t count = ::recv(connection, buffer, sizeof(buffer), 0);
      if (count <= 0) return false;
      text.append(buffer, static_cast<size_t>(count));
      return true;
    }
    return false;
  }

  bool read_request(int connection, TestRequest& request) {
    std::string text;
    size_t end = std::string::npos;
    while ((end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more(connection, text)) return false;
    }
    request.headers = text.substr(0, end + 2);
    const size_t begin = text.find(' ') + 1;
    request.target = text.substr(begin, text.find(' ', begin) - begin);
    const size_t at = request.headers.find("Content-Length: ");
    const size_t length = at == std::string::npos
                              ? 0
                              : std::stoul(request.headers.substr(at + 16));
    while (text.size() < end + 4 + length) {
      if (!read_more(connection, text)) return false;
    }
    request.body = text.substr(end + 4, length);
    return true;
  }

  void serve(int connection) {
    TestRequest request;
    if (read_request(connection, request)) {
      const int at_once = ++at_once_;
      TestReply reply;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        ++num_requests_;
        max_at_once_ = std::max<int>(max_at_once_, at_once);
        reply = handler_(request);
      }
      wait(reply.delay_s);
      --at_once_;  // before the client can know: it may ask again at once
      send_reply(connection, reply);
    }
    ::close(connection);
  }

  void wait(double seconds) const {
    const auto until = std::chrono::steady_clock::now() +
                       std::chrono::duration<double>(seconds);
    while (!stopping_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  void send_reply(int connection, const TestReply& reply) {
    if (reply.hang_up) return;
    if (!reply.raw.empty() || !reply.again.empty()) {
      return send_raw(connection, reply);
    }
    std::string text = str(
        "HTTP/1.1 ", reply.status, " X\r\nConnection: close\r\n", reply.headers,
        "Content-Length: ", reply.body.size(), "\r\n\r\n", reply.body);
    text.resize(text.size() - reply.missing_bytes);
    for (size_t sent = 0; sent < text.size() && !stopping_;) {
      const size_t line = text.find('\n', sent);
      const size_t end = reply.pause_s > 0 && line != std::string::npos
                             ? line + 1
                             : text.size();
      const ssize_t count =
          ::send(connection, text.data() + sent, end - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      if (reply.pause_s > 0) {
        std::this_thread::sleep_for(
            std::chrono::duration<double>(reply.pause_s));
      }
      sent += static_cast<size_t>(count);
    }
  }

  void send_raw(int connection, const TestReply& reply) {
    std::string_view part = reply.raw;
    while (!stopping_) {
      while (!part.empty()) {
        const ssize_t count =
            ::send(connection, part.data(), part.size(), MSG_NOSIGNAL);
        if (count <= 0) return;
        part.remove_prefix(static_cast<size_t>(count));
      }
      if (reply.again.empty()) return;
      wait(reply.pause_s);
      part = reply.again;
    }
  }

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> at_once_ = 0;
  std::atomic<int> max_at_once_ = 0;
  std::atomic<int> num_requests_ = 0;
  std::mutex mutex_;
  std::thread accepting_;
  std::vector<std::thread> serving_;
};

}  // namespace selfalign::generate
