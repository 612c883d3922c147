// SPDX-License-Identifier: Apache-2.0
// Mapped files that are read once, in bulk.
#pragma once

#include <string_view>

namespace selfalign {

// Lets go of the pages of a mapped file's bytes, which are read again from the
// system's cache or the disk when they are asked for. Of a MappedFile's bytes
// (base/file.h) alone: other memory would lose what is in it.
void forget_pages(std::string_view mapped);

}  // namespace selfalign
