// SPDX-License-Identifier: Apache-2.0
#include "train/packing.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"

namespace selfalign::train {
namespace {

// Tokens that the samples order[begin..end) start with in common and that
// predict nothing with loss.
int64_t shared_inputs(const std::vector<Sample>& samples,
                      const std::vector<uint32_t>& order, size_t begin,
                      size_t end) {
  const Sample* first = nullptr;
  int64_t shared = 0;
  for (size_t i = begin; i < end; ++i) {
    const Sample& sample = samples[order[i]];
    if (sample.targets.empty()) continue;
    if (first == nullptr) {
      first = &sample;
      shared = sample.loss_rows[0];
      continue;
    }
    shared = std::min(shared, sample.loss_rows[0]);
    const auto differ =
        std::mismatch(first->inputs.begin(), first->inputs.begin() + shared,
                      sample.inputs.begin());
    shared = differ.first - first->inputs.begin();
  }
  return shared;
}

void append(Pack& pack, const Sample& sample) {
  const int64_t begin = pack.segments.empty() ? 0 : pack.shared;
  const int64_t inputs = int64_t(sample.inputs.size());
  const int64_t base = int64_t(pack.ids.size()) - begin;  // row of token 0
  for (int64_t i = begin; i < inputs; ++i) {
    pack.ids.push_back(sample.inputs[size_t(i)]);
    pack.positions.push_back(i);
  }
  pack.segments.push_back(inputs - begin);
  for (size_t i = 0; i < sample.targets.size(); ++i) {
    pack.loss_rows.push_back(base + sample.loss_rows[i]);
    pack.targets.push_back(sample.targets[i]);
  }
}

[[noreturn]] void bad_sample(size_t i, const std::string& expected,
                             int64_t found) {
  throw Error(ErrorKind::kInput,
              str("training sample ", i, ": expected ", expected, ", found ",
                  found, "; check the tokenizer and the length limit"));
}

}  // namespace

int64_t Pack::num_tokens() const {
  return int64_t(ids.size()) +
         shared * std::max<int64_t>(0, int64_t(segments.size()) - 1);
}

std::vector<Pack> pack_samples(const std::vector<Sample>& samples,
                               const std::vector<uint32_t>& order, size_t begin,
                               size_t end, int64_t pack_tokens) {
  std::vector<Pack> packs;
  const int64_t shared = shared_inputs(samples, order, begin, end);
  for (size_t i = begin; i < end; ++i) {
    const Sample& sample = samples[order[i]];
    if (sample.targets.empty()) continue;
    const int64_t added = int64_t(sample.inputs.size()) - shared;
    auto room = std::find_if(packs.begin(), packs.end(), [&](const Pack& p) {
      return int64_t(p.ids.size()) + added <= pack_tokens;
    });
    if (room == packs.end()) {
      room = packs.insert(packs.end(), Pack{});
      room->shared = shared;
    }
    append(*room, sample);
  }
  return packs;
}

std::vector<uint32_t> epoch_order(uint64_t seed, int epoch,
                                  size_t num_samples) {
  const uint64_t key =
      Hasher().add("epoch order").add(seed).add(uint64_t(epoch)).key();
  return draw_sample(key, uint32_t(num_samples), uint32_t(num_samples));
}

void check_samples(const std::vector<Sample>& samples,
                   const formats::ModelConfig& config) {
  int64_t with_loss = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    const int64_t length = int64_t(sample.inputs.size());
    if (length >= config.max_positions) {
      bad_sample(i, str("at most ", config.max_positions, " tokens"),
                 length + 1);
    }
    if (sample.loss_rows.size() != sample.targets.size()) {
      bad_sample(i, str(sample.loss_rows.size(), " targets"),
                 int64_t(sample.targets.size()));
    }
    int64_t low = 0;
    for (const int64_t row : sample.loss_rows) {
      if (row < low || row >= length) {
        bad_sample(i, str("targets after tokens ", low, " to ", length - 1),
                   row);
      }
      low = row + 1;
    }
    for (const std::vector<int>* tokens : {&sample.inputs, &sample.targets}) {
      for (const int token : *tokens) {
        if (token < 0 || token >= config.vocab_size) {
          bad_sample(i, str("tokens of 0 to ", config.vocab_size - 1), token);
        }
      }
    }
    with_loss += int64_t(sample.targets.size());
  }
  if (with_loss == 0) {
    throw Error(ErrorKind::kInput,
                str("no response token to train on is in the ", samples.size(),
                    " samples; check the data"));
  }
}

int64_t longest_input(const std::vector<Sample>& samples) {
  int64_t longest = 1;
  for (const Sample& sample : samples) {
    longest = std::max(longest, int64_t(sample.inputs.size()));
  }
  return longest;
}

}  // namespace selfalign::train
