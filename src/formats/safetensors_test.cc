// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string file_with(const std::string& header, const std::string& data) {
  return raw(uint64_t{header.size()}) + header + data;
}

std::string refusal(const std::string& bytes) {
  const std::string path = test_file("a.safetensors", bytes);
  return refusal_of([&] { open_safetensors(path); });
}

std::string refusal(const std::string& header, const std::string& data) {
  return refusal(file_with(header, data));
}

TEST(Safetensors, ReadsBackWhatItWrites) {
  const std::string a = raw(1.0f) + raw(2.0f) + raw(3.0f);
  const std::string b = raw(uint16_t{0x3f80});
  const std::string path = testing::TempDir() + "round.safetensors";
  write_safetensors(path,
                    {{"z.weight", ElementType::kF32, {1, 3}, a},
                     {"a \"quoted\"", ElementType::kBF16, {}, b},
                     {"empty", ElementType::kI64, {0, 2}, ""}},
                    {{"format", "pt"}});
  const auto source = open_safetensors(path);
  EXPECT_EQ(source->tensors().size(), 3u);
  EXPECT_FALSE(source->interleaved_rope_rows());
  const TensorView* z = source->find("z.weight");
  ASSERT_NE(z, nullptr);
  EXPECT_EQ(z->type, ElementType::kF32);
  EXPECT_THAT(z->shape, ElementsAre(1, 3));
  EXPECT_EQ(z->bytes, a);
  EXPECT_EQ(source->find("a \"quoted\"")->bytes, b);
  EXPECT_EQ(source->find("missing"), nullptr);
  const std::string file = read_file(path);
  EXPECT_EQ(file.size() % 2, 0u);
  const size_t data = file.size() - a.size() - b.size();
  EXPECT_EQ(data % 8, 0u);
  EXPECT_THAT(file, HasSubstr(R"("__metadata__":{"format":"pt"})"));
}

// What the safetensors package wrote: tests/data/README.md.
TEST(Safetensors, ReadsAPublishedLayout) {
  const auto source = open_safetensors("tests/data/tiny_llama");
  const TensorView* k = source->find("model.layers.1.self_attn.k_proj.weight");
  ASSERT_NE(k, nullptr);
  EXPECT_THAT(k->shape, ElementsAre(32, 64));
  EXPECT_EQ(k->type, ElementType::kBF16);
}

constexpr char kOne[] =
    R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";

TEST(Safetensors, RefusesBadHeaders) {
  EXPECT_EQ(refusal(kOne, raw(1.0f)), "no error");
  EXPECT_THAT(refusal("1234567"), HasSubstr("found 7 bytes"));
  EXPECT_THAT(refusal(raw(UINT64_MAX) + "{}"), HasSubstr("found a length of"));
  EXPECT_THAT(refusal("[]", ""), HasSubstr("expected a JSON object"));
  EXPECT_THAT(refusal("{", ""), HasSubstr("header:1:"));
  // A number that no double holds: found by fuzzing.
  EXPECT_THAT(refusal(R"({"t":1e999})", ""), HasSubstr("a.safetensors"));
  EXPECT_THAT(refusal(R"({"t":3})", ""),
              HasSubstr("tensor t: expected an obj"));
  EXPECT_THAT(refusal(R"({"t":{"shape":[1],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("dtype: expected a string"));
  EXPECT_THAT(refusal(R"({"t":{"dtype":"F8_E4M3","shape":[1],)"
                      R"("data_offsets":[0,1]}})",
                      "1"),
              HasSubstr("found F8_E4M3"));
  for (const char* shape : {"[-1]", "[1.0]", "[18446744073709551615]", "3",
                            "[1,1,1,1,1,1,1,1,1]", "[\"1\"]"}) {
    EXPECT_THAT(refusal(str(R"({"t":{"dtype":"F32","shape":)", shape,
                            R"(,"data_offsets":[0,4]}})"),
                        "1234"),
                HasSubstr("shape: expected"))
        << shape;
  }
}

TEST(Safetensors, RefusesBadRanges) {
  const auto tensor = [](const char* name, int begin, int end, int size) {
    return str('"', name, R"(":{"dtype":"U8","shape":[)", size,
               R"(],"data_offsets":[)", begin, ",", end, "]}");
  };
  const auto two = [&](int begin, int end, int size) {
    return "{" + tensor("a", 0, 4, 4) + "," + tensor("b", begin, end, size) +
           "}";
  };
  EXPECT_EQ(refusal(two(4, 8, 4), "12345678"), "no error");
  EXPECT_THAT(refusal(two(4, 8, 4), "1234567"), HasSubstr("cut off"));
  EXPECT_THAT(refusal(two(4, 8, 3), "12345678"),
              HasSubstr("found a shape and dtype of 3 bytes"));
  EXPECT_THAT(refusal(two(2, 6, 4), "123456"), HasSubstr("found them at 2"));
  EXPECT_THAT(refusal(two(5, 9, 4), "123456789"), HasSubstr("found them at 5"));
  EXPECT_THAT(refusal(two(8, 4, 4), "12345678"), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal(two(4, 8, 4), "123456789"), HasSubstr("found 9"));
  EXPECT_THAT(refusal(two(4, 4, 0), "1234"), "no error");
}

TEST(Safetensors, EveryCutIsAnErrorAndNoFlipCrashes) {
  const std::string good =
      file_with(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                R"("b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}})",
                std::string(14, 'x'));
  ASSERT_EQ(refusal(good), "no error");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(refusal(good.substr(0, size)), HasSubstr("a.safetensors"));
  }
  int num_refused = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    std::string bytes = good;
    bytes[draw_index(round, 0, bytes.size())] =
        static_cast<char>(draw_bits(round, 1));
    num_refused += refusal(bytes) != "no error";
  }
  EXPECT_GT(num_refused, 1000);
}

class Sharded : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    make_folder(folder_);
    const std::string one = raw(1.0f);
    write("model-1.safetensors", {{"a", ElementType::kF32, {1}, one},
                                  {"extra", ElementType::kF32, {1}, one}});
    write("model-2.safetensors", {{"b", ElementType::kF32, {1}, one}});
  }

  void write(const std::string& name, const std::vector<TensorView>& tensors) {
    write_safetensors(folder_ + "/" + name, tensors, {});
  }

  std::string refusal_of_index(const std::string& index) {
    write_file_atomic(folder_ + "/model.safetensors.index.json", index);
    return refusal_of([&] { open_safetensors(folder_); });
  }

  std::string folder_ = testing::TempDir() + "formats_sharded";
};

TEST_F(Sharded, ReadsAllThatTheShardsHold) {
  EXPECT_THAT(refusal_of([&] { open_safetensors(folder_); }),
              HasSubstr("has neither"));
  EXPECT_EQ(refusal_of_index(R"({"weight_map": {"a": "model-1.safetensors",
                                 "b": "model-2.safetensors"}})"),
            "no error");
  const auto source = open_safetensors(folder_);
  EXPECT_EQ(source->tensors().size(), 3u);
  EXPECT_EQ(source->find("b")->bytes, raw(1.0f));
  // Not in the index: whether the model has a use for it, its reader says.
  EXPECT_NE(source->find("extra"), nullptr);
}

TEST_F(Sharded, RefusesATensorThatIsThereTwice) {
  const std::string one = raw(1.0f);
  write("model-2.safetensors", {{"a", ElementType::kF32, {1}, one},
                                {"b", ElementType::kF32, {1}, one}});
  EXPECT_THAT(refusal_of_index(R"({"weight_map": {"a": "model-1.safetensors",
                                   "b": "model-2.safetensors"}})"),
              HasSubstr("model-2.safetensors: tensor a: expected it in "
                        "model-1.safetensors alone"));
  write("model-2.safetensors", {{"extra", ElementType::kF32, {1}, one},
                                {"b", ElementType::kF32, {1}, one}});
  EXPECT_THAT(refusal_of_index(R"({"weight_map": {"a": "model-1.safetensors",
                                   "b": "model-2.safetensors"}})"),
              HasSubstr("tensor extra: expected it in one shard"));
}

TEST_F(Sharded, RefusesBadIndexes) {
  for (const char* name :
       {"../model-1.safetensors", "/etc/x.safetensors", "a\\\\b.safetensors",
        "..", "", ".safetensors", "model-1.bin", "a\\u0000.safetensors",
        ".hidden.safetensors"}) {
    EXPECT_THAT(
        refusal_of_index(str(R"({"weight_map": {"a": ")", name, "\"}}")),
        HasSubstr("tensor a: expected a file name in the same folder"))
        << name;
  }
  EXPECT_THAT(refusal_of_index(R"({"weight_map": {"a": 3}})"),
              HasSubstr("expected a file name"));
  EXPECT_THAT(refusal_of_index(R"({"weight_map": {}})"),
              HasSubstr("weight_map"));
  EXPECT_THAT(refusal_of_index("[]"), HasSubstr("weight_map"));
  EXPECT_THAT(
      refusal_of_index(R"({"weight_map": {"a": "model-2.safetensors"}})"),
      HasSubstr("tensor a of the index is not there"));
  EXPECT_THAT(refusal_of_index(R"({"weight_map": {"a": "no.safetensors"}})"),
              HasSubstr("no.safetensors"));
}

}  // namespace
}  // namespace selfalign::formats
