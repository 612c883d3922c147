// SPDX-License-Identifier: Apache-2.0
#include "stages/keys.h"

#include <bit>

#include "base/hash.h"

namespace selfalign::stages {
namespace {

void add_number(Hasher& hasher, double number) {
  hasher.add(std::bit_cast<uint64_t>(number));
}

void add_sampling(Hasher& hasher, const generate::Sampling& sampling) {
  add_number(hasher, sampling.temperature);
  add_number(hasher, sampling.top_p);
  hasher.add(static_cast<uint64_t>(sampling.max_new_tokens));
  hasher.add(sampling.stop.size());
  for (const std::string& stop : sampling.stop) hasher.add(stop);
  add_number(hasher, sampling.repetition_penalty);
  hasher.add(sampling.ngram_penalty.size());
  for (const double penalty : sampling.ngram_penalty) {
    add_number(hasher, penalty);
  }
  hasher.add(sampling.logit_bias.size());
  for (const auto& [token, bias] : sampling.logit_bias) {
    hasher.add(static_cast<uint64_t>(token));
    add_number(hasher, bias);
  }
  hasher.add(uint64_t{sampling.ban_eos});
}

}  // namespace

uint64_t generated_key(const RowSource& source) {
  Hasher hasher;
  hasher.add(source.stage).add(source.parents.size());
  for (const uint64_t parent : source.parents) hasher.add(parent);
  hasher.add(source.prompt);
  add_sampling(hasher, source.sampling);
  hasher.add(source.fingerprint).add(source.sample).add(source.seed);
  return hasher.key();
}

uint64_t parsed_key(const std::string& stage, uint64_t parent, uint64_t index) {
  return Hasher().add(stage).add(parent).add(index).key();
}

uint64_t item_key(const std::string& stage, const std::string& source,
                  uint64_t index) {
  return Hasher().add(stage).add(source).add(index).key();
}

}  // namespace selfalign::stages
