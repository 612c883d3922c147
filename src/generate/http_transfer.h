// SPDX-License-Identifier: Apache-2.0
// One try of an HTTP request with libcurl, within limits of time and bytes that
// hold whatever a server sends. Not for others than http.cc.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace selfalign::generate {

// How a transfer ended.
enum class TransferEnd {
  kAnswered,
  kTooLarge,     // more bytes than it may have, of its body or its headers
  kCoded,        // in a coding that nobody asked for
  kTimedOut,     // no answer within the time, or not all of it
  kUnreached,    // the server was not reached: others would fare no better
  kHopeless,     // no try can help, whatever the request
  kBrokenOff,    // the connection ended too soon, or spoke no HTTP
  kInterrupted,  // by the person
};

class HttpTransfer {
 public:
  struct Limits {
    double connect_timeout_s = 0.0;
    double timeout_s = 0.0;
    size_t max_bytes = 0;  // of the body
  };

  // The handles outlive this. `owner` is what owner_of finds.
  HttpTransfer(CURLM* multi, curl_slist* headers, void* owner);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  static void* owner_of(CURL* handle);

  // By POST, or by GET where the body is "". The body outlives the transfer.
  void start(const std::string& url, const std::string& body,
             const Limits& limits);
  // Drops it, if it goes on.
  void stop();
  bool is_started() const { return is_started_; }

  // The library says that it ended, with this code. `found` says how, in words
  // that may hold what a server sent.
  TransferEnd end(CURLcode code, std::string& found);

  long status() const;
  int64_t retry_after_s() const;  // that the server asks for; 0: none
  // Of the answer, so far.
  const std::string& body() const { return body_; }
  std::string take_body();
  // Bytes came since it was asked last.
  bool has_grown();

 private:
  enum class Cut { kNone, kTooLarge, kLongHeader, kCoded, kLate, kInterrupted };

  static size_t on_body(const char* data, size_t size, size_t count,
                        void* user);
  static size_t on_header(const char* data, size_t size, size_t count,
                          void* user);
  static int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t,
                         curl_off_t);
  bool is_cut();
  void watch();
  void set_limits(const Limits& limits);
  TransferEnd end_of_cut(std::string& found) const;
  TransferEnd end_of_failure(CURLcode code) const;

  CURLM* const multi_;
  curl_slist* const headers_;
  void* const owner_;
  CURL* const easy_;
  bool is_started_ = false;
  std::string body_;
  size_t num_seen_ = 0;  // bytes of it, by has_grown
  size_t max_bytes_ = 0;
  size_t num_header_bytes_ = 0;
  Cut cut_ = Cut::kNone;  // why it was ended from within
  std::string coding_;    // of Cut::kCoded
  std::chrono::steady_clock::time_point give_up_;
  std::array<char, CURL_ERROR_SIZE> message_ = {};
};

}  // namespace selfalign::generate
