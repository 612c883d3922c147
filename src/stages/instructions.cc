// SPDX-License-Identifier: Apache-2.0
#include "stages/instructions.h"

#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

using store::Row;

namespace {

// Those that instructions may stand in, in their order.
std::vector<std::string> instruction_stages(const store::Reader& store) {
  std::vector<std::string> stages = {"instruct.tasks", "redteam.questions",
                                     "given.instructions"};
  for (int round = 1; stage_done(store, refill_stages(round).questions);
       ++round) {
    stages.push_back(refill_stages(round).questions);
  }
  return stages;
}

}  // namespace

std::vector<Row> kept_instructions(const store::Reader& store) {
  std::vector<Row> rows;
  for (const std::string& stage : instruction_stages(store)) {
    for (Row& row : kept_rows(store, stage)) rows.push_back(std::move(row));
  }
  return rows;
}

int64_t num_kept_instructions(const store::Reader& store) {
  int64_t sum = 0;
  for (const std::string& stage : instruction_stages(store)) {
    const auto manifest = store.manifest(stage);
    if (manifest) sum += manifest->num_kept;
  }
  return sum;
}

std::vector<Row> instructions_for(const std::string& consumer,
                                  store::Store& store) {
  return without_dropped(kept_instructions(store), consumer, store);
}

}  // namespace selfalign::stages
