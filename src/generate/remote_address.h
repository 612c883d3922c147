// Where a model behind a server is, and which of two APIs it is asked by.
#pragma once

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
bool is_remote_model(const std::string& path);

struct RemoteAddress {
  std::string base;   // "http://host:port/v1"
  std::string model;  // "" if not named
  RemoteApi api = RemoteApi::kAuto;
};
// An address may end in /completions or /chat/completions, which says the API.
// Error kUsage: a password, a query or spaces, or an API that `api`, where it
// is not kAuto, contradicts.
RemoteAddress parse_remote_address(const std::string& path, RemoteApi api);

}  // namespace selfalign::generate
