// SPDX-License-Identifier: Apache-2.0
// Looking into a run: rows that hold a text, rows drawn at random. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/reader.h"

namespace selfalign::inspect {

struct SearchOptions {
  std::string text;
  bool is_regex = false;
  std::string stage = "";  // all, each text once, where it was made
  int64_t limit = 20;      // hits
};
struct SearchHit {
  std::string stage;
  int64_t seq = 0;
  std::string field;  // "instruction", "thought", "raw text", ...
  std::string text;   // the whole of it
  size_t begin = 0;   // of the hit, bytes
  size_t length = 0;
};
// Calls `found` for the first hit of each text, in order of stage and seq.
// True if there are more than the limit.
bool search_run(const store::Reader& store, const SearchOptions& options,
                const std::function<void(const SearchHit&)>& found);

struct SampleOptions {
  std::string stage = "align.answers";
  std::string profile = "default";
  std::optional<bool> kept = {};  // none: kept and rejected ones
  std::string reason = "";        // of rejection; "": any
  size_t count = 10;
  uint64_t seed = 0;
};
struct Sampled {
  std::vector<store::SeenRow> rows;  // by seq
  int64_t num_matching = 0;          // that they were drawn from
};
// The same rows for the same seed, each equally likely.
Sampled sample_run(const store::Reader& store, const SampleOptions& options);

}  // namespace selfalign::inspect
