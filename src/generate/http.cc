#include "generate/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/random.h"

namespace selfalign::generate {
namespace {

using Clock = std::chrono::steady_clock;

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
  CURL* easy = nullptr;
  HttpRequest request;
  std::string body;     // of the answer, so far
  size_t num_seen = 0;  // bytes of it that on_body was given
  size_t max_bytes = 0;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> message = {};
  int num_tries = 0;
  int num_bad = 0;  // answers that were no good
  bool used = false;
  bool started = false;
  Clock::time_point not_before;
};

size_t take_body(const char* data, size_t size, size_t count, void* user) {
  auto* slot = static_cast<Slot*>(user);
  const size_t bytes = size * count;
  if (bytes > slot->max_bytes - slot->body.size()) {
    slot->too_large = true;
    return 0;  // ends the transfer
  }
  slot->body.append(data, bytes);
  return bytes;
}

bool is_loopback(const std::string& url) {
  const size_t host = url.find("//") + 2;
  for (const char* name : {"localhost", "127.", "[::1]"}) {
    if (url.compare(host, std::string(name).size(), name) == 0) return true;
  }
  return false;
}

// Trying again cannot help with these.
bool is_final(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_TOO_MANY_REDIRECTS:
      return true;
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
  Work(const HttpOptions& options, Multi& multi, const Next& next,
       const Answered& answered)
      : options_(options), multi_(multi), next_(next), answered_(answered) {}
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

  void start(Slot& slot) {
    slot.body.clear();
    slot.num_seen = 0;
    slot.max_bytes = options_.max_response_bytes;
    slot.too_large = false;
    slot.message[0] = '\0';
    ++slot.num_tries;
    CURL* easy = slot.easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, slot.request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &slot);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot.message.data());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &slot);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, multi_.headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     std::lround(options_.connect_timeout_s * 1000));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     std::lround(options_.timeout_s * 1000));
    if (is_loopback(slot.request.url)) {
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
    if (slot.too_large) {
      fail(slot, str("an answer of over ", options_.max_response_bytes,
                     " bytes; check that the address is that of a model "
                     "server"));
    }
    if (code != CURLE_OK) {
      const std::string found = slot.message[0] != '\0'
                                    ? slot.message.data()
                                    : curl_easy_strerror(code);
      if (is_final(code)) fail(slot, found + "; correct the address");
      return try_again(slot, found, 0);
    }
    HttpReply reply;
    curl_easy_getinfo(slot.easy, CURLINFO_RESPONSE_CODE, &reply.status);
    reply.body = std::move(slot.body);
    slot.body.clear();
    if (reply.status >= 300 && reply.status < 400) {
      fail(slot, str("a redirect (status ", reply.status,
                     "), which is not followed; give the address it leads to"));
    }
    const bool may_pass =
        reply.status == 429 || reply.status == 408 || reply.status >= 500;
    if (may_pass && !(options_.stays && options_.stays(reply))) {
      curl_off_t wait_s = 0;
      curl_easy_getinfo(slot.easy, CURLINFO_RETRY_AFTER, &wait_s);
      return try_again(slot, str("status ", reply.status, excerpt(reply.body)),
                       static_cast<double>(wait_s));
    }
    const std::optional<Again> again =
        answered_(slot.request, std::move(reply));
    may_ask_ = true;
    if (again)
      return again->changed ? ask_anew(slot) : answered_badly(slot, *again);
    slot.used = false;
    --num_used_;
  }

  void ask_anew(Slot& slot) {
    --slot.num_tries;
    slot.not_before = Clock::now();
  }

  void answered_badly(Slot& slot, const Again& again) {
    if (++slot.num_bad >= options_.max_bad_answers) {
      fail(slot, str(again.found, " ", slot.num_bad,
                     " times; see that the address is that of an "
                     "OpenAI-compatible server, and what it logs"));
    }
    try_again(slot, again.found, 0);
  }

  void try_again(Slot& slot, const std::string& found, double retry_after_s) {
    if (slot.num_tries >= options_.max_tries) {
      fail(slot, str(found, " in ", slot.num_tries,
                     slot.num_tries == 1 ? " try" : " tries",
                     "; see that the server runs and is not overloaded, then "
                     "run the same command again"));
    }
    const double backoff =
        std::min(options_.max_backoff_s,
                 std::ldexp(options_.first_backoff_s, slot.num_tries - 1)) *
        (0.5 + 0.5 * draw_uniform(slot.request.key,
                                  static_cast<uint64_t>(slot.num_tries)));
    const double wait_s =
        std::max(backoff, std::min(retry_after_s, options_.max_retry_after_s));
    slot.not_before = Clock::now() + seconds(wait_s);
    if (Clock::now() < quiet_until_) return;  // one line for all slots
    quiet_until_ = Clock::now() + std::chrono::seconds(5);
    log_warning(str(slot.request.url, ": ", found, "; try ", slot.num_tries + 1,
                    " of ", options_.max_tries, " in ",
                    std::ceil(wait_s * 10) / 10, " s"));
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

  const HttpOptions& options_;
  Multi& multi_;
  const Next& next_;
  const Answered& answered_;
  int num_used_ = 0;
  bool may_ask_ = true;
  Clock::time_point quiet_until_;
};

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), multi_(std::make_unique<Multi>()) {
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
  Work(options_, *multi_, next, answered).run();
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
