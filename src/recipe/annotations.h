// SPDX-License-Identifier: Apache-2.0
// How much a person had to write, counted as the paper's Table 1 does: seed
// prompts, principles and exemplars, an item each, however long.
#pragma once

#include <string>
#include <vector>

#include "base/record.h"
#include "recipe/prompts.h"

namespace selfalign::recipe {

struct AnnotationCount {
  std::string what;
  int count = 0;
  bool in_table = true;  // false: written by a person, outside Table 1's sense

  static void describe(auto& visit, auto& self) {
    visit("what", self.what);
    visit("count", self.count);
    visit("in_table", self.in_table);
  }
};
struct Annotations {
  std::vector<AnnotationCount> counts;
  int total = 0;  // of those in the table

  static void describe(auto& visit, auto& self) {
    visit("total", self.total);
    visit("counts", self.counts);
  }
};
Annotations count_annotations(const Prompts& prompts);

}  // namespace selfalign::recipe
