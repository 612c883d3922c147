// SPDX-License-Identifier: Apache-2.0
// Datasets: what is read is written in its own form and read again.
#include "formats/datasets.h"
#include "fuzz.h"

using selfalign::formats::DatasetForm;

void fuzz_one(std::string_view bytes) {
  std::vector<selfalign::formats::Conversation> rows;
  for (const auto& row :
       selfalign::formats::read_dataset(fuzz_file(bytes, ".jsonl"))) {
    if (row.reason.empty()) rows.push_back(row.conversation);
  }
  const std::string copy = fuzz_file("", ".copy.jsonl");
  selfalign::formats::write_dataset(copy, DatasetForm::kMessages, rows);
  if (rows.empty()) return;
  const auto again = selfalign::formats::read_dataset(copy);
  SELFALIGN_CHECK(again.size() == rows.size());
}
