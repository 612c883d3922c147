// SPDX-License-Identifier: Apache-2.0
// Many HTTP requests in flight at once, each tried again until it is answered
// or clearly never will be. What an answer means is the caller's business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "generate/secret.h"

namespace selfalign::generate {

// How a request ended of which no answer can be had: other requests may get
// theirs.
enum class HttpLoss {
  kNone,
  kTooLarge,     // an answer of too many bytes, or of headers
  kTimedOut,     // none within the time of a try or of all of them
  kBrokenOff,    // a connection that ended too soon, or that spoke no HTTP
  kBadAnswer,    // HttpClient::Answered found no good one
  kServerError,  // 5xx each time, while others were answered
  // A redirect, which is not followed, or 408 or 429 each time, while others
  // were answered.
  kRefused,
};

struct HttpReply {
  long status = 0;  // 2xx, 4xx (429 and 408 are tried again), 0: dropped, lost
  std::string body;
  HttpLoss loss = HttpLoss::kNone;
  std::string problem = {};  // of a loss: in words that fit after "found"
};

struct HttpOptions {
  int num_in_flight = 16;
  double connect_timeout_s = 10;
  double timeout_s = 600;  // of one try, the server's work included
  // Of all tries of one request, and of what is waited between them.
  double max_total_s = 1200;
  // Tries of one request that fail as those of others may: the server cannot
  // be reached, or is overloaded (408, 429, 5xx).
  int max_tries = 10;
  // Of those whose answers are no good, or break off: a server seldom thinks
  // better of it.
  int max_bad_answers = 3;
  // Wait before the second try; doubles each time up to max_backoff_s, and is
  // drawn from its upper half so that many requests do not come back at once.
  double first_backoff_s = 0.5;
  double max_backoff_s = 60;
  // A server's Retry-After is kept to, but no longer than this, nor than half
  // of the time that is left.
  double max_retry_after_s = 300;
  size_t max_response_bytes = size_t{64} << 20;  // where the request says none
  // Of a reply that would be tried again: true if that cannot help, and the
  // caller gets it.
  std::function<bool(const HttpReply& reply)> stays = {};
  // Asked a few times a second: false ends the work as an interrupt does.
  std::function<bool()> goes_on = {};
  // Sent as a bearer token to the host of the URL, and cut out of all that
  // comes back (secret.h). Without line breaks.
  std::string api_key;
};

// Looks at a request while it is answered.
class HttpWatcher {
 public:
  virtual ~HttpWatcher() = default;
  // Asked a few times a second; false drops the request, and its answer has
  // status 0.
  virtual bool wanted() = 0;
  // Called with the body of a 2xx answer as it grows: all of it so far, and
  // which try it is of. The key is then still in it, and in the reply's body,
  // since the body's parts are put together before it can be cut out.
  virtual void take(const std::string& body, int num_try) = 0;
};

struct HttpRequest {
  std::string url;                 // http or https
  std::string body;                // JSON, sent by POST; "" asks by GET
  uint64_t key = 0;                // the caller's; also spreads the waits
  HttpWatcher* watcher = nullptr;  // outlives it; null: nobody looks
  size_t max_response_bytes = 0;   // 0: those of the options
};

class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The next request, or none for now; asked again after every answer and a
  // few times a second.
  using Next = std::function<std::optional<HttpRequest>()>;
  // Why a request is sent again, in words that fit after "found".
  struct Again {
    std::string found;
    bool changed = false;  // another request: at once, and not a further try
  };
  // Takes an answer, or a loss; none where it is good, or a loss.
  using Answered = std::function<std::optional<Again>(HttpRequest&, HttpReply)>;

  // Runs until `next` gives none and nothing is in flight, or until an
  // interrupt, which drops what is unfinished. Connection failures, timeouts,
  // bodies cut short and the statuses 408, 429 and 5xx are tried again, but for
  // those of which HttpOptions::stays is true; what only this request suffers
  // from ends as its loss. Error kFailed, for the whole work, names the server,
  // what it did last and what to do, once it could not be reached, was
  // overloaded, or failed at every request, max_tries times or for max_total_s,
  // and at once on a bad certificate. A redirect, which is not followed, is the
  // request's loss; so is what comes in a coding that nobody asked for, none of
  // which is decoded.
  void run(const Next& next, const Answered& answered);

  // One request, run alone; none if an interrupt ended it.
  std::optional<HttpReply> fetch(HttpRequest request);

  const Secret& secret() const { return secret_; }

 private:
  class Work;
  HttpOptions options_;
  Secret secret_;
  struct Multi;
  std::unique_ptr<Multi> multi_;  // keeps connections from call to call
};

}  // namespace selfalign::generate
