// SPDX-License-Identifier: Apache-2.0
// Paths as people write them, where no shell has read them before us.
#pragma once

#include <string>

namespace selfalign {

// "~" and "~/x" in the home folder of the person, "~name/x" in that of a user;
// other paths as they are, "./~x" is a file of that name. Error kUsage for a
// user that is not known and for what would make a folder that nobody means: a
// shell's variable in place of a folder, a blank before the path, file://.
std::string user_path(const std::string& path);

}  // namespace selfalign
