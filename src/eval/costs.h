// SPDX-License-Identifier: Apache-2.0
// What subjects and judges behind a server were asked for, added up from the
// logged items, so that it is the same however often an evaluation went on.
#pragma once

#include <string>
#include <vector>

#include "eval/results.h"
#include "generate/usage.h"

namespace selfalign::eval {

// Who was asked.
struct Asked {
  std::string kind;  // "subject" or "judge"
  std::string name;
  std::string model;  // address
  generate::Price price;
};

// Over the items of all results and comparisons there are of it, each once. A
// price that is not given now is that of the element of Results::usage there
// was. Items of older versions, which do not say how long the prompt was, count
// as estimated, with no prompt. Errors as of result_items.h.
SubjectUsage usage_of(const std::string& folder, const Results& results,
                      const Asked& asked);

// A line for each element, and their sum where there are several with a cost.
std::string costs_text(const std::vector<SubjectUsage>& usage);

}  // namespace selfalign::eval
