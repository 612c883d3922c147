// SPDX-License-Identifier: Apache-2.0
// Products by tiles, the registers of Intel's AMX, on top of kernels_impl.h and
// under the same rules, for a class of tiles, all of whose functions are static
// (the tiles are the thread's):
//   configure(const TileConfig&)  sizes of all tiles, which become zero
//   release()                     no tiles
//   load<tile>(from, stride)      rows of the tile, so many bytes apart
//   store<tile>(to, stride)
//   dot<Row, sums, rows, weights>()
//                                 to the sums, of a row and a column each, the
//                                 products of pairs of bfloat16 (Row is Bf16)
//                                 or of fours of uint8 and int8 (uint8_t)
//
// A tile is 16 rows of 64 bytes. Packed blocks are such tiles as they lie: a
// row of pairs (or fours) for 16 columns, 16 rows for 64 bytes of depth; and so
// are 64 bytes of depth of 16 rows. Two tiles of rows times two blocks go to
// four tiles of sums, so that what is loaded is used twice. Where fewer than 16
// rows are left, tiles have fewer; where less than 64 bytes of depth are, they
// are taken from copies, filled up with zeros. So each row goes through the
// same steps, of which none looks at another row.
#pragma once

#include "engine/kernels_impl.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

constexpr int kTileHeight = 16;                // rows of a tile
constexpr int kTileBytes = 64;                 // of a row of a tile
constexpr int kHighRows = 2 * kTileHeight;     // rows that are computed at once
constexpr int kWideColumns = 2 * int{kBlock};  // columns of the same

// As the processor reads it; palette 1 is of 8 tiles of 1 KiB.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t reserved[15] = {};
  uint16_t bytes[16] = {};  // of a row
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// Tiles 0 to 3 are sums, of two blocks each of the first rows, then of those
// after 16; 4 and 5 are these rows, 6 and 7 weights. Without rows after 16
// there are no tiles for them.
TileConfig config_of(int64_t rows) {
  const int64_t first = rows < kTileHeight ? rows : kTileHeight;
  const int64_t second = rows - first;
  const int64_t heights[8] = {first, first,  second,      second,
                              first, second, kTileHeight, kTileHeight};
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.rows[tile] = static_cast<uint8_t>(heights[tile]);
    config.bytes[tile] = heights[tile] == 0 ? 0 : kTileBytes;
  }
  return config;
}

// A product that goes by tiles: of so many rows from one on, for which they are
// configured.
template <typename Tiles, typename Args>
struct TileArgs : Args {
  int64_t first_row = 0, num_rows = 0;  // at most kHighRows
};

template <typename Tiles, typename Args>
constexpr int blocks_of(const TileArgs<Tiles, Args>*) {
  return kWideColumns / kBlock;
}

// What a panel is the product of, and what its sums begin with.
template <typename RowType, typename WeightType>
struct TileOperands {
  using Row = RowType;
  using Weight = WeightType;
  const Row* rows;
  int64_t lda;
  const Weight* blocks;
  int64_t depth;
  alignas(64) int32_t first[kWideColumns] = {};
};

template <int kBlocks>
TileOperands<Bf16, Bf16> operands_of(const GemmArgs<Bf16>& args,
                                     int64_t block) {
  return {args.a, args.lda,
          args.packed + (block - args.packed_from) * args.depth * kBlock,
          args.depth};
}

// Rows are 128 too large, so sums begin at -128 times the column's.
template <int kBlocks, typename T>
TileOperands<uint8_t, int8_t> operands_of(const CodeGemmArgs<T>& args,
                                          int64_t block) {
  TileOperands<uint8_t, int8_t> operands{
      args.codes, args.depth, args.packed_codes + block * args.depth * kBlock,
      args.depth};
  for (int j = 0; j < kBlocks * kBlock; ++j) {
    operands.first[j] = -args.offsets[block * kBlock + j];
  }
  return operands;
}

// What a row's sums stand for, to registers.
template <int kBlocks>
void finish_sums(const GemmArgs<Bf16>&, int64_t, int64_t, const int32_t* sums,
                 Vf (&c)[kBlocks * kVectors]) {
  for (int j = 0; j < kBlocks * kVectors; ++j) {
    const Vi sum = *reinterpret_cast<const ViLoad*>(sums + j * kLanes);
    c[j] = (Vf)sum;
  }
}
template <int kBlocks, typename T>
void finish_sums(const CodeGemmArgs<T>& args, int64_t block, int64_t row,
                 const int32_t* sums, Vf (&c)[kBlocks * kVectors]) {
  scale_sums<kBlocks>(args, block, row, sums, c);
}

// 64 bytes of depth: kHigh tiles of rows times kBlocks tiles of weights.
template <typename Tiles, int kHigh, int kBlocks, typename Row, typename Weight>
void tile_step(const Row* rows, int64_t lda, const Weight* weights,
               int64_t block_size) {
  const int64_t stride = lda * int64_t{sizeof(Row)};
  Tiles::template load<4>(rows, stride);
  Tiles::template load<6>(weights, kTileBytes);
  Tiles::template dot<Row, 0, 4, 6>();
  if constexpr (kHigh == 2) {
    Tiles::template load<5>(rows + kTileHeight * lda, stride);
    Tiles::template dot<Row, 2, 5, 6>();
  }
  if constexpr (kBlocks == 2) {
    Tiles::template load<7>(weights + block_size, kTileBytes);
    Tiles::template dot<Row, 1, 4, 7>();
    if constexpr (kHigh == 2) Tiles::template dot<Row, 3, 5, 7>();
  }
}

// The depth that is left from k on.
template <typename Tiles, int kHigh, int kBlocks, typename Operands>
void last_step(const Operands& of, int64_t row, int64_t rows, int64_t k) {
  using Row = typename Operands::Row;
  constexpr int kWidth = kTileBytes / sizeof(Row);
  constexpr int kSize = kWidth * kBlock;
  alignas(64) Row last_rows[kHigh * kTileHeight * kWidth] = {};
  alignas(64) typename Operands::Weight last_weights[kBlocks * kSize] = {};
  const int64_t left = (of.depth - k) * int64_t{sizeof(Row)};
  for (int64_t r = 0; r < rows; ++r) {
    __builtin_memcpy(last_rows + r * kWidth, of.rows + (row + r) * of.lda + k,
                     left);
  }
  for (int64_t b = 0; b < kBlocks; ++b) {
    __builtin_memcpy(last_weights + b * kSize,
                     of.blocks + (b * of.depth + k) * kBlock, left * kBlock);
  }
  tile_step<Tiles, kHigh, kBlocks>(last_rows, kWidth, last_weights, kSize);
}

// Sums [rows][kBlocks * 16] of at most kHigh tiles of rows from `row` on.
template <typename Tiles, int kHigh, int kBlocks, typename Operands>
void tile_sums(const Operands& of, int64_t row, int64_t rows, int32_t* sums) {
  constexpr int kWidth = kTileBytes / sizeof(typename Operands::Row);
  constexpr int kColumns = kBlocks * kBlock;
  // All rows begin alike: they are 0 bytes apart.
  Tiles::template load<0>(of.first, 0);
  if constexpr (kBlocks == 2) Tiles::template load<1>(of.first + kBlock, 0);
  if constexpr (kHigh == 2) Tiles::template load<2>(of.first, 0);
  if constexpr (kHigh * kBlocks == 4) {
    Tiles::template load<3>(of.first + kBlock, 0);
  }
  int64_t k = 0;
  for (; k + kWidth <= of.depth; k += kWidth) {
    tile_step<Tiles, kHigh, kBlocks>(of.rows + row * of.lda + k, of.lda,
                                     of.blocks + k * kBlock, of.depth * kBlock);
  }
  if (k < of.depth) last_step<Tiles, kHigh, kBlocks>(of, row, rows, k);
  constexpr int64_t kStride = kColumns * sizeof(int32_t);
  int32_t* second = sums + kTileHeight * kColumns;
  Tiles::template store<0>(sums, kStride);
  if constexpr (kBlocks == 2) Tiles::template store<1>(sums + kBlock, kStride);
  if constexpr (kHigh == 2) Tiles::template store<2>(second, kStride);
  if constexpr (kHigh * kBlocks == 4) {
    Tiles::template store<3>(second + kBlock, kStride);
  }
}

// These rows against kBlocks blocks from `block` on; finish(row, registers of
// the row), as panel() does.
template <int kBlocks, typename Tiles, typename Args, typename Finish>
void each_row(const TileArgs<Tiles, Args>& args, int64_t block,
              const Finish& finish) {
  constexpr int kColumns = kBlocks * kBlock;
  alignas(64) int32_t sums[kHighRows * kColumns];
  const Args& plain = args;
  const auto operands = operands_of<kBlocks>(plain, block);
  if (args.num_rows > kTileHeight) {
    tile_sums<Tiles, 2, kBlocks>(operands, args.first_row, args.num_rows, sums);
  } else {
    tile_sums<Tiles, 1, kBlocks>(operands, args.first_row, args.num_rows, sums);
  }
  for (int64_t r = 0; r < args.num_rows; ++r) {
    const int64_t row = args.first_row + r;
    Vf c[kBlocks * kVectors];
    finish_sums<kBlocks>(plain, block, row, sums + r * kColumns, c);
    finish(row, c);
  }
}

// Tiles' sizes are the thread's, so each call sets and ends them. 32 rows after
// 32 rows go through all blocks, so that sizes are set twice at most: that
// takes as long as ten products of tiles or so, of which a call of four blocks
// and a depth of 576 has 144.
template <typename Tiles, typename Args>
void tile_gemm(const Args& args) {
  int64_t configured = 0;
  for (int64_t row = 0; row < args.rows; row += kHighRows) {
    const int64_t left = args.rows - row;
    const int64_t rows = left < kHighRows ? left : kHighRows;
    if (rows != configured) Tiles::configure(config_of(rows));
    configured = rows;
    gemm(TileArgs<Tiles, Args>{args, row, rows});
  }
  Tiles::release();
}

// Products of bfloat16 and of whole numbers by tiles; the rest is the set's
// that the file is compiled for.
template <typename Tiles>
constexpr Kernels make_tile_kernels(const char* name) {
  Kernels set = make_kernels(name);
  set.bf16.gemm = tile_gemm<Tiles, GemmArgs<Bf16>>;
  set.bf16.code_gemm = tile_gemm<Tiles, CodeGemmArgs<Bf16>>;
  set.f32.code_gemm = tile_gemm<Tiles, CodeGemmArgs<float>>;
  return set;
}

}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
