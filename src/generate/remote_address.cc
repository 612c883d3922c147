#include "generate/remote_address.h"

#include <algorithm>

#include "base/error.h"

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
  return path.starts_with("http://") || path.starts_with("https://");
}

RemoteAddress parse_remote_address(const std::string& path, RemoteApi api) {
  RemoteAddress address;
  const size_t mark = path.find('#');
  address.base = path.substr(0, mark);
  if (mark != std::string::npos) address.model = path.substr(mark + 1);
  const size_t host = address.base.find("//") + 2;
  drop_slashes(address.base, host);
  const std::string authority =
      address.base.substr(host, address.base.find('/', host) - host);
  const bool has_control =
      std::any_of(address.base.begin(), address.base.end(),
                  [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
  if (authority.empty() || authority.find('@') != std::string::npos ||
      address.base.find('?') != std::string::npos || has_control) {
    throw Error(ErrorKind::kUsage,
                "model: expected http://host:port/v1#name, without user, "
                "password, query and spaces, found another address; a key "
                "goes into the environment variable SELFALIGN_API_KEY");
  }
  address.api = take_api(address.base);
  drop_slashes(address.base, host);
  if (address.api == RemoteApi::kAuto) {
    address.api = api;
  } else if (api != RemoteApi::kAuto && api != address.api) {
    throw Error(ErrorKind::kUsage,
                str("model: expected an address of the API that is asked for, "
                    "found one that ends in ",
                    address.api == RemoteApi::kChat ? kChatEnd : kTextEnd,
                    "; leave that off, or the setting 'api'"));
  }
  return address;
}

}  // namespace selfalign::generate
