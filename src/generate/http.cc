// SPDX-License-Identifier: Apache-2.0
#include "generate/http.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/profile.h"
#include "base/random.h"
#include "generate/http_transfer.h"

namespace selfalign::generate {
namespace {

using Clock = std::chrono::steady_clock;
using Again = HttpClient::Again;

// Longest sleep: how late an interrupt or a request nobody wants is seen.
constexpr int kMaxNapMs = 100;

void init_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  SELFALIGN_CHECK(code == CURLE_OK, curl_easy_strerror(code));
}

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(s));
}

// One of the requests in flight: being answered, or waiting for its next try.
struct Slot {
  Slot(CURLM* multi, curl_slist* headers) : transfer(multi, headers, this) {}

  HttpTransfer transfer;
  HttpRequest request;
  int num_tries = 0;
  int num_bad = 0;  // of them: answers that were no good, or broke off
  Clock::time_point first_try;
  bool used = false;
  Clock::time_point not_before;
};

// What the server says in its body, short enough for a message.
std::string excerpt(const std::string& body) {
  std::string text = body.substr(0, 300);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text.empty() ? "" : ": " + text;
}

// What becomes of a request when a try has ended: its answer or its loss goes
// to the caller, it waits for another try, or the whole work fails.
class Tries {
 public:
  Tries(const HttpOptions& options, const Secret& secret,
        const HttpClient::Answered& answered)
      : options_(options), secret_(secret), answered_(answered) {}

  void start(Slot& slot) const {
    if (++slot.num_tries == 1) slot.first_try = Clock::now();
    slot.transfer.start(
        slot.request.url, slot.request.body,
        {options_.connect_timeout_s,
         std::clamp(seconds_left(slot), 0.001, options_.timeout_s),
         slot.request.max_response_bytes > 0 ? slot.request.max_response_bytes
                                             : options_.max_response_bytes});
  }

  void ended(Slot& slot, CURLcode code) {
    std::string found;
    const TransferEnd end = slot.transfer.end(code, found);
    found = secret_.cut_from(found);  // it may name what the server sent
    switch (end) {
      case TransferEnd::kAnswered:
        return answered(slot);
      case TransferEnd::kTooLarge:
        return lose(slot, HttpLoss::kTooLarge, found);
      case TransferEnd::kCoded:
        return answered_badly(slot, HttpLoss::kBadAnswer, found);
      case TransferEnd::kTimedOut:
        if (!try_again(slot, found, 0)) lose(slot, HttpLoss::kTimedOut, found);
        return;
      case TransferEnd::kUnreached:
        if (!try_again(slot, found, 0)) give_up(slot, found);
        return;
      case TransferEnd::kHopeless:
        fail(slot, found + "; correct the address");
      case TransferEnd::kBrokenOff:
        return answered_badly(slot, HttpLoss::kBrokenOff, found);
      case TransferEnd::kInterrupted:
        return;  // the work ends, and drops it
    }
  }

 private:
  void answered(Slot& slot) {
    HttpReply reply;
    reply.status = slot.transfer.status();
    reply.body = slot.transfer.take_body();
    const long hundreds = reply.status / 100;
    if (hundreds != 2 || slot.request.watcher == nullptr) {
      reply.body = secret_.cut_from(reply.body);
    }
    if (hundreds == 3) {
      return lose(slot, HttpLoss::kRefused,
                  str("a redirect (status ", reply.status,
                      "), which is not followed; give the address it leads "
                      "to"));
    }
    if (hundreds != 2 && hundreds != 4 && hundreds != 5) {
      return answered_badly(slot, HttpLoss::kBrokenOff,
                            str("status ", reply.status));
    }
    const bool may_pass =
        reply.status == 429 || reply.status == 408 || hundreds == 5;
    if (may_pass && !(options_.stays && options_.stays(reply))) {
      return overloaded(slot, reply);
    }
    const bool is_good = hundreds == 2;
    const std::optional<Again> again =
        answered_(slot.request, std::move(reply));
    if (again) {
      return again->changed
                 ? ask_anew(slot)
                 : answered_badly(slot, HttpLoss::kBadAnswer, again->found);
    }
    if (is_good) last_good_ = Clock::now();
    slot.used = false;
  }

  void overloaded(Slot& slot, const HttpReply& reply) {
    const int64_t wait_s = slot.transfer.retry_after_s();
    const std::string found =
        str("status ", reply.status,
            wait_s > 0 ? str(" that asks for a wait of ", wait_s, " s") : "",
            excerpt(reply.body));
    if (try_again(slot, found, static_cast<double>(wait_s))) return;
    const bool only_here = last_good_ && *last_good_ > slot.first_try;
    if (only_here) {
      return lose(
          slot,
          reply.status >= 500 ? HttpLoss::kServerError : HttpLoss::kRefused,
          found);
    }
    give_up(slot, found);
  }

  static void ask_anew(Slot& slot) {
    --slot.num_tries;
    slot.not_before = Clock::now();
  }

  void answered_badly(Slot& slot, HttpLoss loss, const std::string& found) {
    if (++slot.num_bad < options_.max_bad_answers &&
        try_again(slot, found, 0)) {
      return;
    }
    lose(slot, loss, str(found, " ", slot.num_bad, " times"));
  }

  double seconds_left(const Slot& slot) const {
    const std::chrono::duration<double> past = Clock::now() - slot.first_try;
    return options_.max_total_s - past.count();
  }

  // False where there were tries enough, or the next came too late.
  bool try_again(Slot& slot, const std::string& found, double retry_after_s) {
    if (slot.num_tries >= options_.max_tries) return false;
    const double backoff =
        std::min(options_.max_backoff_s,
                 std::ldexp(options_.first_backoff_s, slot.num_tries - 1)) *
        (0.5 + 0.5 * draw_uniform(slot.request.key,
                                  static_cast<uint64_t>(slot.num_tries)));
    const double left_s = seconds_left(slot);
    const double wait_s = std::max(
        backoff,
        std::min({retry_after_s, options_.max_retry_after_s, left_s / 2}));
    if (wait_s >= left_s) return false;
    slot.not_before = Clock::now() + seconds(wait_s);
    if (Clock::now() < quiet_until_) return true;  // one line for all slots
    quiet_until_ = Clock::now() + std::chrono::seconds(5);
    log_warning(str(slot.request.url, ": ", found, "; try ", slot.num_tries + 1,
                    " of ", options_.max_tries, " in ",
                    std::ceil(wait_s * 10) / 10, " s"));
    return true;
  }

  // The end of this request alone.
  void lose(Slot& slot, HttpLoss loss, const std::string& found) {
    answered_(slot.request, HttpReply{0, "", loss, found});
    slot.used = false;
  }

  [[noreturn]] static void give_up(const Slot& slot, const std::string& found) {
    fail(slot, str(found, " in ", slot.num_tries,
                   slot.num_tries == 1 ? " try" : " tries",
                   "; see that the server runs and is not overloaded, then "
                   "run the same command again"));
  }

  [[noreturn]] static void fail(const Slot& slot, const std::string& found) {
    throw Error(ErrorKind::kFailed,
                str(slot.request.url, ": expected an answer, found ", found));
  }

  const HttpOptions& options_;
  const Secret& secret_;
  const HttpClient::Answered& answered_;
  Clock::time_point quiet_until_;
  std::optional<Clock::time_point> last_good_;  // answer to any request
};

}  // namespace

struct HttpClient::Multi {
  CURLM* handle = nullptr;
  curl_slist* headers = nullptr;
  std::vector<std::unique_ptr<Slot>> slots;
};

// One call of run(): keeps the slots filled and at work.
class HttpClient::Work {
 public:
  Work(const HttpOptions& options, const Secret& secret, Multi& multi,
       const Next& next, const Answered& answered)
      : options_(options),
        multi_(multi),
        next_(next),
        answered_(answered),
        tries_(options, secret, answered) {}
  ~Work() {
    for (const auto& slot : multi_.slots) release(*slot);
  }

  void run() {
    ProfileWindow window("requests");
    while (!interrupted() && (!options_.goes_on || options_.goes_on())) {
      window.turn();
      fill();
      drop_unwanted();
      if (!is_any_used()) return;
      start_due();
      int num_running = 0;
      curl_multi_perform(multi_.handle, &num_running);
      show_bodies();
      if (take_answers()) continue;
      const ProfilePart part("waiting");
      curl_multi_poll(multi_.handle, nullptr, 0, nap_ms(), nullptr);
    }
  }

 private:
  bool is_any_used() const {
    return std::any_of(multi_.slots.begin(), multi_.slots.end(),
                       [](const auto& slot) { return slot->used; });
  }

  void fill() {
    for (const auto& slot : multi_.slots) {
      if (slot->used) continue;
      std::optional<HttpRequest> request = next_();
      if (!request) return;
      slot->request = std::move(*request);
      slot->num_tries = 0;
      slot->num_bad = 0;
      slot->not_before = Clock::now();
      slot->used = true;
    }
  }

  void drop_unwanted() {
    for (const auto& slot : multi_.slots) {
      if (!slot->used || slot->request.watcher == nullptr ||
          slot->request.watcher->wanted()) {
        continue;
      }
      release(*slot);
      answered_(slot->request, HttpReply{});
    }
  }

  void start_due() {
    for (const auto& slot : multi_.slots) {
      if (slot->used && !slot->transfer.is_started() &&
          slot->not_before <= Clock::now()) {
        tries_.start(*slot);
      }
    }
  }

  void show_bodies() {
    for (const auto& slot : multi_.slots) {
      HttpTransfer& transfer = slot->transfer;
      if (!transfer.is_started() || slot->request.watcher == nullptr) continue;
      const long status = transfer.status();
      if (status < 200 || status > 299 || !transfer.has_grown()) continue;
      slot->request.watcher->take(transfer.body(), slot->num_tries);
    }
  }

  bool take_answers() {
    bool any = false;
    int num_left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_.handle, &num_left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      void* const slot = HttpTransfer::owner_of(message->easy_handle);
      tries_.ended(*static_cast<Slot*>(slot), code);
      any = true;
    }
    return any;
  }

  int nap_ms() const {
    Clock::duration nap = std::chrono::milliseconds(kMaxNapMs);
    for (const auto& slot : multi_.slots) {
      if (!slot->used || slot->transfer.is_started()) continue;
      nap = std::min(nap, slot->not_before - Clock::now());
    }
    return std::max<int>(
        1, static_cast<int>(
               std::chrono::duration_cast<std::chrono::milliseconds>(nap)
                   .count()));
  }

  static void release(Slot& slot) {
    slot.transfer.stop();
    slot.used = false;
  }

  const HttpOptions& options_;
  Multi& multi_;
  const Next& next_;
  const Answered& answered_;
  Tries tries_;
};

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)),
      secret_(options_.api_key),
      multi_(std::make_unique<Multi>()) {
  SELFALIGN_CHECK(options_.num_in_flight > 0 && options_.max_tries > 0);
  if (options_.api_key.find_first_of("\r\n") != std::string::npos) {
    throw Error(ErrorKind::kUsage,
                "API key: expected one line, found a line break; correct it");
  }
  init_curl();
  multi_->handle = curl_multi_init();
  const auto add_header = [this](const std::string& header) {
    multi_->headers = curl_slist_append(multi_->headers, header.c_str());
  };
  add_header("Content-Type: application/json");
  add_header("Accept: application/json");
  add_header("Expect:");  // no round trip before a large body
  if (!options_.api_key.empty()) {
    add_header("Authorization: Bearer " + options_.api_key);
  }
  for (int i = 0; i < options_.num_in_flight; ++i) {
    multi_->slots.push_back(
        std::make_unique<Slot>(multi_->handle, multi_->headers));
  }
}

HttpClient::~HttpClient() {
  multi_->slots.clear();
  curl_multi_cleanup(multi_->handle);
  curl_slist_free_all(multi_->headers);
}

void HttpClient::run(const Next& next, const Answered& answered) {
  Work(options_, secret_, *multi_, next, answered).run();
}

std::optional<HttpReply> HttpClient::fetch(HttpRequest request) {
  std::optional<HttpRequest> only = std::move(request);
  std::optional<HttpReply> reply;
  run([&only] { return std::exchange(only, std::nullopt); },
      [&reply](HttpRequest&, HttpReply found) -> std::optional<Again> {
        reply = std::move(found);
        return std::nullopt;
      });
  return reply;
}

}  // namespace selfalign::generate
