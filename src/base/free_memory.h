// SPDX-License-Identifier: Apache-2.0
// How much memory there is to take.
#pragma once

#include <cstdint>
#include <optional>

namespace selfalign {

// Bytes that the system can still hand out, as Linux reckons them; nothing
// where it does not say.
std::optional<uint64_t> free_memory();

}  // namespace selfalign
