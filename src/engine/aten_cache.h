// SPDX-License-Identifier: Apache-2.0
// Keys and values of the ATen decoder. A row's are in pages of 256 tokens that
// are handed out as it grows and come back when it ends; pages stand in slabs
// of a fixed number, since a pass attends to a whole slab in one call whose
// sizes must not depend on who has a page in it. A prefix is one tensor, which
// all rows read at once, and grows as it is filled.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/decoder.h"

namespace selfalign::engine {

constexpr int64_t kAtenPageKeys = 256;
// Pages of a slab at most; where there are fewer slots, as many as these.
constexpr int64_t kAtenSlabPages = 16;

// Bytes that the device can still hand out; nothing where it does not say.
using FreeMemory = std::function<std::optional<uint64_t>()>;

struct AtenShape {
  int64_t num_layers = 0, num_kv_heads = 0, head_dim = 0;
  at::TensorOptions options;  // device and type
  int64_t token_bytes() const;
};

// Error kResources if `bytes` more are not there.
void require_cache_memory(int64_t bytes, const FreeMemory& free_memory);

struct AtenSlab {
  at::Tensor keys,
      values;              // [layers, pages, kv_heads, kAtenPageKeys, head_dim]
  std::vector<bool> used;  // [pages]
};

// A page in a pool.
struct AtenPage {
  int64_t slab = 0, page = 0;
};

// Owns all pages. A slab without a page in use goes back to the device, all but
// one.
class AtenPool {
 public:
  AtenPool(const AtenShape& shape, int64_t slab_pages, FreeMemory free_memory)
      : shape_(shape),
        slab_pages_(slab_pages),
        free_memory_(std::move(free_memory)) {}
  const AtenShape& shape() const { return shape_; }
  int64_t slab_pages() const { return slab_pages_; }
  // Its tensors are undefined where it went back.
  const AtenSlab& slab(int64_t i) const { return slabs_.at(size_t(i)); }
  int64_t num_slabs() const { return static_cast<int64_t>(slabs_.size()); }
  int64_t bytes() const;  // of all slabs

  // All zero: what another text left there, be it no number, is of no effect.
  AtenPage take();
  void give_back(const AtenPage& page);

 private:
  int64_t slab_bytes() const;
  AtenSlab make_slab() const;

  AtenShape shape_;
  int64_t slab_pages_;
  FreeMemory free_memory_;
  std::vector<AtenSlab> slabs_;
};

class AtenSequence : public Sequence {
 public:
  AtenSequence(int64_t max_tokens, const Sequence* before)
      : Sequence(before), max_tokens_(max_tokens) {}
  AtenSequence(const AtenSequence&) = delete;
  AtenSequence& operator=(const AtenSequence&) = delete;

  std::unique_ptr<Sequence> cut_start(int64_t length) override;  // refuses
  // Makes room for tokens up to `length`.
  void reserve(int64_t length);
  // So many more are held now, which were stored for every layer.
  void append(int64_t count) { length_ += count; }
  // k, v [tokens, kv_heads, head_dim] of the tokens from `first` on, for which
  // there is room.
  void store(int64_t layer, int64_t first, const at::Tensor& k,
             const at::Tensor& v);

  // Of one page, [1, kv_heads, kAtenPageKeys, head_dim], to be written to.
  virtual at::Tensor keys(int64_t layer, int64_t page) const = 0;
  virtual at::Tensor values(int64_t layer, int64_t page) const = 0;

 protected:
  virtual void grow(int64_t length) = 0;

 private:
  int64_t max_tokens_;
};

// Of a row.
class AtenRow : public AtenSequence {
 public:
  // slot: among those that are decoded together; slot_used[slot] is reset at
  // the end.
  AtenRow(std::shared_ptr<AtenPool> pool, int64_t max_tokens,
          const Sequence* before, int64_t slot,
          std::shared_ptr<std::vector<bool>> slot_used)
      : AtenSequence(max_tokens, before),
        pool_(std::move(pool)),
        slot_(slot),
        slot_used_(std::move(slot_used)) {}
  ~AtenRow() override;

  int64_t slot() const { return slot_; }
  const std::vector<AtenPage>& pages() const { return pages_; }
  void truncate(int64_t length) override;
  at::Tensor keys(int64_t layer, int64_t page) const override;
  at::Tensor values(int64_t layer, int64_t page) const override;

 protected:
  void grow(int64_t length) override;

 private:
  std::shared_ptr<AtenPool> pool_;
  int64_t slot_;
  std::shared_ptr<std::vector<bool>> slot_used_;
  std::vector<AtenPage> pages_;
};

// Of a prefix. `bytes` counts what all prefixes together hold.
class AtenPrefix : public AtenSequence {
 public:
  AtenPrefix(const AtenShape& shape, int64_t max_tokens, FreeMemory free_memory,
             std::shared_ptr<int64_t> bytes);
  ~AtenPrefix() override;

  void truncate(int64_t length) override { length_ = length; }
  at::Tensor keys(int64_t layer, int64_t page) const override;
  at::Tensor values(int64_t layer, int64_t page) const override;
  // [1, kv_heads, length, head_dim]
  at::Tensor all_keys(int64_t layer) const;
  at::Tensor all_values(int64_t layer) const;

 protected:
  void grow(int64_t length) override;

 private:
  int64_t capacity() const { return keys_.size(2); }

  AtenShape shape_;
  int64_t max_tokens_;
  FreeMemory free_memory_;
  std::shared_ptr<int64_t> bytes_;
  at::Tensor keys_, values_;  // [layers, kv_heads, capacity, head_dim]
};

}  // namespace selfalign::engine
