// SPDX-License-Identifier: Apache-2.0
// Where a model behind a server is, and which of two APIs it is asked by.
#pragma once

#include <optional>
#include <string>

namespace selfalign::generate {

// Text completions, which go on with any text and can score one, or chat
// completions, which answer turns: all that OpenAI's newer models and many
// hosted ones have. kAuto finds out.
enum class RemoteApi { kAuto, kCompletions, kChat };
// Of "auto", "completions", "chat"; Error kUsage otherwise.
RemoteApi remote_api_from_name(const std::string& name);

// "http://host:port/v1#name": the address below which the endpoints lie, and
// the server's name of the model; without #name it must have exactly one.
// True of whatever begins with a scheme (RFC 3986, section 3.1) and "://", but
// for file://.
bool is_remote_model(const std::string& path);

// What is wrong with an address, without a part of it, since it may hold a
// password: another scheme than http and https, a user, a query, spaces, no
// host. None for a path and for what is right.
std::optional<std::string> address_flaw(const std::string& path);

struct RemoteAddress {
  std::string base;   // "http://host:port/v1"
  std::string model;  // "" if not named
  RemoteApi api = RemoteApi::kAuto;
};
// An address may end in /completions or /chat/completions, which says the API.
// Error kUsage: an address_flaw, or an API that `api`, where it is not kAuto,
// contradicts.
RemoteAddress parse_remote_address(const std::string& path, RemoteApi api);

// What an address leads to (RFC 6454, section 4).
struct Origin {
  std::string scheme;  // "http", "https"
  std::string host;    // in lower case, an IPv6 address in brackets
  int port = 0;        // where none is given that of the scheme: 80, 443

  // True if what is sent there stays on this machine: localhost, 127.0.0.0/8
  // and ::1.
  bool is_this_machine() const;
};
// Of an address without address_flaw; none if it is no address at all.
std::optional<Origin> origin_of(const std::string& address);

}  // namespace selfalign::generate
