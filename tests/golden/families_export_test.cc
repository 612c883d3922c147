// SPDX-License-Identifier: Apache-2.0
// Tiny models of every family, exported and read again: merged with an adapter,
// as a GGUF file, and back from there, to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/testing.h"
#include "families.h"
#include "formats/config_out.h"
#include "local/merged_model.h"
#include "local/tuned_model.h"
#include "model/load_weights.h"
#include "model/weight_places.h"
#include "text/byte_bpe.h"

namespace selfalign {
namespace {

using formats::ElementType;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-4;  // of a logit

// A token a printable byte, and the end of a text.
void write_tokenizer(const std::string& folder) {
  Json vocab = Json::object();
  for (int byte = 33; byte < 120; ++byte) {
    vocab[std::string(1, static_cast<char>(byte))] = byte - 33;
  }
  vocab["<|endoftext|>"] = 87;
  const Json end{{"id", 87},
                 {"content", "<|endoftext|>"},
                 {"special", true},
                 {"normalized", false},
                 {"lstrip", false},
                 {"rstrip", false},
                 {"single_word", false}};
  write_file_atomic(
      folder + "/tokenizer.json",
      dump_json(
          {{"added_tokens", Json::array({end})},
           {"pre_tokenizer",
            {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
           {"model",
            {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}}}));
}

// Names of all tensors that differ.
std::string difference(const model::Weights& a, const model::Weights& b) {
  std::string names;
  const auto compare = [&names](const std::string& name, const at::Tensor& x,
                                const at::Tensor& y) {
    const bool same = x.defined() == y.defined() &&
                      (!x.defined() || (x.sizes() == y.sizes() && x.equal(y)));
    if (!same) names += name + " ";
  };
  const auto compare_norm = [&](const std::string& name, const model::Norm& x,
                                const model::Norm& y) {
    compare(name, x.weight, y.weight);
    compare(name + "_bias", x.bias, y.bias);
  };
  compare("embedding", a.embedding, b.embedding);
  compare("head", a.head, b.head);
  compare_norm("final_norm", a.final_norm, b.final_norm);
  if (a.layers.size() != b.layers.size()) return names + "layers";
  for (size_t i = 0; i < a.layers.size(); ++i) {
    using Layer = model::LayerWeights;
    const auto& x = a.layers[i];
    const auto& y = b.layers[i];
    const auto name = [i](const char* what) { return str(i, ".", what); };
    for (size_t j = 0; j < formats::kNumProjections; ++j) {
      const auto of = model::kProjections[j];
      compare(name(formats::kProjectionNames[j]), x.*of, y.*of);
    }
    for (const auto& [what, of] : {std::pair("q_bias", &Layer::q_bias),
                                   {"k_bias", &Layer::k_bias},
                                   {"v_bias", &Layer::v_bias},
                                   {"o_bias", &Layer::o_bias},
                                   {"gate_bias", &Layer::gate_bias},
                                   {"up_bias", &Layer::up_bias},
                                   {"down_bias", &Layer::down_bias}}) {
      compare(name(what), x.*of, y.*of);
    }
    for (const auto& [what, of] : {std::pair("input_norm", &Layer::input_norm),
                                   {"q_norm", &Layer::q_norm},
                                   {"k_norm", &Layer::k_norm},
                                   {"attention_norm", &Layer::attention_norm},
                                   {"mlp_norm", &Layer::mlp_norm},
                                   {"mlp_out_norm", &Layer::mlp_out_norm}}) {
      compare_norm(name(what), x.*of, y.*of);
    }
  }
  return names;
}

class FamiliesExportTest : public testing::TestWithParam<std::string> {
 protected:
  FamiliesExportTest()
      : golden_(read_family(GetParam())),
        ids_(golden_["ids"].get<std::vector<int>>()) {
    make_folder(path("base"));
    // What GGUF files take for granted of these.
    Json& config = golden_["config"];
    if (config["model_type"].get<std::string>().starts_with("gemma")) {
      config["query_pre_attn_scalar"] = config["head_dim"];
    }
    if (config["model_type"] == "smollm3") {
      config["no_rope_layers"] = nullptr;
      config["no_rope_layer_interval"] = 4;
    }
    if (GetParam() == "llama3") {  // as all of its models have it
      for (const char* rope : {"rope_scaling", "rope_parameters"}) {
        if (!config.contains(rope) || !config[rope].is_object()) continue;
        config[rope]["original_max_position_embeddings"] = 8192;
        config[rope]["low_freq_factor"] = 1.0;
        config[rope]["high_freq_factor"] = 4.0;
      }
    }
    write_family(golden_, path("base"));
    write_tokenizer(path("base"));
    make_folder(path("adapter"));
    write_adapter(golden_["lora"], path("adapter"));
  }

  std::string path(const std::string& name) const {
    return folder_.path() + "/" + name;
  }
  static model::Weights load(const std::string& model) {
    return model::load_weights(model, at::kCPU, at::kFloat);
  }
  // The path of what was made.
  std::string exported(const std::string& base, const std::string& to,
                       exports::NumberType type = {},
                       const std::string& adapter = "") const {
    exports::ModelOptions options;
    options.model = to.starts_with("gguf") ? exports::kGguf : exports::kMerged;
    options.base = base;
    options.adapter = adapter;
    options.type = type;
    options.folder = path(to);
    local::export_model(options);
    return options.model == exports::kGguf ? str(path(to), "/", to, ".gguf")
                                           : path(to);
  }
  // Of a family that has no GGUF form here: why.
  std::string refusal() const {
    try {
      exported(path("base"), "gguf_refused");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_FALSE(std::filesystem::exists(path("gguf_refused")));
      EXPECT_FALSE(std::filesystem::exists(path("gguf_refused.partial")));
      return error.what();
    }
    return "";
  }
  double distance(const model::Weights& a, const model::Weights& b) const {
    // Behind its end a window would begin to count, of which GGUF has no word.
    std::vector<int> ids = ids_;
    ids.resize(std::min(ids.size(), size_t(a.config.max_positions)));
    const at::Tensor x = engine::reference_logits(a, ids).contiguous();
    const at::Tensor y = engine::reference_logits(b, ids).contiguous();
    const auto* left = x.const_data_ptr<float>();
    const auto* right = y.const_data_ptr<float>();
    double most = 0.0;
    for (int64_t i = 0; i < x.numel(); ++i) {
      most = std::max(most, std::fabs(double(left[i]) - double(right[i])));
    }
    return most;
  }

  Json golden_;
  const std::vector<int> ids_;
  const ScratchFolder folder_;
  const engine::OneThread one_thread_;
};

TEST_P(FamiliesExportTest, MergedIsBaseAndAdapterInMemory) {
  model::Weights want = load(path("base"));
  model::merge_lora(want,
                    model::load_lora(path("adapter"), want.config, at::kCPU));
  const model::Weights found =
      load(exported(path("base"), "merged", {}, path("adapter")));
  EXPECT_EQ(difference(found, want), "");
  // An adapter of nothing: all as it was, to the digest.
  EXPECT_EQ(load(exported(path("base"), "copy")).digest,
            load(path("base")).digest);
}

TEST_P(FamiliesExportTest, GgufIsReadAgainToTheBit) {
  static const std::set<std::string> without = {
      "olmo3", "seed_oss", "llama_gelu", "llama_yarn", "llama_yarn_mscale"};
  if (without.contains(GetParam())) {
    EXPECT_THAT(refusal(), HasSubstr("export"));
    return;
  }
  for (const ElementType type :
       {ElementType::kF32, ElementType::kF16, ElementType::kBF16}) {
    const std::string name = formats::element_type_name(type);
    SCOPED_TRACE(name);
    const std::string base = exported(path("base"), "hf" + name, type);
    const model::Weights want = load(base);
    const model::Weights found = load(exported(base, "gguf" + name));
    if (want.config.norm == formats::NormKind::kRmsPlusOne) {
      EXPECT_EQ(found.config.norm, formats::NormKind::kRms);
      EXPECT_TRUE(found.layers[0].q.equal(want.layers[0].q));
    } else {
      EXPECT_EQ(difference(found, want), "");
    }
    EXPECT_LT(distance(found, want), kTolerance);
  }
}

// Through a GGUF file with the adapter and back.
TEST_P(FamiliesExportTest, FromGgufToAFolder) {
  const model::Weights base = load(path("base"));
  if (!formats::gguf_form(base.config.family) || !refusal().empty()) return;
  const std::string plain = exported(path("base"), "gguf_plain");
  const model::Weights want =
      load(exported(path("base"), "gguf_merged", {}, path("adapter")));
  // The adapter on the GGUF file gives the same file of tensors.
  EXPECT_EQ(
      difference(load(exported(plain, "gguf_second", {}, path("adapter"))),
                 want),
      "");
  if (base.config.norm == formats::NormKind::kRmsPlusOne) return;
  const model::Weights back =
      load(exported(plain, "folder", {}, path("adapter")));
  EXPECT_EQ(difference(back, want), "");
  EXPECT_LT(distance(back, want), kTolerance);
}

// Every weight another, as a full tuning leaves them: written as an HF folder
// under the family's names, from the folder and from a GGUF file of the base,
// and exported from there.
TEST_P(FamiliesExportTest, ATunedModelIsWhatWasTuned) {
  model::Weights tuned = load(path("base"));
  model::visit_weights(tuned, [](at::Tensor& tensor, const auto&) {
    tensor = at::add(at::mul(tensor, 1.25), 0.125);
  });
  if (tuned.config.tied_embeddings) tuned.head = tuned.embedding;
  const auto expect_written = [&](const std::string& base) {
    local::check_tuned_model(base, at::kFloat);
    local::write_tuned_model(base, tuned, path("tuned"));
    EXPECT_EQ(difference(load(path("tuned")), tuned), "");
  };
  expect_written(path("base"));
  if (!formats::gguf_form(tuned.config.family) || !refusal().empty()) return;
  const std::string plain = exported(path("base"), "gguf_plain");
  if (tuned.config.norm == formats::NormKind::kRmsPlusOne) {
    EXPECT_THROW(local::check_tuned_model(plain, at::kFloat), Error);
    return;
  }
  expect_written(plain);
}

INSTANTIATE_TEST_SUITE_P(All, FamiliesExportTest,
                         testing::ValuesIn(family_cases()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace selfalign
