// SPDX-License-Identifier: Apache-2.0
#include "generate/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/random.h"
#include "generate/remote_address.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

using Clock = std::chrono::steady_clock;

// Longest sleep: how late an interrupt or a request nobody wants is seen.
constexpr int kMaxNapMs = 100;
// Of what a server sent, shown in a message.
constexpr size_t kMaxCoding = 60;
// Of an answer's header lines, those behind its body included, which the
// library keeps until the end: less than what it takes itself before the body.
constexpr size_t kMaxHeaderBytes = size_t{256} << 10;

void init_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  SELFALIGN_CHECK(code == CURLE_OK, curl_easy_strerror(code));
}

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(s));
}

// Why a transfer was ended from within.
enum class Cut { kNone, kTooLarge, kLongHeader, kCoded, kLate, kInterrupted };

// One of the requests in flight: being answered, or waiting for its next try.
struct Slot {
  CURL* easy = nullptr;
  HttpRequest request;
  std::string body;     // of the answer, so far
  size_t num_seen = 0;  // bytes of it that on_body was given
  size_t max_bytes = 0;
  size_t num_header_bytes = 0;
  Cut cut = Cut::kNone;
  std::string coding;         // of Cut::kCoded
  Clock::time_point give_up;  // of this try
  std::array<char, CURL_ERROR_SIZE> message = {};
  int num_tries = 0;
  int num_bad = 0;  // of them: answers that were no good, or broke off
  Clock::time_point first_try;
  bool used = false;
  bool started = false;
  Clock::time_point not_before;
};

// Looked at wherever the library calls back, since it may go on with what a
// server sends for as long as that likes.
bool is_cut(Slot& slot) {
  if (slot.cut != Cut::kNone) return true;
  if (interrupted()) {
    slot.cut = Cut::kInterrupted;
  } else if (Clock::now() > slot.give_up) {
    slot.cut = Cut::kLate;
  }
  return slot.cut != Cut::kNone;
}

// A return of 0 bytes ends the transfer, and so does one of take_progress other
// than 0.
size_t take_body(const char* data, size_t size, size_t count, void* user) {
  auto& slot = *static_cast<Slot*>(user);
  const size_t bytes = size * count;
  if (is_cut(slot)) return 0;
  if (bytes > slot.max_bytes - slot.body.size()) {
    slot.cut = Cut::kTooLarge;
    return 0;
  }
  slot.body.append(data, bytes);
  return bytes;
}

// The coding that a header's line names, if nobody asked for it. The library
// undoes those of transfers unasked, each of which may make a thousand bytes of
// one, or none of any number.
std::string unasked_coding(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "";
  const std::string name = text::to_lower(std::string(line.substr(0, colon)));
  const char* good = name == "transfer-encoding"  ? "chunked"
                     : name == "content-encoding" ? "identity"
                                                  : nullptr;
  if (good == nullptr) return "";
  constexpr std::string_view kSpace = " \t\r\n";
  std::string value(line.substr(colon + 1));
  value.erase(0, std::min(value.find_first_not_of(kSpace), value.size()));
  value.erase(value.find_last_not_of(kSpace) + 1);
  const std::string coding = text::to_lower(value);
  if (coding == good || coding == "identity" || coding.empty()) return "";
  return str("the ", name, " \"", value.substr(0, kMaxCoding), "\"");
}

size_t take_header(const char* data, size_t size, size_t count, void* user) {
  auto& slot = *static_cast<Slot*>(user);
  const size_t bytes = size * count;
  if (is_cut(slot)) return 0;
  slot.num_header_bytes += bytes;
  if (slot.num_header_bytes > kMaxHeaderBytes) {
    slot.cut = Cut::kLongHeader;
    return 0;
  }
  slot.coding = unasked_coding({data, bytes});
  if (slot.coding.empty()) return bytes;
  slot.cut = Cut::kCoded;
  return 0;
}

int take_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return is_cut(*static_cast<Slot*>(user)) ? 1 : 0;
}

// Trying again cannot help with these, whatever the request.
bool is_final(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_TOO_MANY_REDIRECTS:
      return true;
    default:
      return false;
  }
}

// The server was not reached: other requests would fare no better.
bool is_unreached(CURLcode code, CURL* easy) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PROXY:
      return true;
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t sent_us = 0;  // 0: not connected yet
      curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
      return sent_us == 0;
    }
    default:
      return false;
  }
}

// What the server says in its body, short enough for a message.
std::string excerpt(const std::string& body) {
  std::string text = body.substr(0, 300);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text.empty() ? "" : ": " + text;
}

}  // namespace

struct HttpClient::Multi {
  CURLM* handle = nullptr;
  curl_slist* headers = nullptr;
  std::vector<std::unique_ptr<Slot>> slots;
};

// One call of run().
class HttpClient::Work {
 public:
  Work(const HttpOptions& options, const Secret& secret, Multi& multi,
       const Next& next, const Answered& answered)
      : options_(options),
        secret_(secret),
        multi_(multi),
        next_(next),
        answered_(answered) {}
  ~Work() {
    for (const auto& slot : multi_.slots) release(*slot);
  }

  void run() {
    while (!interrupted()) {
      may_ask_ = true;
      fill();
      drop_unwanted();
      if (num_used_ == 0) return;
      start_due();
      int num_running = 0;
      curl_multi_perform(multi_.handle, &num_running);
      show_bodies();
      if (take_answers()) continue;
      curl_multi_poll(multi_.handle, nullptr, 0, nap_ms(), nullptr);
    }
  }

 private:
  void fill() {
    for (const auto& slot : multi_.slots) {
      if (!may_ask_) return;
      if (slot->used) continue;
      std::optional<HttpRequest> request = next_();
      if (!request) {
        may_ask_ = false;
        return;
      }
      slot->request = std::move(*request);
      slot->num_tries = 0;
      slot->num_bad = 0;
      slot->not_before = Clock::now();
      slot->used = true;
      ++num_used_;
    }
  }

  void drop_unwanted() {
    for (const auto& slot : multi_.slots) {
      if (!slot->used || !slot->request.wanted || slot->request.wanted()) {
        continue;
      }
      release(*slot);
      --num_used_;
      answered_(slot->request, HttpReply{});
    }
  }

  void start_due() {
    for (const auto& slot : multi_.slots) {
      if (slot->used && !slot->started && slot->not_before <= Clock::now()) {
        start(*slot);
      }
    }
  }

  static void watch(Slot& slot) {
    CURL* easy = slot.easy;
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &slot);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &slot);
    // Those of a proxy are no part of the answer.
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, take_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &slot);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  }

  void start(Slot& slot) {
    slot.body.clear();
    slot.num_seen = 0;
    slot.num_header_bytes = 0;
    slot.max_bytes = slot.request.max_response_bytes > 0
                         ? slot.request.max_response_bytes
                         : options_.max_response_bytes;
    slot.cut = Cut::kNone;
    slot.message[0] = '\0';
    if (++slot.num_tries == 1) slot.first_try = Clock::now();
    const double timeout_s =
        std::clamp(seconds_left(slot), 0.001, options_.timeout_s);
    slot.give_up = Clock::now() + seconds(timeout_s);
    CURL* easy = slot.easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, slot.request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &slot);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot.message.data());
    watch(slot);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, multi_.headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     std::lround(options_.connect_timeout_s * 1000));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, std::lround(timeout_s * 1000));
#if LIBCURL_VERSION_NUM >= 0x075700
    // A name that is still being looked up holds up nobody who leaves.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    const auto origin = origin_of(slot.request.url);
    if (origin && origin->is_this_machine()) {
      curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    }
    if (!slot.request.body.empty()) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, slot.request.body.data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(slot.request.body.size()));
    }
    slot.started = curl_multi_add_handle(multi_.handle, easy) == CURLM_OK;
    SELFALIGN_CHECK(slot.started, slot.request.url);
  }

  void show_bodies() {
    for (const auto& slot : multi_.slots) {
      if (!slot->started || !slot->request.on_body ||
          slot->body.size() == slot->num_seen) {
        continue;
      }
      long status = 0;
      curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
      if (status < 200 || status > 299) continue;
      slot->num_seen = slot->body.size();
      slot->request.on_body(slot->body, slot->num_tries);
    }
  }

  bool take_answers() {
    bool any = false;
    int num_left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_.handle, &num_left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      char* user = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
      ended(*reinterpret_cast<Slot*>(user), code);
      any = true;
    }
    return any;
  }

  void ended(Slot& slot, CURLcode code) {
    curl_multi_remove_handle(multi_.handle, slot.easy);
    slot.started = false;
    if (slot.cut != Cut::kNone) return was_cut(slot);
    if (code != CURLE_OK) {
      // A message may name what the server sent.
      return failed(
          slot, code,
          secret_.cut_from(slot.message[0] != '\0' ? slot.message.data()
                                                   : curl_easy_strerror(code)));
    }
    HttpReply reply;
    curl_easy_getinfo(slot.easy, CURLINFO_RESPONSE_CODE, &reply.status);
    reply.body = std::exchange(slot.body, {});
    const long hundreds = reply.status / 100;
    if (hundreds != 2 || !slot.request.on_body) {
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
    may_ask_ = true;
    if (again) {
      return again->changed
                 ? ask_anew(slot)
                 : answered_badly(slot, HttpLoss::kBadAnswer, again->found);
    }
    if (is_good) last_good_ = Clock::now();
    end_of(slot);
  }

  void was_cut(Slot& slot) {
    switch (slot.cut) {
      case Cut::kTooLarge:
        return lose(slot, HttpLoss::kTooLarge,
                    str("an answer of over ", slot.max_bytes, " bytes"));
      case Cut::kLongHeader:
        return lose(
            slot, HttpLoss::kTooLarge,
            str("an answer with over ", kMaxHeaderBytes, " bytes of headers"));
      case Cut::kCoded:
        return answered_badly(
            slot, HttpLoss::kBadAnswer,
            secret_.cut_from(slot.coding) + ", which was not asked for,");
      case Cut::kLate:
        return failed(slot, CURLE_OPERATION_TIMEDOUT,
                      "an answer without an end: timed out");
      case Cut::kInterrupted:
      case Cut::kNone:
        break;  // run() ends, and drops it
    }
  }

  // No answer came, or not all of it.
  void failed(Slot& slot, CURLcode code, const std::string& found) {
    if (is_final(code)) fail(slot, found + "; correct the address");
    if (is_unreached(code, slot.easy)) {
      if (!try_again(slot, found, 0)) give_up(slot, found);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
      if (!try_again(slot, found, 0)) lose(slot, HttpLoss::kTimedOut, found);
    } else {
      answered_badly(slot, HttpLoss::kBrokenOff, found);
    }
  }

  void overloaded(Slot& slot, const HttpReply& reply) {
    curl_off_t wait_s = 0;
    curl_easy_getinfo(slot.easy, CURLINFO_RETRY_AFTER, &wait_s);
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

  void ask_anew(Slot& slot) {
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
    slot.body.clear();
    answered_(slot.request, HttpReply{0, "", loss, found});
    may_ask_ = true;
    end_of(slot);
  }

  [[noreturn]] void give_up(const Slot& slot, const std::string& found) {
    fail(slot, str(found, " in ", slot.num_tries,
                   slot.num_tries == 1 ? " try" : " tries",
                   "; see that the server runs and is not overloaded, then "
                   "run the same command again"));
  }

  [[noreturn]] void fail(const Slot& slot, const std::string& found) {
    throw Error(ErrorKind::kFailed,
                str(slot.request.url, ": expected an answer, found ", found));
  }

  int nap_ms() const {
    Clock::duration nap = std::chrono::milliseconds(kMaxNapMs);
    for (const auto& slot : multi_.slots) {
      if (!slot->used || slot->started) continue;
      nap = std::min(nap, slot->not_before - Clock::now());
    }
    return std::max<int>(
        1, static_cast<int>(
               std::chrono::duration_cast<std::chrono::milliseconds>(nap)
                   .count()));
  }

  void release(Slot& slot) {
    if (slot.started) curl_multi_remove_handle(multi_.handle, slot.easy);
    slot.started = false;
    slot.used = false;
  }

  void end_of(Slot& slot) {
    slot.used = false;
    --num_used_;
  }

  const HttpOptions& options_;
  const Secret& secret_;
  Multi& multi_;
  const Next& next_;
  const Answered& answered_;
  int num_used_ = 0;
  bool may_ask_ = true;
  Clock::time_point quiet_until_;
  std::optional<Clock::time_point> last_good_;  // answer to any request
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
    multi_->slots.push_back(std::make_unique<Slot>());
    multi_->slots.back()->easy = curl_easy_init();
  }
}

HttpClient::~HttpClient() {
  for (const auto& slot : multi_->slots) curl_easy_cleanup(slot->easy);
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
