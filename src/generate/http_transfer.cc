// SPDX-License-Identifier: Apache-2.0
#include "generate/http_transfer.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/remote_address.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

using Clock = std::chrono::steady_clock;

// Of what a server sent, shown in a message.
constexpr size_t kMaxCoding = 60;
// Of an answer's header lines, those behind its body included, which the
// library keeps until the end: less than what it takes itself before the body.
constexpr size_t kMaxHeaderBytes = size_t{256} << 10;

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

}  // namespace

HttpTransfer::HttpTransfer(CURLM* multi, curl_slist* headers, void* owner)
    : multi_(multi), headers_(headers), owner_(owner), easy_(curl_easy_init()) {
  SELFALIGN_CHECK(easy_ != nullptr);
}

HttpTransfer::~HttpTransfer() {
  stop();
  curl_easy_cleanup(easy_);
}

void* HttpTransfer::owner_of(CURL* handle) {
  char* owner = nullptr;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &owner);
  return owner;
}

void HttpTransfer::start(const std::string& url, const std::string& body,
                         const Limits& limits) {
  body_.clear();
  num_seen_ = 0;
  num_header_bytes_ = 0;
  cut_ = Cut::kNone;
  message_[0] = '\0';
  curl_easy_reset(easy_);
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, owner_);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, message_.data());
  watch();
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  set_limits(limits);
  // As other programs read it; else the system's authorities.
  if (const char* authorities = std::getenv("SSL_CERT_FILE")) {
    curl_easy_setopt(easy_, CURLOPT_CAINFO, authorities);
  }
  const auto origin = origin_of(url);
  if (origin && origin->is_this_machine()) {
    curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
  }
  if (!body.empty()) {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(body.size()));
  }
  is_started_ = curl_multi_add_handle(multi_, easy_) == CURLM_OK;
  SELFALIGN_CHECK(is_started_, url);
}

void HttpTransfer::watch() {
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  // Those of a proxy are no part of the answer.
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy_, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy_, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(easy_, CURLOPT_NOPROGRESS, 0L);
}

void HttpTransfer::set_limits(const Limits& limits) {
  max_bytes_ = limits.max_bytes;
  give_up_ =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(
                         std::chrono::duration<double>(limits.timeout_s));
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   std::lround(limits.connect_timeout_s * 1000));
  curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS,
                   std::lround(limits.timeout_s * 1000));
#if LIBCURL_VERSION_NUM >= 0x075700
  // A name that is still being looked up holds up nobody who leaves.
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
#endif
}

void HttpTransfer::stop() {
  if (is_started_) curl_multi_remove_handle(multi_, easy_);
  is_started_ = false;
}

// Looked at wherever the library calls back, since it may go on with what a
// server sends for as long as that likes.
bool HttpTransfer::is_cut() {
  if (cut_ != Cut::kNone) return true;
  if (interrupted()) {
    cut_ = Cut::kInterrupted;
  } else if (Clock::now() > give_up_) {
    cut_ = Cut::kLate;
  }
  return cut_ != Cut::kNone;
}

// A return of 0 bytes ends the transfer, and so does one of on_progress other
// than 0.
size_t HttpTransfer::on_body(const char* data, size_t size, size_t count,
                             void* user) {
  auto& own = *static_cast<HttpTransfer*>(user);
  const size_t bytes = size * count;
  if (own.is_cut()) return 0;
  if (bytes > own.max_bytes_ - own.body_.size()) {
    own.cut_ = Cut::kTooLarge;
    return 0;
  }
  own.body_.append(data, bytes);
  return bytes;
}

size_t HttpTransfer::on_header(const char* data, size_t size, size_t count,
                               void* user) {
  auto& own = *static_cast<HttpTransfer*>(user);
  const size_t bytes = size * count;
  if (own.is_cut()) return 0;
  own.num_header_bytes_ += bytes;
  if (own.num_header_bytes_ > kMaxHeaderBytes) {
    own.cut_ = Cut::kLongHeader;
    return 0;
  }
  own.coding_ = unasked_coding({data, bytes});
  if (own.coding_.empty()) return bytes;
  own.cut_ = Cut::kCoded;
  return 0;
}

int HttpTransfer::on_progress(void* user, curl_off_t, curl_off_t, curl_off_t,
                              curl_off_t) {
  return static_cast<HttpTransfer*>(user)->is_cut() ? 1 : 0;
}

TransferEnd HttpTransfer::end(CURLcode code, std::string& found) {
  stop();
  if (cut_ != Cut::kNone) return end_of_cut(found);
  if (code == CURLE_OK) return TransferEnd::kAnswered;
  found = message_[0] != '\0' ? message_.data() : curl_easy_strerror(code);
  return end_of_failure(code);
}

TransferEnd HttpTransfer::end_of_cut(std::string& found) const {
  switch (cut_) {
    case Cut::kTooLarge:
      found = str("an answer of over ", max_bytes_, " bytes");
      return TransferEnd::kTooLarge;
    case Cut::kLongHeader:
      found = str("an answer with over ", kMaxHeaderBytes, " bytes of headers");
      return TransferEnd::kTooLarge;
    case Cut::kCoded:
      found = coding_ + ", which was not asked for,";
      return TransferEnd::kCoded;
    case Cut::kLate:
      found = "an answer without an end: timed out";
      return end_of_failure(CURLE_OPERATION_TIMEDOUT);
    case Cut::kInterrupted:
    case Cut::kNone:
      break;
  }
  return TransferEnd::kInterrupted;
}

TransferEnd HttpTransfer::end_of_failure(CURLcode code) const {
  if (is_final(code)) return TransferEnd::kHopeless;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PROXY:
      return TransferEnd::kUnreached;
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t sent_us = 0;  // 0: not connected yet
      curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
      return sent_us == 0 ? TransferEnd::kUnreached : TransferEnd::kTimedOut;
    }
    default:
      return TransferEnd::kBrokenOff;
  }
}

long HttpTransfer::status() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

int64_t HttpTransfer::retry_after_s() const {
  curl_off_t wait_s = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &wait_s);
  return wait_s;
}

std::string HttpTransfer::take_body() { return std::exchange(body_, {}); }

bool HttpTransfer::has_grown() {
  return std::exchange(num_seen_, body_.size()) != body_.size();
}

}  // namespace selfalign::generate
