// SPDX-License-Identifier: Apache-2.0
// Samples laid one after another into passes of about equal length, so that
// short samples do not pay for padding. Samples of a pack do not see each
// other: positions start anew and attention is cut at the segments. Tokens that
// all samples of a pack start with (the meta prompt) stand in it once and are
// seen by all, which changes neither loss nor gradient (only a dropout mask is
// then the same for all of them): a fifth to a third less work.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/model_config.h"
#include "train/sample.h"

namespace selfalign::train {

// One forward pass.
struct Pack {
  std::vector<int64_t> ids;        // input tokens of all samples
  std::vector<int64_t> positions;  // 0, 1, ... within each sample
  std::vector<int64_t> segments;   // input tokens of each sample; for all but
                                   // the first without the shared ones
  int64_t shared = 0;              // first inputs, common to all samples
  std::vector<int64_t> loss_rows;  // rows of `ids` with a target
  std::vector<int64_t> targets;    // one per loss row

  // Input tokens of the samples, the shared ones counted for each.
  int64_t num_tokens() const;
};

// Puts the samples order[begin..end) into packs, each into the first pack that
// has room; a sample longer than pack_tokens is a pack of its own. Samples
// without loss tokens are left out. Positions that predict a token with loss
// are never shared.
std::vector<Pack> pack_samples(const std::vector<Sample>& samples,
                               const std::vector<uint32_t>& order, size_t begin,
                               size_t end, int64_t pack_tokens);

// The order of the samples in an epoch: a random permutation, a pure function
// of (seed, epoch).
std::vector<uint32_t> epoch_order(uint64_t seed, int epoch, size_t num_samples);

// Error kInput unless every token is in the vocabulary, every sample fits the
// context, loss rows ascend within the inputs and have a target each, and some
// token has loss.
void check_samples(const std::vector<Sample>& samples,
                   const formats::ModelConfig& config);

// Input tokens of the longest sample, at least 1.
int64_t longest_input(const std::vector<Sample>& samples);

}  // namespace selfalign::train
