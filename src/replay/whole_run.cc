// SPDX-License-Identifier: Apache-2.0
#include "replay/whole_run.h"

#include "base/log.h"
#include "inspect/summary.h"
#include "replay/fork.h"
#include "stages/pipeline.h"

namespace selfalign::replay {

void run_to_end(const recipe::Recipe& recipe, stages::Workbench& workbench,
                store::Store& store) {
  Inheritance inheritance(store, workbench);
  stages::run_pipeline(recipe, inheritance.workbench(), store);
  inspect::write_summary(recipe, store);
  log_info("run digest: " + store.run_digest());
}

}  // namespace selfalign::replay
