// SPDX-License-Identifier: Apache-2.0
// A fleet of servers as one generator (generate/fleet.h).
// 1. Servers of different rates: rows a second together, as a share of the sum
//    of what each does alone.
// 2. Short completions over HTTP, from servers that answer at once, all in one
//    process of their own: rows a second that the coordinator takes in, without
//    and with the run's store, and its memory.
// usage: fleet_bench [ROWS SERVERS]
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/number.h"
#include "generate/fleet.h"
#include "generate/remote.h"
#include "stages/completing.h"
#include "store/store.h"

namespace selfalign {
namespace {

using Clock = std::chrono::steady_clock;
using generate::Completion;
using generate::Generator;
using generate::Request;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// --- 1. servers of different rates ---

// `slots` rows at once, each of them `row_s` long, longer and shorter by a
// half.
class TimedServer final : public Generator {
 public:
  TimedServer(int slots, double row_s) : slots_(slots), row_s_(row_s) {}

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    using Due = std::pair<Clock::time_point, uint64_t>;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
    while (true) {
      while (int(due.size()) < slots_) {
        const auto request = next();
        if (!request) break;
        const double share =
            0.5 + double(request->key * 2654435761u % 1000) / 1000;
        due.emplace(
            Clock::now() + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(row_s_ * share)),
            request->key);
      }
      if (due.empty()) return;
      std::this_thread::sleep_until(due.top().first);
      const uint64_t key = due.top().second;
      due.pop();
      done({.key = key, .text = "x", .num_tokens = 1});
    }
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>&) override {
    return {};
  }
  std::string fingerprint() const override { return "timed"; }
  int count_tokens(const std::string&) const override { return 1; }
  bool chats_only() const override { return true; }  // no probes

 private:
  const int slots_;
  const double row_s_;
};

double rate_of(Generator& generator, int num_rows) {
  int given = 0;
  const auto begin = Clock::now();
  generator.generate(
      [&]() -> std::optional<Request> {
        if (given == num_rows) return std::nullopt;
        return Request{.key = uint64_t(given++)};
      },
      [](const Completion&) {});
  return num_rows / seconds_since(begin);
}

void compare_rates() {
  const std::vector<std::pair<int, double>> shapes = {
      {16, 0.4}, {16, 0.2}, {32, 0.2}, {8, 0.8}};
  double sum = 0;
  for (const auto& [slots, row_s] : shapes) {
    TimedServer alone(slots, row_s);
    const double rate = rate_of(alone, int(8.0 * slots / row_s));
    std::printf("server of %2d slots, %.1f s a row: %7.1f rows/s alone\n",
                slots, row_s, rate);
    sum += rate;
  }
  generate::FleetOptions options;
  std::map<std::string, std::pair<int, double>> by_address;
  for (size_t i = 0; i < shapes.size(); ++i) {
    options.servers.push_back(str("http://server", i, "/v1"));
    by_address[options.servers.back()] = shapes[i];
  }
  options.open = [&](const std::string& address, const generate::LaneContext&) {
    const auto& [slots, row_s] = by_address.at(address);
    return std::make_unique<TimedServer>(slots, row_s);
  };
  const auto fleet = generate::make_fleet(options);
  const double rate = rate_of(*fleet, int(10 * sum));
  std::printf("together: %7.1f rows/s, %.1f %% of the sum\n", rate,
              100 * rate / sum);
}

// --- 2. short completions over HTTP ---

constexpr char kModels[] = R"({"data":[{"id":"tiny"}]})";
constexpr char kAnswer[] =
    R"({"choices":[{"text":" a short answer","finish_reason":"stop"}],)"
    R"("usage":{"completion_tokens":4,"prompt_tokens":40}})";

std::string reply_of(const std::string& body) {
  return str(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
      "Content-Length: ",
      body.size(), "\r\n\r\n", body);
}

int listener(int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  SELFALIGN_CHECK(::bind(fd, generic, size) == 0 && ::listen(fd, 4096) == 0 &&
                  ::getsockname(fd, generic, &size) == 0);
  port = ntohs(address.sin_port);
  return fd;
}

// Answers every request at once, until it is killed.
[[noreturn]] void serve(const std::vector<int>& listeners) {
  const int epoll = ::epoll_create1(0);
  const auto watch = [epoll](int fd) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  for (const int fd : listeners) watch(fd);
  const std::string models = reply_of(kModels);
  const std::string answer = reply_of(kAnswer);
  std::map<int, std::string> read;
  std::vector<epoll_event> events(256);
  while (true) {
    const int num = ::epoll_wait(epoll, events.data(), int(events.size()), -1);
    for (int i = 0; i < num; ++i) {
      const int fd = events[size_t(i)].data.fd;
      if (std::find(listeners.begin(), listeners.end(), fd) !=
          listeners.end()) {
        const int client = ::accept4(fd, nullptr, nullptr, 0);
        if (client >= 0) watch(client);
        continue;
      }
      char buffer[16384];
      const ssize_t count = ::recv(fd, buffer, sizeof(buffer), 0);
      std::string& text = read[fd];
      if (count <= 0) {
        ::close(fd);
        read.erase(fd);
        continue;
      }
      text.append(buffer, size_t(count));
      const size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const size_t at = text.find("Content-Length: ");
      const std::string digits =
          at < end ? text.substr(at + 16, text.find('\r', at) - at - 16) : "0";
      const size_t length = parse_number<size_t>(digits).value_or(0);
      if (text.size() < end + 4 + length) continue;
      const std::string& out = text.starts_with("GET") ? models : answer;
      text.erase(0, end + 4 + length);
      ::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    }
  }
}

// Rows with a prompt of some 300 bytes each, all of which are accepted.
class ShortRows : public stages::CompletionPlan {
 public:
  explicit ShortRows(int64_t num_rows) : num_rows_(num_rows) {}
  std::string title() const override { return "short"; }
  std::optional<stages::PlannedRow> plan(int64_t n) override {
    if (n == num_rows_) return std::nullopt;
    stages::PlannedRow planned;
    planned.row = {uint64_t(n) + 1, "short.rows", n, {}, Json::object()};
    planned.request = request_of(uint64_t(n) + 1);
    return planned;
  }
  bool accept(const store::Row&, const Completion&,
              stages::Accepted&) override {
    return true;
  }
  static Request request_of(uint64_t key) {
    Request request;
    request.key = key;
    request.suffix = str("Question ", key, ": ", std::string(280, 'q'));
    request.sampling.max_new_tokens = 8;
    return request;
  }

 private:
  const int64_t num_rows_;
};

std::unique_ptr<Generator> fleet_at(const std::vector<std::string>& servers) {
  generate::FleetOptions options;
  options.servers = servers;
  options.open = [](const std::string& address,
                    const generate::LaneContext& lane) {
    generate::RemoteOptions remote;
    remote.model = address;
    remote.api = "completions";
    remote.http.num_in_flight = lane.max_in_flight;
    remote.http.goes_on = lane.goes_on;
    return generate::make_remote_generator(remote);
  };
  return generate::make_fleet(options);
}

void measure_coordinator(int64_t num_rows, int num_servers) {
  std::vector<int> listeners;
  std::vector<std::string> servers;
  for (int i = 0; i < num_servers; ++i) {
    int port = 0;
    listeners.push_back(listener(port));
    servers.push_back(str("http://127.0.0.1:", port, "/v1"));
  }
  const pid_t child = ::fork();
  if (child == 0) serve(listeners);
  const auto memory_mib = [] {
    rusage used = {};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss / 1024;
  };
  const auto processor_s = [] {
    rusage used = {};
    ::getrusage(RUSAGE_SELF, &used);
    return double(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * double(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  const auto print = [&](const char* name, double seconds, double used_s) {
    std::printf(
        "%-14s %8.0f rows/s, %5.1f us of processor a row, %ld MiB at most\n",
        name, double(num_rows) / seconds, 1e6 * used_s / double(num_rows),
        memory_mib());
  };
  {
    const auto fleet = fleet_at(servers);
    const double used = processor_s();
    const auto begin = Clock::now();
    uint64_t key = 0;
    fleet->generate(
        [&]() -> std::optional<Request> {
          if (key == uint64_t(num_rows)) return std::nullopt;
          return ShortRows::request_of(++key);
        },
        [](const Completion&) {});
    print("without store", seconds_since(begin), processor_s() - used);
  }
  {
    const std::string folder =
        (std::filesystem::temp_directory_path() / str("fleet_bench.", getpid()))
            .string();
    std::filesystem::remove_all(folder);
    const auto store = store::Store::open(folder);
    const auto fleet = fleet_at(servers);
    ShortRows rows(num_rows);
    const double used = processor_s();
    const auto begin = Clock::now();
    stages::complete_rows(rows, *fleet, *store);
    print("with store", seconds_since(begin), processor_s() - used);
    std::filesystem::remove_all(folder);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  using namespace selfalign;
  try {
    set_log_level(LogLevel::kWarning);
    const auto argument = [&](int i, int64_t otherwise) {
      return argc > i ? parse_number<int64_t>(argv[i]).value_or(otherwise)
                      : otherwise;
    };
    compare_rates();
    measure_coordinator(argument(1, 200000), int(argument(2, 4)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
