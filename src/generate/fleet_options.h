// SPDX-License-Identifier: Apache-2.0
// Which servers a fleet (fleet.h) is made of, and how it deals with them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "generate/generator.h"

namespace selfalign::generate {

// What a fleet's lane is told when it opens its server.
struct LaneContext {
  int max_in_flight = 0;          // requests that it will ever have at once
  std::function<bool()> goes_on;  // false: end what is under way
};

struct FleetOptions {
  // Addresses (remote_address.h) and files of addresses, one a line, "#" at the
  // beginning of a line opens a remark. A file is looked at every second:
  // servers that it no longer names get no more rows, new ones are opened.
  std::vector<std::string> servers;
  // Opens the model at an address; called from threads of the fleet's own, and
  // again whenever that server failed. The generator is used by one thread at a
  // time, but for score(), count_tokens and token_ids, which come from another.
  std::function<std::unique_ptr<Generator>(const std::string& address,
                                           const LaneContext& context)>
      open;
  int num_in_flight = 64;      // of each server, at first
  int max_in_flight = 512;     // to which that grows where it pays
  double patience_s = 1200.0;  // that all servers may be gone
  double first_rest_s = 1.0;   // after a failure; doubles up to max_rest_s
  double max_rest_s = 60.0;
  // Most time without any answer that a server may take while others answer;
  // it is at least eight times what its answers took.
  double stall_s = 60.0;
};

// Addresses out of texts and files, without repetitions. Error kUsage for
// something else, or none; kInput for a file that cannot be read.
std::vector<std::string> fleet_addresses(
    const std::vector<std::string>& servers);

}  // namespace selfalign::generate
