// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_address.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/error.h"
#include "base/number.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr char kChatEnd[] = "/chat/completions";
constexpr char kTextEnd[] = "/completions";

void drop_slashes(std::string& base, size_t host) {
  while (base.size() > host && base.ends_with('/')) base.pop_back();
}

// The API that the address ends in, which is taken off it.
RemoteApi take_api(std::string& base) {
  for (const auto& [end, api] :
       {std::pair{kChatEnd, RemoteApi::kChat},
        std::pair{kTextEnd, RemoteApi::kCompletions}}) {
    if (!base.ends_with(end)) continue;
    base.resize(base.size() - std::string(end).size());
    return api;
  }
  return RemoteApi::kAuto;
}

}  // namespace

RemoteApi remote_api_from_name(const std::string& name) {
  if (name == "auto") return RemoteApi::kAuto;
  if (name == "completions") return RemoteApi::kCompletions;
  if (name == "chat") return RemoteApi::kChat;
  throw Error(ErrorKind::kUsage,
              str("api: expected auto, chat or completions, found '",
                  name.substr(0, 40), "'; correct it"));
}

bool is_remote_model(const std::string& path) {
  const size_t end = path.find("://");
  if (end == std::string::npos || end == 0 || path.starts_with("file:")) {
    return false;  // user_path.h says what a file is given as
  }
  return std::all_of(
      path.begin(), path.begin() + static_cast<long>(end), [](unsigned char c) {
        return c < 0x80 &&
               (std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.');
      });
}

std::optional<std::string> address_flaw(const std::string& path) {
  if (!is_remote_model(path)) return std::nullopt;
  const std::string base = path.substr(0, path.find('#'));
  const std::string scheme = text::to_lower(base.substr(0, base.find(':')));
  const size_t host = base.find("//") + 2;
  const bool has_odd =
      std::any_of(base.begin(), base.end(), [](unsigned char c) {
        return c <= 0x20 || c >= 0x7f || c == '\\' || c == '?';
      });
  const std::string authority = base.substr(host, base.find('/', host) - host);
  if ((scheme == "http" || scheme == "https") && !has_odd &&
      authority.find('@') == std::string::npos && origin_of(base)) {
    return std::nullopt;
  }
  return "expected http://host:port/v1#name, without user, password, query and "
         "spaces, found another address; a key goes into the environment "
         "variable SELFALIGN_REMOTE_KEY or into a file (api_key_file)";
}

RemoteAddress parse_remote_address(const std::string& path, RemoteApi api) {
  if (const auto flaw = address_flaw(path)) {
    throw Error(ErrorKind::kUsage, "model: " + *flaw);
  }
  RemoteAddress address;
  const size_t mark = path.find('#');
  address.base = path.substr(0, mark);
  if (mark != std::string::npos) address.model = path.substr(mark + 1);
  const size_t host = address.base.find("//") + 2;
  drop_slashes(address.base, host);
  address.api = take_api(address.base);
  drop_slashes(address.base, host);
  if (address.api == RemoteApi::kAuto) {
    address.api = api;
  } else if (api != RemoteApi::kAuto && api != address.api) {
    throw Error(ErrorKind::kUsage,
                str("model: the address ends in ",
                    address.api == RemoteApi::kChat ? kChatEnd : kTextEnd,
                    ", which is not the API that 'api' names; leave one of the "
                    "two out"));
  }
  return address;
}

bool Origin::is_this_machine() const {
  in_addr ipv4{};
  if (::inet_pton(AF_INET, host.c_str(), &ipv4) == 1) {
    return (ntohl(ipv4.s_addr) >> 24) == 127;
  }
  return host == "localhost" || host == "[::1]";
}

// Read by the library that sends the requests, so that both see one host.
std::optional<Origin> origin_of(const std::string& address) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> url(curl_url(),
                                                     curl_url_cleanup);
  if (curl_url_set(url.get(), CURLUPART_URL, address.c_str(),
                   CURLU_DISALLOW_USER) != CURLUE_OK) {
    return std::nullopt;
  }
  const auto part = [&url](CURLUPart which) {
    char* text = nullptr;
    std::string found;
    if (curl_url_get(url.get(), which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
      found = text::to_lower(text);
    curl_free(text);
    return found;
  };
  const auto port = parse_number<int>(part(CURLUPART_PORT), 0, 65535);
  Origin origin{part(CURLUPART_SCHEME), part(CURLUPART_HOST), port.value_or(0)};
  if (!port || origin.host.empty()) return std::nullopt;
  return origin;
}

}  // namespace selfalign::generate
