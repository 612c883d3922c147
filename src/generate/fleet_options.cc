// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_options.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/joined.h"
#include "base/shown.h"
#include "base/user_path.h"
#include "generate/remote_address.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr size_t kMaxServers = 1000;  // of a list

// A line's remark and the spaces around it are no part of it.
void add_lines(const std::string& path, std::vector<std::string>& out) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::istringstream lines(read_file(path, kMaxBytes));
  for (std::string line; std::getline(lines, line);) {
    const std::string text(text::trim(line));
    if (!text.empty() && text[0] != '#') out.push_back(text);
  }
}

}  // namespace

std::vector<std::string> fleet_addresses(
    const std::vector<std::string>& servers) {
  std::vector<std::string> named;
  for (const std::string& server : servers) {
    if (is_remote_model(server)) {
      named.push_back(server);
    } else {
      add_lines(user_path(server), named);
    }
  }
  std::vector<std::string> addresses;
  for (const std::string& address : named) {
    const auto flaw = is_remote_model(address)
                          ? address_flaw(address)
                          : "expected http://host:port/v1#name, found another "
                            "text";
    if (flaw) {
      throw Error(ErrorKind::kUsage,
                  str("servers (", shown(joined(servers), 100), "): ", *flaw));
    }
    if (std::find(addresses.begin(), addresses.end(), address) ==
        addresses.end()) {
      addresses.push_back(address);
    }
  }
  if (addresses.empty() || addresses.size() > kMaxServers) {
    throw Error(ErrorKind::kUsage,
                str("servers: expected 1 to ", kMaxServers,
                    " addresses such as http://host:port/v1, found ",
                    addresses.size()));
  }
  return addresses;
}

}  // namespace selfalign::generate
