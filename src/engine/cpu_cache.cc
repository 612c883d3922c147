// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/free_memory.h"

namespace selfalign::engine {
namespace {

constexpr int64_t kSlabBytes = int64_t{32} << 20;
constexpr int64_t kReserveBytes = int64_t{128} << 20;  // left to the system
constexpr size_t kAlignment = size_t{2} << 20;         // a large page's

[[noreturn]] void no_memory(int64_t bytes) {
  throw Error(ErrorKind::kResources,
              str("key-value cache: expected ", bytes >> 20,
                  " MiB more of memory, found less; use fewer slots or a "
                  "shorter context"));
}

}  // namespace

void PagePool::Free::operator()(std::byte* p) const { std::free(p); }

std::byte* PagePool::take() {
  if (free_.empty()) {
    const int64_t page = page_bytes_;
    const int64_t count = std::max<int64_t>(1, kSlabBytes / page);
    const auto available = free_memory();
    if (available && uint64_t(count * page + kReserveBytes) > *available) {
      no_memory(count * page);
    }
    // So much at once is the system's own zeros, and nobody's before it is
    // written to.
    const auto bytes = static_cast<size_t>(count * page);
    size_t room = bytes + kAlignment;
    void* at = std::calloc(1, room);
    if (at == nullptr) no_memory(count * page);
    slabs_.emplace_back(static_cast<std::byte*>(at));
    bytes_ += count * page;
    std::align(kAlignment, bytes, at, room);
    auto* slab = static_cast<std::byte*>(at);
    // Fewer translations to look up; no harm where the system has none.
    ::madvise(slab, bytes, MADV_HUGEPAGE);
    for (int64_t i = count - 1; i >= 0; --i) free_.push_back(slab + i * page);
  }
  std::byte* page = free_.back();
  free_.pop_back();
  return page;
}

void CpuSequence::truncate(int64_t length) {
  SELFALIGN_CHECK(length <= length_, length, " of ", length_);
  length_ = length;
  while ((num_pages() - 1) * kPageKeys >= length && !pages_.empty()) {
    cache_->pages.give_back(pages_.back());
    pages_.pop_back();
  }
  while (num_coded() * kPageKeys > length) {
    cache_->codes.give_back(codes_.back());
    codes_.pop_back();
  }
}

std::unique_ptr<Sequence> CpuSequence::cut_start(int64_t length) {
  SELFALIGN_CHECK(length % kPageKeys == 0 && length <= max_tokens_, length,
                  " of ", max_tokens_);
  auto start =
      std::make_unique<CpuSequence>(cache_, length, has_codes_, before_);
  const auto move_first = [](std::vector<std::byte*>& from, int64_t count,
                             std::vector<std::byte*>& to) {
    const auto end = from.begin() + std::min<int64_t>(count, std::ssize(from));
    to.assign(from.begin(), end);
    from.erase(from.begin(), end);
  };
  move_first(pages_, length / kPageKeys, start->pages_);
  move_first(codes_, length / kPageKeys, start->codes_);
  start->length_ = std::min(length, length_);
  length_ -= start->length_;
  max_tokens_ -= length;
  before_ = start.get();
  return start;
}

void CpuSequence::extend(int64_t count) {
  SELFALIGN_CHECK(length_ + count <= max_tokens_, "sequence of ", length_,
                  " tokens and ", count, " more");
  while (num_pages() * kPageKeys < length_ + count) {
    pages_.push_back(cache_->pages.take());
  }
  length_ += count;
  while (has_codes_ && (num_coded() + 1) * kPageKeys <= length_) {
    codes_.push_back(cache_->codes.take());
  }
}

}  // namespace selfalign::engine
