// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

#include "base/error.h"
#include "torch/headeronly/version.h"

namespace selfalign::cli {

std::string version_text() {
  const std::string commit = SELFALIGN_COMMIT;
  return str("selfalign ", SELFALIGN_VERSION,
             commit.empty() ? "" : " (" + commit + ")", ", torch ",
             TORCH_VERSION_MAJOR, ".", TORCH_VERSION_MINOR, ".",
             TORCH_VERSION_PATCH);
}

}  // namespace selfalign::cli
