// SPDX-License-Identifier: Apache-2.0
// Lists of words that others are looked up in, by string or string_view.
#pragma once

#include <functional>
#include <set>
#include <string>

namespace selfalign::text {

using WordSet = std::set<std::string, std::less<>>;

}  // namespace selfalign::text
