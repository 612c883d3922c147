// SPDX-License-Identifier: Apache-2.0
// Keys and values of sequences on a CPU, in pages of 64 tokens that are handed
// out as texts grow and come back when they end, so that memory follows what
// is held and nothing is ever copied.
//
// A page holds, for each layer and key-value head, a packed matrix of keys
// (depth: head size, columns: keys) and one of values (depth: keys, columns:
// head size); see kernels.h. The head size is rounded up to whole blocks. A
// full page may have the same in whole numbers of 8 bits beside it (CodePage).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/code_page.h"
#include "engine/decoder.h"
#include "engine/kernels.h"

namespace selfalign::engine {

struct PageShape {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t dim = 0;           // head size rounded up to a multiple of kBlock
  int64_t element_size = 0;  // bytes
  int64_t matrix_bytes() const { return kPageKeys * dim * element_size; }
  int64_t page_bytes() const {
    return num_layers * num_kv_heads * 2 * matrix_bytes();
  }
};

// Owns pages of one size. Memory once taken is kept for later pages.
class PagePool {
 public:
  explicit PagePool(int64_t page_bytes) : page_bytes_(page_bytes) {}

  // All zero, or what an earlier text left (finite numbers). Error kResources
  // if the system has no memory for it.
  std::byte* take();
  void give_back(std::byte* page) { free_.push_back(page); }
  int64_t bytes() const { return bytes_; }  // taken

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  int64_t page_bytes_;
  std::vector<std::unique_ptr<std::byte, Free>> slabs_;
  std::vector<std::byte*> free_;
  int64_t bytes_ = 0;
};

struct CpuCache {
  explicit CpuCache(const PageShape& of)
      : shape(of),
        pages(of.page_bytes()),
        codes(of.num_layers * of.num_kv_heads * code_page_bytes(of.dim)) {}
  int64_t bytes() const { return pages.bytes() + codes.bytes(); }

  const PageShape shape;
  PagePool pages, codes;
};

class CpuSequence : public Sequence {
 public:
  // `has_codes`: there is a CodePage for each full page, which is made as the
  // page becomes full.
  CpuSequence(std::shared_ptr<CpuCache> cache, int64_t max_tokens,
              bool has_codes, const Sequence* before)
      : Sequence(before),
        cache_(std::move(cache)),
        max_tokens_(max_tokens),
        has_codes_(has_codes) {}
  ~CpuSequence() override { truncate(0); }
  CpuSequence(const CpuSequence&) = delete;
  CpuSequence& operator=(const CpuSequence&) = delete;

  const CpuSequence* before() const {
    return static_cast<const CpuSequence*>(Sequence::before());
  }

  void truncate(int64_t length) override;
  std::unique_ptr<Sequence> cut_start(int64_t length) override;
  // Makes room for `count` more tokens, which then count as held.
  void extend(int64_t count);

  int64_t num_pages() const { return static_cast<int64_t>(pages_.size()); }
  // The packed matrices of one page; T has the pool's element size.
  template <typename T>
  T* keys(int64_t page, int64_t layer, int64_t kv_head) const {
    const PageShape& s = cache_->shape;
    return reinterpret_cast<T*>(pages_[static_cast<size_t>(page)] +
                                (layer * s.num_kv_heads + kv_head) * 2 *
                                    s.matrix_bytes());
  }
  template <typename T>
  T* values(int64_t page, int64_t layer, int64_t kv_head) const {
    return keys<T>(page, layer, kv_head) + kPageKeys * cache_->shape.dim;
  }

  bool has_codes() const { return has_codes_; }
  int64_t num_coded() const { return static_cast<int64_t>(codes_.size()); }
  template <typename T>
  void encode(const ModelKernels<T>& set, int64_t page, int64_t layer,
              int64_t kv_head) const {
    set.encode_page(keys<T>(page, layer, kv_head),
                    values<T>(page, layer, kv_head), cache_->shape.dim,
                    codes(page, layer, kv_head));
  }
  CodePage codes(int64_t page, int64_t layer, int64_t kv_head) const {
    return code_page(codes_at(page, layer, kv_head), cache_->shape.dim);
  }

 private:
  std::byte* codes_at(int64_t page, int64_t layer, int64_t kv_head) const {
    const PageShape& s = cache_->shape;
    return codes_[static_cast<size_t>(page)] +
           (layer * s.num_kv_heads + kv_head) * code_page_bytes(s.dim);
  }

  std::shared_ptr<CpuCache> cache_;
  int64_t max_tokens_;
  bool has_codes_;
  std::vector<std::byte*> pages_, codes_;
};

}  // namespace selfalign::engine
