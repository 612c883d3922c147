// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "base/random.h"
#include "formats/gguf_builder.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const GgufFile> open(const GgufBuilder& file) {
  return GgufFile::open(test_file("a.gguf", file.bytes()));
}

// What this process has of memory that is its own (proc_pid_statm(5)).
uint64_t data_bytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t pages = 0;
  for (int field = 0; field < 6; ++field) in >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The error of opening the file.
std::string refusal(const GgufBuilder& file) {
  return refusal_of([&] { open(file); });
}

TEST(Gguf, ReadsEveryTypeOfMetadata) {
  GgufBuilder b;
  b.value("u8", 0, raw(uint8_t{255}));
  b.value("i8", 1, raw(int8_t{-1}));
  b.value("u16", 2, raw(uint16_t{65535}));
  b.value("i16", 3, raw(int16_t{-2}));
  b.value("u32", 4, raw(uint32_t{4294967295}));
  b.value("i32", 5, raw(int32_t{-3}));
  b.value("f32", 6, raw(0.5f));
  b.value("bool", 7, raw(uint8_t{1}));
  b.text("string", "text");
  b.value("u64", 10, raw(uint64_t{INT64_MAX}));
  b.value("i64", 11, raw(int64_t{-4}));
  b.value("f64", 12, raw(0.1));
  b.array("strings", 8, 2, gguf_string("x") + gguf_string(""));
  b.array("ints", 5, 2, raw(int32_t{-5}) + raw(int32_t{6}));
  b.array("none", 6, 0, "");
  b.array("big", 10, 1, raw(uint64_t{INT64_MAX}));
  b.array("over", 10, 1, raw(UINT64_MAX));
  b.array("floats", 6, 2, raw(0.5f) + raw(-2.0f));
  const auto file = open(b);
  EXPECT_EQ(file->get_int("u8"), 255);
  EXPECT_EQ(file->get_int("i8"), -1);
  EXPECT_EQ(file->get_int("u16"), 65535);
  EXPECT_EQ(file->get_int("i16"), -2);
  EXPECT_EQ(file->get_int("u32"), 4294967295);
  EXPECT_EQ(file->get_int("i32"), -3);
  EXPECT_EQ(file->get_float("f32"), 0.5);
  EXPECT_TRUE(file->get_bool_or("bool", false));
  EXPECT_EQ(file->get_string("string"), "text");
  EXPECT_EQ(file->get_int("u64"), INT64_MAX);
  EXPECT_EQ(file->get_int("i64"), -4);
  EXPECT_EQ(file->get_float("f64"), 0.1);
  EXPECT_THAT(file->get_strings("strings"), ElementsAre("x", ""));
  EXPECT_THAT(file->get_ints("ints"), ElementsAre(-5, 6));
  EXPECT_THAT(file->get_ints("big"), ElementsAre(INT64_MAX));
  EXPECT_THAT(file->get_floats("floats"), ElementsAre(0.5, -2));
  EXPECT_EQ(file->size_of("floats"), 2u);
  EXPECT_EQ(file->size_of("absent") + file->size_of("i8"), 0u);
  EXPECT_EQ(file->get_float("i32"), -3.0);
  EXPECT_EQ(file->get_int_or("absent", 7), 7);
  EXPECT_EQ(file->metadata().size(), 18u);
  EXPECT_THAT(refusal_of([&] { file->get_ints("over"); }),
              HasSubstr("an element of over: expected at most 2^63 - 1"));
  EXPECT_THAT(refusal_of([&] { file->get_ints("ints", 1); }),
              HasSubstr("ints: expected at most 1 elements, found 2"));
  EXPECT_THAT(refusal_of([&] { file->get_floats("ints"); }),
              HasSubstr("expected an array of floats, found an array of "));
  EXPECT_THAT(refusal_of([&] { file->get_int("string"); }),
              HasSubstr("metadata string: expected an integer, found a str"));
  EXPECT_THAT(refusal_of([&] { file->get_strings("ints"); }),
              HasSubstr("ints: expected an array of strings"));
  EXPECT_THAT(refusal_of([&] { file->get_string("absent"); }),
              HasSubstr("found nothing"));
}

// Each element took 8 bytes, each string 32, whoever wanted them.
TEST(Gguf, ListsThatNobodyWantsTakeNoMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  constexpr uint64_t kBytes = 64 << 20;
  GgufBuilder b = tiny_llama_gguf();
  b.array("bytes", 0, kBytes, std::string(kBytes, '\1'));
  b.array("strings", 8, kBytes / 8, std::string(kBytes, '\0'));
  const std::string path = test_file("lists.gguf", b.bytes());
  EXPECT_EXIT(
      {
        rlimit limit{};
        limit.rlim_cur = data_bytes() + kBytes / 4;
        limit.rlim_max = RLIM_INFINITY;
        if (::setrlimit(RLIMIT_DATA, &limit) != 0) std::exit(1);
        try {
          const auto file = GgufFile::open(path);
          config_from_gguf(*file);
          std::exit(file->size_of("bytes") == kBytes ? 7 : 2);
        } catch (const std::bad_alloc&) {
          std::exit(4);
        }
      },
      testing::ExitedWithCode(7), "");
  const auto file = GgufFile::open(path);
  EXPECT_THAT(refusal_of([&] { file->get_ints("bytes"); }),
              HasSubstr("metadata bytes: expected at most 4194304 elements, "
                        "found 67108864"));
  EXPECT_THAT(refusal_of([&] { file->get_strings("strings"); }),
              HasSubstr("at most 4194304 elements"));
  std::filesystem::remove(path);
}

TEST(Gguf, RefusesMoreEntriesThanAnyModelHas) {
  GgufBuilder b;
  for (int i = 0; i <= 65536; ++i) b.number(std::to_string(i), 0);
  EXPECT_THAT(refusal(b), HasSubstr("expected at most 65536 metadata entries, "
                                    "found a count of 65537"));
}

TEST(Gguf, ReadsTensorsOutermostFirst) {
  const auto file = open(tiny_llama_gguf());
  const TensorView& k = file->tensors()[4];
  EXPECT_EQ(k.name, "blk.0.attn_k.weight");
  EXPECT_THAT(k.shape, ElementsAre(2, 4));
  std::vector<float> values(8);
  to_float(k, values.data());
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(Gguf, RefusesOtherVersionsAndByteOrders) {
  GgufBuilder b = tiny_llama_gguf();
  b.version = 1;
  EXPECT_THAT(refusal(b),
              HasSubstr("expected GGUF version 2 or 3, found version 1"));
  b.version = 2;
  EXPECT_EQ(GgufFile::open(test_file("v2", b.bytes()))->version(), 2U);
  b.version = 3u << 24;
  EXPECT_THAT(refusal(b), HasSubstr("big-endian"));
  EXPECT_THAT(refusal_of([] { GgufFile::open(test_file("b", "GGML....")); }),
              HasSubstr("not a GGUF file"));
  EXPECT_THAT(refusal_of([] { GgufFile::open(test_file("b", "")); }),
              HasSubstr("the file is cut off"));
}

TEST(Gguf, RefusesBadMetadata) {
  const auto refused = [](uint32_t type, const std::string& bytes) {
    GgufBuilder b;
    b.value("key", type, bytes);
    return refusal(b);
  };
  EXPECT_THAT(refused(13, ""), HasSubstr("metadata key: expected a type"));
  EXPECT_THAT(refused(7, raw(uint8_t{2})), HasSubstr("expected 0 or 1"));
  EXPECT_THAT(refused(8, raw(UINT64_MAX)), HasSubstr("cut off"));
  EXPECT_THAT(refused(9, raw(9u) + raw(uint64_t{1})),
              HasSubstr("array of arrays"));
  EXPECT_THAT(refused(9, raw(4u) + raw(uint64_t{1} << 62)),
              HasSubstr("found a count of 4611686018427387904"));
  EXPECT_THAT(refused(9, raw(99u) + raw(uint64_t{1})),
              HasSubstr("element type"));
  GgufBuilder twice;
  twice.number("key", 1);
  twice.number("key", 1);
  EXPECT_THAT(refusal(twice), HasSubstr("metadata key stands twice"));
  for (uint32_t alignment : {0u, 3u, 4u, 1u << 30}) {
    GgufBuilder b;
    b.number("general.alignment", alignment);
    EXPECT_THAT(refusal(b), HasSubstr("power of two")) << alignment;
  }
}

TEST(Gguf, RefusesBadTensors) {
  const auto refused = [](uint32_t type, const std::vector<uint64_t>& shape,
                          uint64_t offset = 0) {
    GgufBuilder b = tiny_llama_gguf();
    b.tensor_at("extra", type, shape, offset);
    return refusal(b);
  };
  EXPECT_THAT(refused(0, {1}), HasSubstr("inside tensor"));
  EXPECT_THAT(refused(0, {1}, 1), HasSubstr("a multiple of 32, found 1"));
  EXPECT_THAT(refused(0, {1}, 1 << 20),
              HasSubstr("tensor extra: expected 4 bytes at offset 1048576"));
  EXPECT_THAT(refused(0, {1}, UINT64_MAX - 31), HasSubstr("cut off"));
  EXPECT_THAT(refused(0, {}), HasSubstr("1 to 4 dimensions, found 0"));
  EXPECT_THAT(refused(0, {1, 1, 1, 1, 1}), HasSubstr("found 5"));
  EXPECT_THAT(refused(0, {4, 0}), HasSubstr("a dimension is 0"));
  EXPECT_THAT(refused(0, {UINT64_MAX}), HasSubstr("2^63 - 1"));
  EXPECT_THAT(refused(0, {1ull << 40, 1ull << 40}), HasSubstr("too large"));
  EXPECT_THAT(refused(8, {48}), HasSubstr("whole blocks"));
  EXPECT_THAT(refused(16, {256}), HasSubstr("code 16 (IQ2_XXS)"));
  EXPECT_THAT(refused(99, {256}), HasSubstr("code 99 (unknown"));
  GgufBuilder twice;
  twice.tensor("t", 0, {1}, raw(1.0f));
  twice.tensor("t", 0, {1}, raw(1.0f));
  EXPECT_THAT(refusal(twice), HasSubstr("tensor t stands twice"));
}

TEST(Gguf, HonoursAlignment) {
  GgufBuilder b;
  b.alignment = 128;
  b.number("general.alignment", 128);
  b.tensor("a", 0, {1}, raw(1.0f));
  b.tensor("b", 0, {1}, raw(2.0f));
  const auto file = open(b);
  EXPECT_EQ(file->tensors()[1].bytes, raw(2.0f));
}

// Everything that a program does with a file it has opened.
void use(const std::string& path) {
  const auto file = GgufFile::open(path);
  std::vector<float> values;
  for (const TensorView& tensor : file->tensors()) {
    values.resize(static_cast<size_t>(tensor.num_elements()));
    to_float(tensor, values.data());
  }
  config_from_gguf(*file);
  open_gguf_tensors(file);
}

TEST(Gguf, EveryCutIsAnError) {
  const std::string bytes = tiny_llama_gguf().bytes();
  const std::string path = test_file("cut.gguf", bytes);
  use(path);
  for (size_t size = bytes.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    EXPECT_THAT(refusal_of([&] { use(path); }),
                testing::AllOf(HasSubstr("cut.gguf: "), HasSubstr("found")))
        << size;
  }
}

TEST(Gguf, NoFlippedByteCrashes) {
  const std::string good = tiny_llama_gguf().bytes();
  int num_refused = 0;
  for (uint64_t round = 0; round < 3000; ++round) {
    std::string bytes = good;
    const uint64_t flips = 1 + draw_index(round, 0, 3);
    for (uint64_t i = 1; i <= flips; ++i) {
      const uint64_t at = draw_index(round, 2 * i, bytes.size());
      bytes[at] = static_cast<char>(draw_bits(round, 2 * i + 1));
    }
    const std::string path = test_file("flip.gguf", bytes);
    num_refused += refusal_of([&] { use(path); }) != "no error";
  }
  EXPECT_GT(num_refused, 500);
  EXPECT_LT(num_refused, 3000);
}

}  // namespace
}  // namespace selfalign::formats
