// SPDX-License-Identifier: Apache-2.0
#include "engine/aten_cache.h"

#include <algorithm>

#include "base/error.h"

namespace selfalign::engine {
namespace {

// Left to the products of a pass.
constexpr int64_t kReserveBytes = int64_t{128} << 20;

int64_t pages_of(int64_t tokens) {
  return (tokens + kAtenPageKeys - 1) / kAtenPageKeys;
}

at::Tensor empty_cache(const AtenShape& shape,
                       const std::vector<int64_t>& sizes) {
  try {
    return at::empty(sizes, shape.options);
  } catch (const c10::Error& error) {  // as the device says that it is full
    throw Error(
        ErrorKind::kResources,
        str("key-value cache: no memory for it on ",
            shape.options.device().str(), " (", error.what_without_backtrace(),
            "); use fewer slots or a shorter context"));
  }
}

bool is_empty(const AtenSlab& slab) {
  return std::find(slab.used.begin(), slab.used.end(), true) == slab.used.end();
}

}  // namespace

int64_t AtenShape::token_bytes() const {
  return 2 * num_layers * num_kv_heads * head_dim *
         static_cast<int64_t>(options.dtype().itemsize());
}

void require_cache_memory(int64_t bytes, const FreeMemory& free_memory) {
  const auto available = free_memory();
  if (!available || uint64_t(bytes + kReserveBytes) <= *available) return;
  throw Error(ErrorKind::kResources,
              str("key-value cache: expected ", (bytes + kReserveBytes) >> 20,
                  " MiB more of memory on the device, found ", *available >> 20,
                  " MiB free; use fewer slots (num_slots) or a shorter context "
                  "(max_context), or end what else computes there"));
}

int64_t AtenPool::slab_bytes() const {
  return slab_pages_ * kAtenPageKeys * shape_.token_bytes();
}

int64_t AtenPool::bytes() const {
  const auto there =
      std::count_if(slabs_.begin(), slabs_.end(),
                    [](const AtenSlab& s) { return s.keys.defined(); });
  return there * slab_bytes();
}

AtenSlab AtenPool::make_slab() const {
  require_cache_memory(slab_bytes(), free_memory_);
  const std::vector<int64_t> sizes = {shape_.num_layers, slab_pages_,
                                      shape_.num_kv_heads, kAtenPageKeys,
                                      shape_.head_dim};
  AtenSlab slab;
  slab.keys = empty_cache(shape_, sizes);
  slab.values = empty_cache(shape_, sizes);
  slab.used.assign(size_t(slab_pages_), false);
  return slab;
}

// The first free one, so that few slabs are at work.
AtenPage AtenPool::take() {
  auto slab = std::find_if(slabs_.begin(), slabs_.end(), [](const AtenSlab& s) {
    return s.keys.defined() &&
           std::find(s.used.begin(), s.used.end(), false) != s.used.end();
  });
  if (slab == slabs_.end()) {
    AtenSlab made = make_slab();
    slab = std::find_if(slabs_.begin(), slabs_.end(),
                        [](const AtenSlab& s) { return !s.keys.defined(); });
    if (slab == slabs_.end()) slab = slabs_.insert(slab, AtenSlab());
    *slab = std::move(made);
  }
  const auto page = std::find(slab->used.begin(), slab->used.end(), false);
  *page = true;
  const AtenPage taken{slab - slabs_.begin(), page - slab->used.begin()};
  slab->keys.select(1, taken.page).zero_();
  slab->values.select(1, taken.page).zero_();
  return taken;
}

void AtenPool::give_back(const AtenPage& page) {
  AtenSlab& slab = slabs_.at(size_t(page.slab));
  slab.used.at(size_t(page.page)) = false;
  if (!is_empty(slab)) return;
  for (AtenSlab& other : slabs_) {
    if (&other == &slab || !other.keys.defined() || !is_empty(other)) continue;
    slab = AtenSlab();
    return;
  }
}

std::unique_ptr<Sequence> AtenSequence::cut_start(int64_t /*length*/) {
  SELFALIGN_CHECK(false, "a prefix behind a prefix");
  return nullptr;
}

void AtenSequence::reserve(int64_t length) {
  SELFALIGN_CHECK(length <= max_tokens_, "sequence of ", length, " tokens of ",
                  max_tokens_);
  grow(length);
}

void AtenSequence::store(int64_t layer, int64_t first, const at::Tensor& k,
                         const at::Tensor& v) {
  const at::Tensor by_head_k = k.transpose(0, 1).unsqueeze(0);
  const at::Tensor by_head_v = v.transpose(0, 1).unsqueeze(0);
  const int64_t count = k.size(0);
  for (int64_t done = 0; done < count;) {
    const int64_t page = (first + done) / kAtenPageKeys;
    const int64_t begin = (first + done) % kAtenPageKeys;
    const int64_t fits = std::min(count - done, kAtenPageKeys - begin);
    keys(layer, page)
        .slice(2, begin, begin + fits)
        .copy_(by_head_k.slice(2, done, done + fits));
    values(layer, page)
        .slice(2, begin, begin + fits)
        .copy_(by_head_v.slice(2, done, done + fits));
    done += fits;
  }
}

AtenRow::~AtenRow() {
  truncate(0);
  (*slot_used_)[size_t(slot_)] = false;
}

void AtenRow::truncate(int64_t length) {
  length_ = length;
  while (static_cast<int64_t>(pages_.size()) > pages_of(length)) {
    pool_->give_back(pages_.back());
    pages_.pop_back();
  }
}

void AtenRow::grow(int64_t length) {
  while (static_cast<int64_t>(pages_.size()) < pages_of(length)) {
    pages_.push_back(pool_->take());
  }
}

at::Tensor AtenRow::keys(int64_t layer, int64_t page) const {
  const AtenPage& at = pages_.at(size_t(page));
  return pool_->slab(at.slab).keys[layer].slice(0, at.page, at.page + 1);
}

at::Tensor AtenRow::values(int64_t layer, int64_t page) const {
  const AtenPage& at = pages_.at(size_t(page));
  return pool_->slab(at.slab).values[layer].slice(0, at.page, at.page + 1);
}

AtenPrefix::AtenPrefix(const AtenShape& shape, int64_t max_tokens,
                       FreeMemory free_memory, std::shared_ptr<int64_t> bytes)
    : AtenSequence(max_tokens, nullptr),
      shape_(shape),
      max_tokens_(max_tokens),
      free_memory_(std::move(free_memory)),
      bytes_(std::move(bytes)),
      keys_(at::empty({shape.num_layers, shape.num_kv_heads, 0, shape.head_dim},
                      shape.options)),
      values_(at::empty_like(keys_)) {}

AtenPrefix::~AtenPrefix() { *bytes_ -= capacity() * shape_.token_bytes(); }

// By half again at least, so that a long one is copied a few times only.
void AtenPrefix::grow(int64_t length) {
  if (length <= capacity()) return;
  const int64_t pages = std::max(
      pages_of(length),
      std::min(pages_of(capacity() + capacity() / 2), pages_of(max_tokens_)));
  const std::vector<int64_t> sizes = {shape_.num_layers, shape_.num_kv_heads,
                                      pages * kAtenPageKeys, shape_.head_dim};
  require_cache_memory(pages * kAtenPageKeys * shape_.token_bytes(),
                       free_memory_);
  const int64_t before = capacity();
  for (at::Tensor* held : {&keys_, &values_}) {
    at::Tensor grown = empty_cache(shape_, sizes);
    grown.slice(2, 0, before).copy_(*held);
    grown.slice(2, before).zero_();
    *held = std::move(grown);
  }
  *bytes_ += (capacity() - before) * shape_.token_bytes();
}

at::Tensor AtenPrefix::keys(int64_t layer, int64_t page) const {
  return keys_[layer]
      .slice(1, page * kAtenPageKeys, (page + 1) * kAtenPageKeys)
      .unsqueeze(0);
}

at::Tensor AtenPrefix::values(int64_t layer, int64_t page) const {
  return values_[layer]
      .slice(1, page * kAtenPageKeys, (page + 1) * kAtenPageKeys)
      .unsqueeze(0);
}

at::Tensor AtenPrefix::all_keys(int64_t layer) const {
  return keys_[layer].slice(1, 0, length_).unsqueeze(0);
}

at::Tensor AtenPrefix::all_values(int64_t layer) const {
  return values_[layer].slice(1, 0, length_).unsqueeze(0);
}

}  // namespace selfalign::engine
