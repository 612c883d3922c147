// SPDX-License-Identifier: Apache-2.0
#include "generate/row_key.h"

#include "base/error.h"
#include "base/hash.h"

namespace selfalign::generate {
namespace {

void add_numbers(Hasher& hasher, const Sampling& sampling) {
  const auto add = [&hasher](double number) { hasher.add(str(number)); };
  add(sampling.temperature);
  add(sampling.top_p);
  add(sampling.repetition_penalty);
  for (const double penalty : sampling.ngram_penalty) add(penalty);
  for (const auto& [id, bias] : sampling.logit_bias) {
    add(id);
    add(bias);
  }
  add(sampling.ban_eos ? 1 : 0);
}

}  // namespace

uint64_t row_key(const std::string& fingerprint, const Request& request,
                 uint64_t seed, uint64_t sample) {
  Hasher hasher;
  hasher.add("serve").add(fingerprint);
  hasher.add(request.prefix ? *request.prefix : "");
  hasher.add(request.suffix);
  for (const size_t cut : request.cuts) hasher.add(uint64_t{cut});
  for (const int id : request.prompt_tokens) {
    hasher.add(static_cast<uint64_t>(id));
  }
  hasher.add("sampling");
  add_numbers(hasher, request.sampling);
  return hasher.add(seed).add(sample).key();
}

}  // namespace selfalign::generate
