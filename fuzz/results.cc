// SPDX-License-Identifier: Apache-2.0
// What evaluations wrote and read again: results.json, and the log of items,
// an object a line. The first byte says which.
#include "eval/results.h"

#include "eval/item_log.h"
#include "fuzz.h"

namespace eval = selfalign::eval;

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string folder = fuzz_folder();
  const std::string_view rest = bytes.substr(1);
  if (bytes[0] % 2 == 0) {
    fuzz_write(folder + "/results.json", rest);
    selfalign::to_json(eval::read_results(folder));
  } else {
    fuzz_write(folder + "/items.jsonl", rest);
    eval::read_items(folder + "/items.jsonl");
  }
}
