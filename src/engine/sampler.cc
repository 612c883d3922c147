// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "engine/kernels.h"

namespace selfalign::engine {
namespace {

using generate::Sampling;

constexpr double kMaxInverse = 1e30;  // of a temperature, kept finite

// Keskar et al. 2019, section 4.1; negative logits are multiplied, so that the
// penalty always lowers.
void penalize_repetition(const std::vector<int>& seen, double penalty,
                         float* logits) {
  for (int id : seen) {
    logits[id] = static_cast<float>(logits[id] > 0 ? logits[id] / penalty
                                                   : logits[id] * penalty);
  }
}

// Every earlier place where the last n-1 tokens stood makes the token that
// followed there less likely.
void penalize_ngram(const std::vector<int>& said, size_t n, double penalty,
                    float* logits) {
  const size_t context = n - 1;
  const auto last = said.end() - static_cast<std::ptrdiff_t>(context);
  for (size_t i = context; i < said.size(); ++i) {
    if (std::equal(last, said.end(), said.begin() + (i - context))) {
      logits[said[i]] -= static_cast<float>(penalty);
    }
  }
}

bool changes_logits(const Sampling& s) {
  return s.repetition_penalty != 1.0 || !s.ngram_penalty.empty() ||
         !s.logit_bias.empty() || s.ban_eos;
}

void change_logits(const SampleInput& input, float* logits) {
  const Sampling& s = *input.sampling;
  const std::vector<int>& said = input.history->completion();
  if (s.repetition_penalty != 1.0) {
    penalize_repetition(input.history->distinct(), s.repetition_penalty,
                        logits);
  }
  for (size_t n = 1; n <= s.ngram_penalty.size(); ++n) {
    const double penalty = s.ngram_penalty[n - 1];
    if (penalty != 0 && said.size() >= n) {
      penalize_ngram(said, n, penalty, logits);
    }
  }
  for (const auto& [id, bias] : s.logit_bias) {
    logits[id] += static_cast<float>(bias);
  }
  if (s.ban_eos) {
    for (int id : *input.end_tokens) {
      logits[id] = -std::numeric_limits<float>::infinity();
    }
  }
}

// The id where the running sum of weights, in order of ids, passes `target`,
// which is below their sum.
int find_drawn(const std::vector<uint32_t>& weights, uint64_t target) {
  uint64_t sum = 0;
  for (size_t id = 0; id < weights.size(); ++id) {
    sum += weights[id];
    if (sum > target) return static_cast<int>(id);
  }
  SELFALIGN_CHECK(false, "target ", target, " of mass ", sum);
  return -1;
}

// The same of the nucleus's members; `keys` as of find_nucleus.
int find_member(std::span<const uint64_t> keys, const Nucleus& nucleus,
                uint64_t target) {
  const uint64_t least = uint64_t{nucleus.weight} << 32 | ~nucleus.last_id;
  uint64_t sum = 0;
  for (const uint64_t key : keys) {
    if (key < least) continue;
    sum += key >> 32;
    if (sum > target) return static_cast<int>(~static_cast<uint32_t>(key));
  }
  SELFALIGN_CHECK(false, "target ", target, " of mass ", nucleus.mass);
  return -1;
}

// Of a key's weight, 1..2^30: power of two and sixteenths of it.
constexpr size_t kBuckets = size_t{31} * 16;
size_t bucket_of(uint64_t key) {
  const auto weight = static_cast<float>(static_cast<uint32_t>(key >> 32));
  return (std::bit_cast<uint32_t>(weight) >> 19) - (uint32_t{127} << 4);
}

// keys, all different: the one at which the running sum of upper halves, in
// descending order, first reaches `need`; `sum` gets that sum. Quickselect.
uint64_t select_by_mass(std::vector<uint64_t>& keys, uint64_t need,
                        uint64_t* sum) {
  constexpr size_t kFew = 24;
  size_t low = 0, high = keys.size();
  *sum = 0;
  while (high - low > kFew) {
    const size_t middle = low + (high - low) / 2;
    const std::array<uint64_t, 3> three = {keys[low], keys[middle],
                                           keys[high - 1]};
    const uint64_t pivot =
        std::max(std::min(three[0], three[1]),
                 std::min(std::max(three[0], three[1]), three[2]));
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(low);
    const auto cut =
        std::partition(begin, keys.begin() + static_cast<std::ptrdiff_t>(high),
                       [pivot](uint64_t k) { return k >= pivot; });
    uint64_t mass = 0;
    for (auto k = begin; k != cut; ++k) mass += *k >> 32;
    const size_t split = static_cast<size_t>(cut - keys.begin());
    if (*sum + mass >= need) {
      if (split == high) break;  // the pivot was the least: nothing cut off
      high = split;
    } else {
      *sum += mass;
      low = split;
    }
  }
  std::sort(keys.begin() + static_cast<std::ptrdiff_t>(low),
            keys.begin() + static_cast<std::ptrdiff_t>(high), std::greater<>());
  for (size_t i = low; i < high; ++i) {
    *sum += keys[i] >> 32;
    if (*sum >= need) return keys[i];
  }
  SELFALIGN_CHECK(false, "mass ", *sum, " of ", need);
  return 0;
}

}  // namespace

void History::add_prompt(int token) {
  if (std::find(distinct_.begin(), distinct_.end(), token) == distinct_.end()) {
    distinct_.push_back(token);
  }
}

void History::add(int token) {
  add_prompt(token);
  completion_.push_back(token);
}

double log_sum_exp(const float* logits, int vocab) {
  const float max = kernels().max(logits, vocab);
  return max + std::log(kernels().sum_exp(logits, vocab, max));
}

int most_probable(const float* logits, int vocab) {
  const float max = kernels().max(logits, vocab);
  int id = 0;
  while (id + 1 < vocab && logits[id] != max) ++id;
  return id;
}

std::vector<generate::TokenLogprob> most_probable(const float* logits,
                                                  int vocab, int count,
                                                  double log_sum) {
  std::vector<int> best;  // most probable first
  const auto before = [logits](int id, int other) {
    return logits[id] > logits[other];
  };
  for (int id = 0; id < vocab; ++id) {
    const bool full = static_cast<int>(best.size()) == count;
    if (full && !(count > 0 && before(id, best.back()))) continue;
    if (full) best.pop_back();
    best.insert(std::upper_bound(best.begin(), best.end(), id, before), id);
  }
  std::vector<generate::TokenLogprob> tokens;
  tokens.reserve(best.size());
  for (const int id : best) {
    tokens.push_back({id, static_cast<float>(double{logits[id]} - log_sum)});
  }
  return tokens;
}

Nucleus find_nucleus(const std::vector<uint32_t>& weights, uint64_t total,
                     double top_p, SamplerScratch& scratch) {
  const uint64_t need = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(top_p * static_cast<double>(total))), 1,
      total);
  // All up to `cut` have together no more than may be left out.
  const auto cut = static_cast<uint32_t>((total - need) / weights.size());
  scratch.keys.resize(weights.size());
  scratch.num_keys = static_cast<size_t>(
      kernels().keys_above(weights.data(), static_cast<int64_t>(weights.size()),
                           cut, scratch.keys.data()));
  const std::span<const uint64_t> keys = scratch.chosen_keys();
  // Mass by size: all of one bucket weigh more than all of the one before, so
  // only the bucket in which the share is reached needs order.
  std::array<uint64_t, kBuckets> mass = {};
  for (const uint64_t key : keys) mass[bucket_of(key)] += key >> 32;
  uint64_t above = 0;
  size_t bucket = kBuckets - 1;
  while (above + mass[bucket] < need) above += mass[bucket--];
  scratch.bucket.clear();
  std::copy_if(keys.begin(), keys.end(), std::back_inserter(scratch.bucket),
               [bucket](uint64_t key) { return bucket_of(key) == bucket; });
  uint64_t sum = 0;
  const uint64_t key = select_by_mass(scratch.bucket, need - above, &sum);
  return {static_cast<uint32_t>(key >> 32), ~static_cast<uint32_t>(key),
          above + sum};
}

void refuse_logits() {
  throw Error(ErrorKind::kInput,
              "model: expected numbers as logits, found NaN or infinity; "
              "the weights are damaged or overflow in this dtype");
}

SampledToken sample_token(const SampleInput& input, SamplerScratch& scratch) {
  const Sampling& s = *input.sampling;
  const int vocab = input.vocab;
  const double lse = log_sum_exp(input.logits, vocab);
  if (!std::isfinite(lse)) refuse_logits();
  const float* logits = input.logits;
  if (changes_logits(s)) {
    scratch.logits.assign(logits, logits + vocab);
    change_logits(input, scratch.logits.data());
    logits = scratch.logits.data();
  }
  const float max = kernels().max(logits, vocab);
  if (max == -std::numeric_limits<float>::infinity()) {
    throw Error(ErrorKind::kUsage,
                "sampling: expected a token to choose from, found all banned; "
                "relax logit_bias");
  }
  SampledToken token;
  if (s.temperature == 0) {
    token.id = most_probable(logits, vocab);
  } else {
    scratch.weights.resize(static_cast<size_t>(vocab));
    const uint64_t total = kernels().exp_weights(
        logits, vocab, max,
        static_cast<float>(std::min(1.0 / s.temperature, kMaxInverse)),
        scratch.weights.data());
    const double u = draw_uniform(input.key, input.draw);
    const auto target_of = [u](uint64_t mass) {
      return std::min(static_cast<uint64_t>(u * static_cast<double>(mass)),
                      mass - 1);
    };
    if (s.top_p < 1) {
      const Nucleus nucleus =
          find_nucleus(scratch.weights, total, s.top_p, scratch);
      token.id =
          find_member(scratch.chosen_keys(), nucleus, target_of(nucleus.mass));
    } else {
      token.id = find_drawn(scratch.weights, target_of(total));
    }
  }
  token.logprob = static_cast<float>(double{input.logits[token.id]} - lse);
  return token;
}

}  // namespace selfalign::engine
