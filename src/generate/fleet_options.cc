// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_options.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/user_path.h"
#include "generate/remote_address.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr size_t kMaxServers = 1000;  // of a list

struct Named {
  std::string address;
  std::string where;  // it stands
};

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kUsage, str(where, ": ", what));
}

// A line's remark and the spaces around it are no part of it.
void add_lines(const std::string& path, std::vector<Named>& out) {
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::istringstream lines(read_file(path, kMaxBytes));
  int number = 0;
  const size_t before = out.size();
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string text(text::trim(line));
    if (text.empty() || text[0] == '#') continue;
    out.push_back({text, str(path, ", line ", number)});
  }
  if (out.size() > before) return;
  refuse(path,
         "expected addresses such as http://host:port/v1, one a line, found "
         "none; put those of the servers there");
}

// Without what changes nothing about where it leads.
std::string plain(std::string address) {
  const size_t end = std::min(address.find('#'), address.size());
  size_t last = end;
  while (last > 0 && address[last - 1] == '/') --last;
  return address.erase(last, end - last);
}

}  // namespace

std::vector<std::string> fleet_addresses(
    const std::vector<std::string>& servers) {
  std::vector<Named> named;
  for (const std::string& server : servers) {
    if (is_remote_model(server)) {
      named.push_back({server, "servers"});
    } else {
      add_lines(user_path(server), named);
    }
  }
  std::vector<std::string> addresses;
  for (const auto& [address, where] : named) {
    if (!is_remote_model(address)) {
      // Which is not shown: it may hold a password.
      refuse(where,
             "expected http://host:port/v1#name, found another text; correct "
             "it");
    }
    if (const auto flaw = address_flaw(address)) refuse(where, *flaw);
    const std::string one = plain(address);
    if (std::find(addresses.begin(), addresses.end(), one) == addresses.end()) {
      addresses.push_back(one);
    }
  }
  if (addresses.empty() || addresses.size() > kMaxServers) {
    refuse("servers", str("expected 1 to ", kMaxServers,
                          " addresses such as http://host:port/v1, found ",
                          addresses.size()));
  }
  return addresses;
}

}  // namespace selfalign::generate
