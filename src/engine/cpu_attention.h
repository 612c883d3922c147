// SPDX-License-Identifier: Apache-2.0
// Attention of the CPU decoder: keys and values into pages, and query rows of
// many texts over the pages of shared prefixes and of their own text.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/cpu_cache.h"
#include "engine/cpu_layers.h"
#include "engine/kernels.h"
#include "model/transformer.h"

namespace selfalign::engine {

// One token of a pass.
struct Place {
  int64_t id = 0;
  int64_t position = 0;  // in the text
  size_t span = 0;
  int64_t index = 0;  // in its own sequence
};

// The tokens of a pass and what they see.
struct Pass {
  std::vector<Place> places;       // [tokens]
  std::vector<CpuSequence*> owns;  // [spans]
  // [spans]: what stands before each, the text's beginning first.
  std::vector<std::vector<const CpuSequence*>> befores;
  size_t most_befores = 0;
  bool has_codes = false;  // one of all these

  void clear() {
    places.clear();
    owns.clear();
    befores.clear();
    most_befores = 0;
    has_codes = false;
  }
  void add(CpuSequence* own) {
    owns.push_back(own);
    has_codes = has_codes || own->has_codes();
    std::vector<const CpuSequence*>& all = befores.emplace_back();
    for (auto* at = own->before(); at != nullptr; at = at->before()) {
      all.insert(all.begin(), at);
      has_codes = has_codes || at->has_codes();
    }
    most_befores = std::max(most_befores, all.size());
  }
  int64_t num_tokens() const { return static_cast<int64_t>(places.size()); }
};

template <typename T>
class CpuAttention {
 public:
  // For positions below `max_context`. `set` is kept by reference.
  CpuAttention(const formats::ModelConfig& config, const Kernels& set,
               int64_t max_context);

  // qkv [tokens, qkv_stride]: queries, keys and values of all heads, before
  // norms and rotation, which are done here. seen [tokens, seen_stride]: what
  // each query head saw. The keys and values go into the sequences' pages.
  void run(int64_t layer, const PackedLayer<T>& weights, const Pass& pass,
           float* qkv, int64_t qkv_stride, T* seen, int64_t seen_stride);

  int64_t dim() const { return dim_; }  // head size in whole blocks

 private:
  // What a call of run() works on.
  struct Work {
    int64_t layer;
    const PackedLayer<T>& weights;
    const Pass& pass;
    const model::RopeTable* rope;  // null: positions are not rotated in
    int64_t window;                // 0: none
    float* qkv;
    int64_t qkv_stride;
    T* seen;
    int64_t seen_stride;
  };
  // A run of query rows of one key-value head: (token, head of its group)
  // pairs, token by token.
  struct Rows {
    int64_t kv_head, begin, end;
    // Their queries in whole numbers, where pages have codes.
    const uint8_t* q_codes = nullptr;
    const float* q_scales = nullptr;
  };
  // Pages of a sequence that rows attend to.
  struct Pages {
    const CpuSequence& sequence;
    int64_t num_keys;   // the first of the sequence
    int64_t num_coded;  // pages, the first of them, seen in whole numbers
    int64_t first_row;  // of those who attend
  };

  void prepare_token(const Work& work, int64_t token) const;
  void rotate(const Work& work, const Place& place, const float* x,
              T* out) const;
  void attend(const Work& work) const;
  void attend_rows(const Work& work, Rows rows) const;
  void encode_pages(const Work& work) const;
  void attend_before(const Work& work, const Rows& rows, AttendArgs<T> args,
                     size_t depth) const;
  void attend_own(const Work& work, const Rows& rows, AttendArgs<T> args,
                  int64_t first, int64_t last) const;
  void attend_pages(const Work& work, const Rows& rows, AttendArgs<T> args,
                    const Pages& pages, int64_t* visible) const;
  void attend_codes(const Work& work, const Rows& rows,
                    const AttendArgs<T>& args, const Pages& pages,
                    int64_t page) const;

  const formats::ModelConfig config_;
  const Kernels& all_;
  const ModelKernels<T>& set_;
  const ModelKernels<float>& floats_;
  int64_t dim_;
  int64_t group_;  // query heads of a key-value head
  model::Rope rope_;
  // Of a profile: what the threads of a call took for each, in clock ticks.
  mutable std::atomic<int64_t> prefix_time_ = 0, suffix_time_ = 0;
};

}  // namespace selfalign::engine
