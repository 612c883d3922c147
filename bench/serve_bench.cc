// SPDX-License-Identifier: Apache-2.0
// Requests and tokens per second of the HTTP server at 1, 8 and 64 clients,
// against the same rows generated in the process without it.
// usage: serve_bench MODEL [ROWS NEW SLOTS]
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/number.h"
#include "local/workbench.h"
#include "serve/http_server.h"
#include "serve/service.h"
#include "serve/testing.h"

namespace selfalign {
namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  int rows = 64, new_tokens = 48, slots = 64;
};

std::string prompt_of(int row) {
  return str("Question ", row,
             ": what should one know about the number that this question "
             "has, and why does it come after the one before?\nAnswer:");
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void print_rate(const std::string& name, const Job& job, double seconds) {
  std::printf("%-12s %7.2f rows/s %8.1f tok/s\n", name.c_str(),
              job.rows / seconds, job.rows * job.new_tokens / seconds);
}

double generate_here(generate::Generator& generator, const Job& job) {
  int given = 0;
  const auto begin = Clock::now();
  generator.generate(
      [&]() -> std::optional<generate::Request> {
        if (given == job.rows) return std::nullopt;
        generate::Request request;
        request.suffix = prompt_of(given);
        request.key = static_cast<uint64_t>(++given);
        request.sampling.max_new_tokens = job.new_tokens;
        request.sampling.ban_eos = true;
        return request;
      },
      [](generate::Completion) {});
  return seconds_since(begin);
}

// Each client asks for the next row as soon as it has its answer.
double ask_server(int port, int num_clients, bool stream, const Job& job) {
  std::atomic<int> given = 0;
  std::atomic<int> num_failed = 0;
  std::vector<std::thread> clients;
  const auto begin = Clock::now();
  for (int c = 0; c < num_clients; ++c) {
    clients.emplace_back([&] {
      serve::TestClient client(port);
      for (int row = given++; row < job.rows; row = given++) {
        const Json body{{"prompt", prompt_of(row)},
                        {"max_tokens", job.new_tokens},
                        {"ignore_eos", true},
                        {"stream", stream}};
        const serve::HttpAnswer answer = client.ask(
            serve::TestClient::post("/v1/completions", dump_json(body)));
        if (answer.status != 200) ++num_failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  if (num_failed > 0) {
    throw Error(ErrorKind::kFailed,
                str("serve_bench: ", num_failed, " requests failed"));
  }
  return seconds_since(begin);
}

void run(const std::string& path, const Job& job) {
  local::LocalWorkbench workbench;
  recipe::ModelOptions options;
  options.path = path;
  options.num_slots = job.slots;
  auto generator = workbench.open_generator(options, "");
  generate_here(*generator, {.rows = 2, .new_tokens = 4});  // wakes all up
  print_rate("in process", job, generate_here(*generator, job));

  serve::HttpOptions http_options;
  http_options.port = 0;
  serve::Metrics metrics(serve::Service::paths());
  serve::HttpServer http(http_options, metrics);
  std::vector<serve::ModelSpec> specs(1);
  specs[0].id = "m";
  specs[0].generator = std::move(generator);
  specs[0].tokenizer = workbench.tokenizer(path);
  serve::Service service(std::move(specs), {}, metrics);
  std::thread serving([&] {
    http.run([&](const std::shared_ptr<serve::Exchange>& exchange) {
      service.handle(exchange);
    });
  });
  for (const int clients : {1, 8, 64}) {
    // One client takes as long as its rows one after the other.
    const Job part{clients == 1 ? std::max(1, job.rows / 8) : job.rows,
                   job.new_tokens, job.slots};
    print_rate(str(clients, " clients"), part,
               ask_server(http.port(), clients, false, part));
    print_rate(str(clients, " streams"), part,
               ask_server(http.port(), clients, true, part));
  }
  http.stop();
  http.stop();
  serving.join();
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: serve_bench MODEL [ROWS NEW SLOTS]\n");
    return 2;
  }
  const auto number = [&](int i, int fallback) {
    return argc > i ? selfalign::parse_number<int>(argv[i]).value() : fallback;
  };
  try {
    selfalign::run(argv[1], {.rows = number(2, 64),
                             .new_tokens = number(3, 48),
                             .slots = number(4, 64)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
