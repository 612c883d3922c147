// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/profile.h"
#include "engine/parallel.h"

namespace selfalign::engine {

template <typename T>
CpuAttention<T>::CpuAttention(const formats::ModelConfig& config,
                              const Kernels& set, int64_t max_context)
    : config_(config),
      all_(set),
      set_(set.of<T>()),
      floats_(set.of<float>()),
      dim_(round_up(config.head_dim, kBlock)),
      group_(config.num_heads / config.num_kv_heads) {
  const c10::InferenceMode mode;
  rope_ = model::make_rope(config_, max_context, at::kCPU);
}

template <typename T>
void CpuAttention<T>::run(int64_t layer, const PackedLayer<T>& weights,
                          const Pass& pass, float* qkv, int64_t qkv_stride,
                          T* seen, int64_t seen_stride) {
  const Work work{layer,
                  weights,
                  pass,
                  rope_.of(config_, layer),
                  config_.window_of(layer),
                  qkv,
                  qkv_stride,
                  seen,
                  seen_stride};
  {
    const ProfilePart part("keys and values");
    parallel_for(pass.num_tokens(),
                 [&](int64_t token) { prepare_token(work, token); });
    if (pass.has_codes) encode_pages(work);
  }
  const auto begin =
      is_profiled() ? ProfileClock::now() : ProfileClock::time_point();
  attend(work);
  if (begin == ProfileClock::time_point()) return;
  profile_split(ProfileClock::now() - begin, "prefix",
                prefix_time_.exchange(0, std::memory_order_relaxed), "suffix",
                suffix_time_.exchange(0, std::memory_order_relaxed));
}

// One head of a token, rotated to its place.
template <typename T>
void CpuAttention<T>::rotate(const Work& work, const Place& place,
                             const float* x, T* out) const {
  int64_t rotated = 0;
  if (work.rope != nullptr) {
    rotated = config_.rotary_dim;
    const int64_t at = place.position * rotated;
    set_.rope(x, work.rope->cos.template const_data_ptr<float>() + at,
              work.rope->sin.template const_data_ptr<float>() + at, rotated,
              out);
  }
  if (rotated == config_.head_dim) return;
  set_.convert(x + rotated, config_.head_dim - rotated, 1.0f, out + rotated);
}

// Norms of its queries and keys; keys, rotated, and values into its sequence's
// page.
template <typename T>
void CpuAttention<T>::prepare_token(const Work& work, int64_t token) const {
  const Place& place = work.pass.places[static_cast<size_t>(token)];
  const CpuSequence& own = *work.pass.owns[place.span];
  const int64_t page = place.index / kPageKeys;
  const int64_t slot = place.index % kPageKeys;
  const int64_t head_dim = config_.head_dim;
  float* row = work.qkv + token * work.qkv_stride;
  const auto normalize = [&](const PackedNorm& norm, float* x, int64_t heads) {
    if (!norm.is_there()) return;
    if (config_.qk_norm == formats::QkNorm::kAllHeads) {
      return norm.run(floats_, x, heads * head_dim, x);
    }
    const bool each = config_.qk_norm == formats::QkNorm::kEachHead;
    for (int64_t j = 0; j < heads; ++j) {
      norm.run(floats_, x + j * head_dim, head_dim, x + j * head_dim,
               each ? j * head_dim : 0);
    }
  };
  normalize(work.weights.q_norm, row, config_.num_heads);
  normalize(work.weights.k_norm, row + config_.num_heads * head_dim,
            config_.num_kv_heads);
  Aligned<T> head(head_dim);
  for (int64_t j = 0; j < config_.num_kv_heads; ++j) {
    const float* key = row + (config_.num_heads + j) * head_dim;
    rotate(work, place, key, head.data());
    T* keys = own.keys<T>(page, work.layer, j) + slot / kBlock * kBlock * dim_;
    for (int64_t d = 0; d < head_dim; ++d) {
      keys[packed_index<T>(d, slot % kBlock)] = head[d];
    }
    const float* value = key + config_.num_kv_heads * head_dim;
    set_.convert(value, head_dim, 1.0f, head.data());
    T* values = own.values<T>(page, work.layer, j);
    for (int64_t d = 0; d < head_dim; ++d) {
      values[d / kBlock * kBlock * kPageKeys +
             packed_index<T>(slot, d % kBlock)] = head[d];
    }
  }
}

// A task takes a run of the query rows of a key-value head.
template <typename T>
void CpuAttention<T>::attend(const Work& work) const {
  const int64_t rows = work.pass.num_tokens() * group_;
  const int64_t wanted_tasks = int64_t{3} * num_threads();
  const int64_t each = std::clamp<int64_t>(
      rows * config_.num_kv_heads / wanted_tasks / 6 * 6, 6, kMaxRows);
  const int64_t runs = (rows + each - 1) / each;
  parallel_for(runs * config_.num_kv_heads, [&](int64_t task) {
    const int64_t begin = task % runs * each;
    attend_rows(work, {task / runs, begin, std::min(rows, begin + each)});
  });
}

// Of what this layer filled to the end.
template <typename T>
void CpuAttention<T>::encode_pages(const Work& work) const {
  struct Task {
    const CpuSequence* sequence;
    int64_t page, kv_head;
  };
  std::vector<Task> tasks;
  size_t next = 0;  // span
  for (const Place& place : work.pass.places) {
    if (place.span != next) continue;
    const CpuSequence* own = work.pass.owns[next++];
    if (!own->has_codes()) continue;
    for (int64_t page = place.index / kPageKeys; page < own->num_coded();
         ++page) {
      for (int64_t j = 0; j < config_.num_kv_heads; ++j) {
        tasks.push_back({own, page, j});
      }
    }
  }
  parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const Task& task = tasks[static_cast<size_t>(i)];
    task.sequence->encode(set_, task.page, work.layer, task.kv_head);
  });
}

template <typename T>
void CpuAttention<T>::attend_rows(const Work& work, Rows rows) const {
  const int64_t head_dim = config_.head_dim;
  const int64_t count = rows.end - rows.begin;
  Aligned<T> q(count * dim_);
  Aligned<float> out(count * dim_);
  float max[kMaxRows], sum[kMaxRows] = {};
  std::fill_n(max, kMaxRows, -std::numeric_limits<float>::infinity());
  const auto& places = work.pass.places;
  const auto source = [&](int64_t row) {  // column of the row's head
    return (rows.kv_head * group_ + row % group_) * head_dim;
  };
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t token = row / group_;
    rotate(work, places[static_cast<size_t>(token)],
           work.qkv + token * work.qkv_stride + source(row),
           &q[(row - rows.begin) * dim_]);
  }
  Aligned<uint8_t> q_codes;
  float q_scales[kMaxRows];
  if (work.pass.has_codes) {
    q_codes.resize(static_cast<size_t>(count * dim_));
    for (int64_t i = 0; i < count; ++i) {  // `out` is not written to yet
      q_scales[i] =
          set_.quantize(&q[i * dim_], dim_, &out[i * dim_], &q_codes[i * dim_]);
    }
    std::fill(out.begin(), out.end(), 0.0f);
    rows.q_codes = q_codes.data();
    rows.q_scales = q_scales;
  }
  AttendArgs<T> args{
      .q = q.data(),
      .rows = count,
      .dim = dim_,
      // In float32 where it is the head's: the bits it always had.
      .scale = config_.attention_scale != 0.0
                   ? static_cast<float>(config_.attention_scale)
                   : 1.0f / std::sqrt(static_cast<float>(head_dim)),
      .softcap = static_cast<float>(config_.attention_softcap),
      .out = out.data(),
      .max = max,
      .sum = sum};
  const bool is_timed = is_profiled();
  auto begin = is_timed ? ProfileClock::now() : ProfileClock::time_point();
  // Adds the time since `begin`, which is now then.
  const auto time = [&](std::atomic<int64_t>& all) {
    if (!is_timed) return;
    const auto now = ProfileClock::now();
    all.fetch_add((now - begin).count(), std::memory_order_relaxed);
    begin = now;
  };
  for (size_t depth = 0; depth < work.pass.most_befores; ++depth) {
    attend_before(work, rows, args, depth);
  }
  if (work.pass.most_befores > 0) time(prefix_time_);
  // Those of one text attend together; where its pages have codes, those of one
  // page, which see all before it in these.
  const auto is_beside = [&](int64_t row, int64_t other) {
    const Place& a = places[static_cast<size_t>(row / group_)];
    const Place& b = places[static_cast<size_t>(other / group_)];
    return a.span == b.span && (!work.pass.owns[a.span]->has_codes() ||
                                a.index / kPageKeys == b.index / kPageKeys);
  };
  for (int64_t row = rows.begin; row < rows.end;) {
    int64_t last = row;
    while (last < rows.end && is_beside(row, last)) ++last;
    attend_own(work, rows, args, row, last);
    row = last;
  }
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t i = row - rows.begin;
    set_.convert(&out[i * dim_], head_dim, 1.0f / sum[i],
                 work.seen + row / group_ * work.seen_stride + source(row));
  }
  time(suffix_time_);
}

// Of the rows of `args`, `count` behind the first `skipped`.
template <typename T>
void select_rows(AttendArgs<T>& args, int64_t skipped, int64_t count) {
  args.rows = count;
  args.q += skipped * args.dim;
  args.out += skipped * args.dim;
  args.max += skipped;
  args.sum += skipped;
}

// What stands before texts, `depth` of these behind the beginning. Rows that
// are beside each other attend together to what they share.
template <typename T>
void CpuAttention<T>::attend_before(const Work& work, const Rows& rows,
                                    AttendArgs<T> args, size_t depth) const {
  const auto seen = [&](int64_t row) -> const CpuSequence* {
    const Place& place = work.pass.places[static_cast<size_t>(row / group_)];
    const auto& befores = work.pass.befores[place.span];
    return depth < befores.size() ? befores[depth] : nullptr;
  };
  for (int64_t first = rows.begin, last = first; first < rows.end;
       first = last) {
    const CpuSequence* sequence = seen(first);
    while (last < rows.end && seen(last) == sequence) ++last;
    if (sequence == nullptr) continue;
    AttendArgs<T> some = args;
    select_rows(some, first - rows.begin, last - first);
    attend_pages(work, rows, some,
                 {*sequence, sequence->length(), sequence->num_coded(), first},
                 nullptr);
  }
}

// Rows first..last-1 are of one text, whose last row sees the most.
template <typename T>
void CpuAttention<T>::attend_own(const Work& work, const Rows& rows,
                                 AttendArgs<T> args, int64_t first,
                                 int64_t last) const {
  select_rows(args, first - rows.begin, last - first);
  const auto place = [&](int64_t row) -> const Place& {
    return work.pass.places[static_cast<size_t>(row / group_)];
  };
  int64_t visible[kMaxRows];
  for (int64_t row = first; row < last; ++row) {
    visible[row - first] = place(row).index + 1;
  }
  args.visible = visible;
  const Place& begin = place(first);
  const CpuSequence& own = *work.pass.owns[begin.span];
  attend_pages(work, rows, args,
               {own, visible[last - first - 1],
                own.has_codes() ? begin.index / kPageKeys : 0, first},
               visible);
}

// `visible` counts down page by page, and so does what a window hides.
template <typename T>
void CpuAttention<T>::attend_pages(const Work& work, const Rows& rows,
                                   AttendArgs<T> args, const Pages& pages,
                                   int64_t* visible) const {
  const CpuSequence& sequence = pages.sequence;
  int64_t hidden[kMaxRows];
  int64_t least_hidden = 0;
  if (work.window > 0) {
    const int64_t before = sequence.offset();
    for (int64_t i = 0; i < args.rows; ++i) {
      const Place& place =
          work.pass.places[static_cast<size_t>((pages.first_row + i) / group_)];
      hidden[i] = place.position + 1 - work.window - before;
      least_hidden = i == 0 ? hidden[i] : std::min(least_hidden, hidden[i]);
    }
    args.hidden = hidden;
  }
  for (int64_t page = 0; page * kPageKeys < pages.num_keys; ++page) {
    if (least_hidden >= kPageKeys) {
      // The page is out of all windows.
    } else if (page < pages.num_coded) {
      attend_codes(work, rows, args, pages, page);
    } else {
      args.keys = sequence.keys<T>(page, work.layer, rows.kv_head);
      args.values = sequence.values<T>(page, work.layer, rows.kv_head);
      args.num_keys = std::min(kPageKeys, pages.num_keys - page * kPageKeys);
      args.next = (page + 1) * kPageKeys < pages.num_keys
                      ? sequence.keys<T>(page + 1, work.layer, rows.kv_head)
                      : nullptr;
      set_.attend(args);
    }
    least_hidden -= kPageKeys;
    for (int64_t i = 0; i < args.rows; ++i) {
      if (visible != nullptr) visible[i] -= kPageKeys;
      if (args.hidden != nullptr) hidden[i] -= kPageKeys;
    }
  }
}

template <typename T>
void CpuAttention<T>::attend_codes(const Work& work, const Rows& rows,
                                   const AttendArgs<T>& args,
                                   const Pages& pages, int64_t page) const {
  const auto codes_of = [&](int64_t index) {
    return pages.sequence.codes(index, work.layer, rows.kv_head);
  };
  CodeAttendArgs codes;
  codes.rows = args.rows;
  codes.dim = args.dim;
  codes.scale = args.scale;
  codes.softcap = args.softcap;
  codes.num_keys = kPageKeys;
  codes.hidden = args.hidden;
  codes.out = args.out;
  codes.max = args.max;
  codes.sum = args.sum;
  const int64_t skipped = pages.first_row - rows.begin;
  codes.q_codes = rows.q_codes + skipped * dim_;
  codes.q_scales = rows.q_scales + skipped;
  codes.page = codes_of(page);
  if (page + 1 < pages.num_coded) codes.next_page = codes_of(page + 1).keys;
  all_.attend_codes(codes);
}

template class CpuAttention<float>;
template class CpuAttention<Bf16>;

}  // namespace selfalign::engine
