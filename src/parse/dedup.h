// SPDX-License-Identifier: Apache-2.0
// De-duplication against everything kept (paper: section 3.1; Self-Instruct,
// Wang et al. 2022): a new text is a duplicate if its ROUGE-L with any text
// kept before, or with any seed, is above the threshold. Exact, at any size
// (text/rouge_index.h; bench/dedup_bench.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "text/rouge_index.h"

namespace selfalign::parse {

class Dedup {
 public:
  explicit Dedup(double threshold,
                 text::RougeKind kind = text::RougeKind::kUnicode)
      : index_(threshold, kind) {}

  // What `text` duplicates, for the person: "0.83 with: ...".
  std::optional<std::string> find(const std::string& text) const;
  void keep(const std::string& text);

 private:
  text::RougeIndex index_;
  std::vector<std::string> kept_;
};

}  // namespace selfalign::parse
