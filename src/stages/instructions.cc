// SPDX-License-Identifier: Apache-2.0
#include "stages/instructions.h"

#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

using store::Row;

std::vector<Row> kept_instructions(const store::Reader& store) {
  std::vector<Row> rows = kept_rows(store, "instruct.tasks");
  for (const char* stage : {"redteam.questions", "given.instructions"}) {
    for (Row& row : kept_rows(store, stage)) rows.push_back(std::move(row));
  }
  for (int round = 1; stage_done(store, refill_stages(round).questions);
       ++round) {
    for (Row& row : kept_rows(store, refill_stages(round).questions)) {
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

std::vector<Row> instructions_for(const std::string& consumer,
                                  store::Store& store) {
  return without_dropped(kept_instructions(store), consumer, store);
}

}  // namespace selfalign::stages
