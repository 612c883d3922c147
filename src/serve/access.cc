// SPDX-License-Identifier: Apache-2.0
#include "serve/access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/number.h"

namespace selfalign::serve {
namespace {

constexpr size_t kMinKeyBytes = 8;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// As the system reads it, so that "127.evil.example" is no address.
bool is_ipv4_loopback(const std::string& host) {
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24) == 127;
}

bool is_port(std::string_view text) {
  return text.empty() || parse_number<int>(text, 0, 65535).has_value();
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || is_ipv4_loopback(host);
}

bool names_loopback(std::string_view host_header) {
  const size_t colon = host_header.rfind(':');
  const size_t bracket = host_header.rfind(']');
  const bool has_port = colon != std::string_view::npos &&
                        (bracket == std::string_view::npos || colon > bracket);
  if (has_port && !is_port(host_header.substr(colon + 1))) return false;
  std::string name =
      lower(host_header.substr(0, has_port ? colon : std::string_view::npos));
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    return name == "[::1]";
  }
  return name != "::1" && is_loopback(name);
}

bool has_bearer(std::string_view header, std::string_view key) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() < kScheme.size() ||
      lower(header.substr(0, kScheme.size())) != kScheme) {
    return false;
  }
  const std::string_view given = header.substr(kScheme.size());
  // Of the given text's length, which is no secret.
  unsigned different = given.size() != key.size();
  for (size_t i = 0; i < given.size(); ++i) {
    const char expected = key.empty() ? '\0' : key[i % key.size()];
    different |= static_cast<unsigned char>(given[i] ^ expected);
  }
  return different == 0;
}

void check_exposure(const std::string& host, const std::string& key) {
  if (key.empty()) {
    if (is_loopback(host)) return;
    throw Error(ErrorKind::kUsage,
                str("--host ", host,
                    ": expected a key for an address that others reach, found "
                    "none; give --api-key-file FILE or set SELFALIGN_API_KEY, "
                    "or listen on 127.0.0.1"));
  }
  const bool plain = std::all_of(key.begin(), key.end(),
                                 [](char c) { return c > ' ' && c < 0x7f; });
  if (plain && key.size() >= kMinKeyBytes) return;
  throw Error(ErrorKind::kUsage,
              str("API key: expected ", kMinKeyBytes,
                  " or more visible ASCII characters, found another; make one "
                  "with: openssl rand -hex 24"));
}

}  // namespace selfalign::serve
