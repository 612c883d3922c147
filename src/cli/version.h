// SPDX-License-Identifier: Apache-2.0
// "selfalign 0.1.0 (0123abcd4567), torch 2.11.0": with the commit that the
// build was configured at, where there is one.
#pragma once

#include <string>

namespace selfalign::cli {

std::string version_text();

}  // namespace selfalign::cli
