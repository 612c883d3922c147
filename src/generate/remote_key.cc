// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_key.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/key_file.h"

namespace selfalign::generate {
namespace {

constexpr char kVariable[] = "SELFALIGN_REMOTE_KEY";
constexpr char kOwnVariable[] = "SELFALIGN_API_KEY";
constexpr uint64_t kMaxFileBytes = 65536;

std::atomic<bool> may_go_over_http{false};

int default_port(const Origin& origin) {
  return origin.scheme == "https" ? 443 : 80;
}

// "api.openai.com", "gpu1:8000": as a person writes the server's place.
std::string place_of(const Origin& origin) {
  const bool usual = origin.port == default_port(origin);
  return usual ? origin.host : str(origin.host, ":", origin.port);
}

// The origin that HOST or HOST:PORT stands for where `like` is asked about.
std::optional<Origin> origin_named(const std::string& place,
                                   const Origin& like) {
  return place.find('/') == std::string::npos
             ? origin_of(like.scheme + "://" + place)
             : std::nullopt;
}

[[noreturn]] void throw_form(const std::string& where) {
  throw Error(ErrorKind::kUsage,
              where +
                  ": expected the server and its key, in pairs of words as in "
                  "\"api.openai.com KEY\" or \"gpu1:8000 KEY\", found another "
                  "text; put the host before the key that is for it");
}

bool is_key(const std::string& word) {
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return c > ' ' && c < '\x7f'; });
}

// The key of `origin` in a text of pairs.
std::optional<std::string> find_key(const std::string& text,
                                    const Origin& origin,
                                    const std::string& where) {
  std::string spaced = text;
  std::replace(spaced.begin(), spaced.end(), ',', ' ');
  std::istringstream stream(spaced);
  const std::vector<std::string> words{
      std::istream_iterator<std::string>(stream), {}};
  if (words.size() % 2 != 0) throw_form(where);
  std::optional<std::string> found;
  for (size_t i = 0; i < words.size(); i += 2) {
    const std::optional<Origin> named = origin_named(words[i], origin);
    const std::string& key = words[i + 1];
    if (!named || !is_key(key)) throw_form(where);
    if (named->host == origin.host && named->port == origin.port) found = key;
  }
  return found;
}

std::optional<std::string> from_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<std::string> given_key(const Origin& origin,
                                     const std::string& file) {
  if (!file.empty()) {
    const std::string text = read_key_file(file, kMaxFileBytes);
    if (auto key = find_key(text, origin, file)) return key;
  }
  if (const auto text = from_variable(kVariable)) {
    if (auto key = find_key(*text, origin, kVariable)) return key;
  }
  if (!origin.is_this_machine()) return std::nullopt;
  const auto own = from_variable(kOwnVariable);
  if (own && !is_key(*own)) {
    throw Error(ErrorKind::kUsage,
                str(kOwnVariable,
                    ": expected a key of one line, of printable characters "
                    "without spaces, found others; correct it"));
  }
  return own;
}

}  // namespace

std::string key_for(const Origin& origin, const std::string& file) {
  const std::optional<std::string> key = given_key(origin, file);
  if (key && origin.scheme != "https" && !origin.is_this_machine() &&
      !may_go_over_http) {
    throw Error(ErrorKind::kUsage,
                str("http://", place_of(origin),
                    ": expected https, since a key is given for this server, "
                    "found http, over which others could read it; use https, "
                    "or a tunnel to this machine, or say --key-over-http"));
  }
  return key.value_or("");
}

void set_key_over_http(bool on) { may_go_over_http = on; }

std::string key_advice(const Origin& origin) {
  const std::string place = place_of(origin);
  std::string text =
      str("set ", kVariable, "=\"", place,
          " KEY\", or put that line into a file that only you may read and "
          "name it as api_key_file");
  if (!origin.is_this_machine() && from_variable(kOwnVariable)) {
    text += str("; ", kOwnVariable, " goes to servers on this machine alone");
  }
  return text;
}

}  // namespace selfalign::generate
