// SPDX-License-Identifier: Apache-2.0
#include "serve/http_server.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <list>
#include <map>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/last_act.h"
#include "base/log.h"
#include "base/slices.h"
#include "serve/access.h"
#include "serve/api_error.h"
#include "serve/http_connection.h"
#include "serve/turns.h"

namespace selfalign::serve {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Long bodies that are worked on in turns: each may hold a hundred times its
// size.
constexpr size_t kLongHandlers = 4;

// Whatever then is still at work: one step of it may take longer.
void end_process_after(double seconds) {
  std::thread([seconds] {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    run_last_act();
    ::_exit(0);
  }).detach();
}

}  // namespace

class HttpServer::Impl final : public ConnectionHost {
 public:
  Impl(const HttpOptions& options, Metrics& metrics)
      : options_(options),
        metrics_(metrics),
        acceptor_(io_),
        pause_(io_),
        grace_(io_),
        signal_(io_),
        tell_signal_(io_),
        handlers_(static_cast<size_t>(options.num_handlers)),
        long_handlers_(kLongHandlers) {
    check_exposure(options.host, options.api_key);
    listen();
  }
  ~Impl() override {
    if (options_.handle_signals) tell_first_signal(-1);
    join();
  }

  int port() const { return port_; }
  void run(const Handler& handler);
  void stop() {
    asio::post(io_, [this] { stop_now_or_soon(); });
  }
  void when_stopping(std::function<void()> callback) {
    on_stopping_ = std::move(callback);
  }

  const HttpOptions& options() const override { return options_; }
  Metrics& metrics() override { return metrics_; }
  bool is_stopping() const override { return num_stops_ > 0; }
  void body_begins(Connection& connection, size_t bytes) override;
  void body_ends(Connection& connection) override;
  bool take_place(size_t bytes) override;
  void give_back(size_t bytes) override;
  void unsent_grows(size_t bytes) override;
  void unsent_shrinks(size_t bytes) override { num_unsent_bytes_ -= bytes; }
  void handle(std::shared_ptr<Exchange> exchange) override;
  void run_long(std::shared_ptr<Exchange> exchange,
                std::function<void()> work) override;
  void closed(const void* connection) override;

 private:
  void listen();
  void wait_for_signal();
  void accept();
  void admit(tcp::socket socket);
  bool make_room();
  void stop_now_or_soon();
  void finish_if_done();
  void join() {
    handlers_.join();
    long_handlers_.join();
  }

  // Bodies on their way, the one that is longest first.
  struct Arriving {
    Connection* connection;
    size_t bytes;
  };

  const HttpOptions options_;
  Metrics& metrics_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  asio::steady_timer grace_;
  asio::posix::stream_descriptor signal_;  // readable once there was one
  asio::posix::stream_descriptor tell_signal_;
  asio::thread_pool handlers_;
  asio::thread_pool long_handlers_;  // of which one works at a time
  Turns turns_;
  Handler handler_;
  std::function<void()> on_stopping_;
  int port_ = 0;
  int num_stops_ = 0;
  int num_requests_ = 0;
  size_t num_body_bytes_ = 0;
  size_t num_unsent_bytes_ = 0;
  std::list<Arriving> arriving_;
  size_t num_arriving_bytes_ = 0;
  uint64_t num_admitted_ = 0;
  std::map<const void*, std::weak_ptr<Connection>> connections_;
};

void HttpServer::Impl::listen() {
  error_code error;
  const auto address = asio::ip::make_address(
      options_.host == "localhost" ? "127.0.0.1" : options_.host, error);
  const std::string where = str(options_.host, ":", options_.port);
  if (error) {
    throw Error(ErrorKind::kUsage,
                "--host " + options_.host +
                    ": expected an address such as 127.0.0.1, found another");
  }
  const tcp::endpoint endpoint(address,
                               static_cast<unsigned short>(options_.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) {
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    const bool is_taken = error == asio::error::address_in_use ||
                          error == asio::error::access_denied;
    throw Error(
        ErrorKind::kFailed,
        str("cannot listen on ", where, ": ", error.message(),
            "; choose another ",
            is_taken ? "--port" : "--host, an address of this machine"));
  }
  port_ = acceptor_.local_endpoint().port();
}

void HttpServer::Impl::run(const Handler& handler) {
  handler_ = handler;
  if (options_.handle_signals) wait_for_signal();
  accept();
  while (true) {
    try {
      io_.run();
      break;
    } catch (const std::exception& error) {  // out of memory, for one client
      log_error(str("serve: ", error.what()));
    }
  }
  join();
}

void HttpServer::Impl::wait_for_signal() {
  std::array<int, 2> ends = {-1, -1};
  SELFALIGN_CHECK(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  signal_.assign(ends[0]);
  tell_signal_.assign(ends[1]);
  signal_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](error_code error) {
                       if (!error && num_stops_ == 0) stop_now_or_soon();
                     });
  tell_first_signal(ends[1]);
}

void HttpServer::Impl::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (!error) {
      admit(std::move(socket));
      return accept();
    }
    // Out of descriptors: they come back as others leave.
    pause_.expires_after(std::chrono::milliseconds(50));
    pause_.async_wait([this](error_code) {
      if (acceptor_.is_open()) accept();
    });
  });
}

void HttpServer::Impl::admit(tcp::socket socket) {
  const bool has_room = make_room();
  const auto connection =
      std::make_shared<Connection>(std::move(socket), ++num_admitted_, *this);
  connections_[connection.get()] = connection;
  metrics_.connections(static_cast<int>(connections_.size()));
  has_room ? connection->start() : connection->turn_away();
}

// Closes connections, the one idle longest first, if there are too many.
bool HttpServer::Impl::make_room() {
  while (connections_.size() >= static_cast<size_t>(options_.max_connections)) {
    std::shared_ptr<Connection> oldest;
    for (const auto& [key, weak] : connections_) {
      const auto connection = weak.lock();
      if (connection == nullptr || !connection->idle_since()) continue;
      if (oldest == nullptr ||
          *connection->idle_since() < *oldest->idle_since()) {
        oldest = connection;
      }
    }
    if (oldest == nullptr) return false;
    oldest->abort();
  }
  return true;
}

// What is no POST asks nothing that takes long, and waits for nothing.
void HttpServer::Impl::handle(std::shared_ptr<Exchange> exchange) {
  const HttpCall& call = exchange->call();
  if (call.method != "POST") return handler_(exchange);
  if (call.body.size() <= options_.max_quick_bytes) {
    asio::post(handlers_, [this, exchange = std::move(exchange)] {
      if (!exchange->is_gone()) handler_(exchange);
    });
    return;
  }
  run_long(exchange, [this, exchange] { handler_(exchange); });
}

void HttpServer::Impl::run_long(std::shared_ptr<Exchange> exchange,
                                std::function<void()> work) {
  asio::post(long_handlers_, [this, exchange = std::move(exchange),
                              work = std::move(work)] {
    Turn turn(turns_);
    const SliceScope slices([&] {
      if (exchange->is_gone()) throw Error(ErrorKind::kFailed, "client gone");
      turn.pass();
    });
    if (exchange->is_gone()) return;
    try {
      work();
    } catch (const std::exception& error) {
      if (exchange->is_gone()) return;
      log_error(str("serve: ", error.what()));
      exchange->reply({500, "application/json",
                       dump_json(error_json(ApiError(
                           500, "the server failed; its log says why")))});
    }
  });
}

void HttpServer::Impl::body_begins(Connection& connection, size_t bytes) {
  while (!arriving_.empty() &&
         (arriving_.size() >= static_cast<size_t>(options_.max_arriving) ||
          num_arriving_bytes_ + bytes > options_.max_bodies_bytes)) {
    arriving_.front().connection->give_way();
  }
  arriving_.push_back({&connection, bytes});
  num_arriving_bytes_ += bytes;
}

void HttpServer::Impl::body_ends(Connection& connection) {
  const auto at = std::find_if(
      arriving_.begin(), arriving_.end(),
      [&](const Arriving& body) { return body.connection == &connection; });
  num_arriving_bytes_ -= at->bytes;
  arriving_.erase(at);
}

bool HttpServer::Impl::take_place(size_t bytes) {
  if (num_requests_ >= options_.max_requests ||
      num_body_bytes_ + bytes > options_.max_bodies_bytes) {
    return false;
  }
  ++num_requests_;
  num_body_bytes_ += bytes;
  return true;
}

void HttpServer::Impl::give_back(size_t bytes) {
  --num_requests_;
  num_body_bytes_ -= bytes;
}

// If they are too many, somebody has more than a share.
void HttpServer::Impl::unsent_grows(size_t bytes) {
  const size_t share = options_.max_all_unsent_bytes /
                       static_cast<size_t>(options_.max_connections);
  num_unsent_bytes_ += bytes;
  while (num_unsent_bytes_ > options_.max_all_unsent_bytes) {
    std::shared_ptr<Connection> oldest;
    for (const auto& [key, weak] : connections_) {
      const auto connection = weak.lock();
      if (connection == nullptr || connection->num_unsent() <= share) continue;
      if (oldest == nullptr ||
          connection->unsent_since() < oldest->unsent_since()) {
        oldest = connection;
      }
    }
    if (oldest == nullptr) return;
    oldest->abort();
  }
}

void HttpServer::Impl::closed(const void* connection) {
  connections_.erase(connection);
  metrics_.connections(static_cast<int>(connections_.size()));
  finish_if_done();
}

void HttpServer::Impl::stop_now_or_soon() {
  if (++num_stops_ == 1) {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    if (on_stopping_) on_stopping_();
    log_info(str("stopping: answers at work have up to ", options_.stop_grace_s,
                 " s to finish; press Ctrl-C again to stop now"));
    grace_.expires_after(std::chrono::milliseconds(
        static_cast<int64_t>(options_.stop_grace_s * 1000)));
    grace_.async_wait([this](error_code error) {
      if (!error) stop_now_or_soon();
    });
    if (options_.handle_signals) end_process_after(options_.stop_grace_s + 1);
  }
  const auto copy = connections_;  // closing changes the original
  for (const auto& [key, weak] : copy) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    num_stops_ == 1 ? connection->wind_down() : connection->abort();
  }
  finish_if_done();
}

void HttpServer::Impl::finish_if_done() {
  if (num_stops_ == 0 || !connections_.empty()) return;
  grace_.cancel();
  error_code ignored;
  if (signal_.is_open()) signal_.cancel(ignored);
}

HttpServer::HttpServer(const HttpOptions& options, Metrics& metrics)
    : impl_(std::make_unique<Impl>(options, metrics)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const { return impl_->port(); }
void HttpServer::run(const Handler& handler) { impl_->run(handler); }
void HttpServer::stop() { impl_->stop(); }
void HttpServer::when_stopping(std::function<void()> callback) {
  impl_->when_stopping(std::move(callback));
}

}  // namespace selfalign::serve
