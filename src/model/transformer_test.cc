// SPDX-License-Identifier: Apache-2.0
#include "model/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"
#include "model/device.h"
#include "model/load_weights.h"

namespace selfalign::model {
namespace {

constexpr char kTiny[] = "tests/data/tiny_llama";

at::Tensor positions_of(int64_t tokens) { return at::arange(tokens); }

at::Tensor run(const Weights& weights, const std::vector<int64_t>& ids,
               const Lora* lora = nullptr) {
  const c10::InferenceMode mode;
  CausalAttention attention(weights.config);
  const Rope rope = make_rope(weights.config, 64, at::kCPU);
  return logits(weights,
                hidden_states(weights, rope, at::tensor(ids, at::kLong),
                              positions_of(int64_t(ids.size())), attention,
                              {.lora = lora}));
}

Lora random_lora(const Weights& weights, int64_t rank) {
  Lora lora;
  for (const LayerWeights& layer : weights.layers) {
    LoraLayer pairs;
    for (auto [pair, weight] :
         {std::pair(&pairs.q, &layer.q), std::pair(&pairs.k, &layer.k),
          std::pair(&pairs.v, &layer.v), std::pair(&pairs.o, &layer.o)}) {
      pair->a = at::randn({rank, weight->size(1)}) * 0.1;
      pair->b = at::randn({weight->size(0), rank}) * 0.1;
      pair->scale = 0.5;
    }
    lora.layers.push_back(pairs);
  }
  return lora;
}

formats::AdapterConfig settings_of(int64_t rank, double alpha) {
  formats::AdapterConfig settings;
  settings.rank = rank;
  settings.alpha = alpha;
  return settings;
}

// The reference is transformers' LlamaForCausalLM (tools/make_golden_train.py).
TEST(LlamaGolden, LogitsEqualTheReference) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::string path = std::string(kTiny) + "/golden.json";
  const Json golden = parse_json(read_file(path), path);
  ASSERT_GE(golden.at("ids").size(), 2u);
  for (size_t s = 0; s < golden.at("ids").size(); ++s) {
    const auto ids = golden.at("ids")[s].get<std::vector<int64_t>>();
    const auto rows =
        golden.at("logits")[s].get<std::vector<std::vector<float>>>();
    const at::Tensor out = run(weights, ids);
    ASSERT_EQ(out.size(0), int64_t(rows.size()));
    for (size_t t = 0; t < rows.size(); ++t) {
      const at::Tensor want = at::tensor(rows[t], at::kFloat);
      EXPECT_LT((out[t] - want).abs().max().item().toFloat(), 1e-4f)
          << "sequence " << s << ", token " << t;
    }
  }
}

TEST(Llama, PackedTextsDoNotSeeEachOther) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::vector<int64_t> a = {5, 9, 11, 3}, b = {7, 8, 250, 1, 2, 6};
  std::vector<int64_t> ids = a;
  ids.insert(ids.end(), b.begin(), b.end());
  const c10::InferenceMode mode;
  CausalAttention attention(weights.config, {4, 6});
  const Rope rope = make_rope(weights.config, 16, at::kCPU);
  const at::Tensor packed =
      logits(weights, hidden_states(weights, rope, at::tensor(ids, at::kLong),
                                    at::cat({positions_of(4), positions_of(6)}),
                                    attention));
  EXPECT_TRUE(at::allclose(packed.slice(0, 0, 4), run(weights, a), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(packed.slice(0, 4), run(weights, b), 1e-4, 1e-5));
}

// A copy of the tiny model, to be changed.
class CopiedModel {
 public:
  CopiedModel() : source_(formats::open_safetensors(kTiny)) {
    views_ = source_->tensors();
    config_ = parse_json(read_file(std::string(kTiny) + "/config.json"), kTiny);
  }

  Json& config() { return config_; }
  void add(const std::string& name, std::vector<int64_t> shape,
           const std::string& bytes) {
    views_.push_back({name, formats::ElementType::kBF16, std::move(shape),
                      kept_.emplace_back(bytes)});
  }
  const formats::TensorView& embedding() const {
    return *source_->find("model.embed_tokens.weight");
  }

  const std::string& write() {
    write_file_atomic(folder_.path() + "/config.json", dump_json(config_));
    formats::write_safetensors(folder_.path() + "/model.safetensors", views_,
                               {});
    return folder_.path();
  }
  std::string refusal() {
    const std::string folder = write();
    const Error error =
        error_of([&] { check_weights(folder, at::kCPU, at::kFloat); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THROW(load_weights(folder, at::kCPU, at::kFloat), Error);
    return error.what();
  }
  std::string digest() {
    return load_weights(write(), at::kCPU, at::kFloat).digest;
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<formats::TensorSource> source_;
  std::vector<formats::TensorView> views_;
  std::deque<std::string> kept_;
  Json config_;
};

TEST(Weights, ATensorThatIsNotUsedIsRefusedByName) {
  for (const auto& [name, size] :
       {std::pair("model.layers.0.self_attn.q_proj.bias", 64),
        std::pair("model.layers.1.self_attn.q_norm.weight", 16),
        std::pair("model.layers.2.input_layernorm.weight", 64),
        std::pair("model.layers.0.mlp.gate_proj.weight_scale", 1),
        std::pair("model.embed_tokens.bias", 64), std::pair("extra", 1)}) {
    CopiedModel model;
    model.add(name, {size}, std::string(size_t(size) * 2, '\0'));
    EXPECT_THAT(model.refusal(), testing::HasSubstr(str("tensor '", name,
                                                        "': a model of this")));
  }
  CopiedModel plain;
  CopiedModel with_table;
  with_table.add("model.layers.0.self_attn.rotary_emb.inv_freq", {8},
                 std::string(16, 'x'));
  with_table.add("model.rotary_emb.inv_freq", {8}, std::string(16, 'x'));
  EXPECT_EQ(with_table.digest(), plain.digest());
}

TEST(Weights, AProjectionStandsAloneOrWithinAFusedOne) {
  CopiedModel model;
  const int64_t heads = model.config()["num_attention_heads"];
  const int64_t kv_heads = model.config()["num_key_value_heads"];
  const int64_t width = model.config()["hidden_size"];
  const int64_t rows = width / heads * (heads + 2 * kv_heads);
  model.add("model.layers.0.self_attn.qkv_proj.weight", {rows, width},
            std::string(size_t(rows * width * 2), '\0'));
  EXPECT_THAT(model.refusal(),
              testing::HasSubstr("it stands alone and within a fused tensor"));
}

TEST(Weights, AnOutputAndTiedEmbeddingsMustAgree) {
  const CopiedModel plain;
  const std::string same(plain.embedding().bytes);
  const std::vector<int64_t> shape = plain.embedding().shape;
  std::string other = same;
  other[100] = char(other[100] ^ 1);

  CopiedModel tied_same;
  tied_same.add("lm_head.weight", shape, same);
  EXPECT_EQ(tied_same.digest(), CopiedModel().digest());
  CopiedModel tied_other;
  tied_other.add("lm_head.weight", shape, other);
  EXPECT_THAT(tied_other.refusal(),
              testing::HasSubstr("tensor 'lm_head.weight': expected none or"));
  tied_other.config()["tie_word_embeddings"] = false;
  EXPECT_NE(tied_other.digest(), CopiedModel().digest());

  CopiedModel untied_without;
  untied_without.config().erase("tie_word_embeddings");  // means false
  EXPECT_THAT(untied_without.refusal(),
              testing::HasSubstr("must say tie_word_embeddings: true"));
}

TEST(Weights, TheDigestKnowsEveryNumberOfTheConfiguration) {
  const std::string plain = CopiedModel().digest();
  // Runs that are there know their model by it.
  EXPECT_EQ(plain, "919957e1e86f5c216b01a514d276eb4c");
  const auto changed = [](const char* name, const Json& value) {
    CopiedModel model;
    model.config()[name] = value;
    return model.digest();
  };
  std::vector<std::string> digests = {
      plain, changed("rope_theta", 20000.0), changed("rope_theta", 10000.001),
      changed("rms_norm_eps", 1e-6), changed("rms_norm_eps", 1.00000001e-5)};
  const Json llama3{{"rope_type", "llama3"},
                    {"factor", 8.0},
                    {"low_freq_factor", 1.0},
                    {"high_freq_factor", 4.0},
                    {"original_max_position_embeddings", 64}};
  digests.push_back(changed("rope_scaling", llama3));
  for (const auto& [name, value] :
       {std::pair("factor", Json(4.0)), std::pair("low_freq_factor", Json(2.0)),
        std::pair("low_freq_factor", Json(1.0000001)),
        std::pair("high_freq_factor", Json(3.0)),
        std::pair("original_max_position_embeddings", Json(32))}) {
    Json rope = llama3;
    rope[name] = value;
    digests.push_back(changed("rope_scaling", rope));
  }
  const std::set<std::string> different(digests.begin(), digests.end());
  EXPECT_EQ(different.size(), digests.size());
}

TEST(Lora, MergedEqualsBeside) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const std::vector<int64_t> ids = {1, 2, 3, 99, 42};
  Weights merged = weights;
  merge_lora(merged, lora);
  const at::Tensor beside = run(weights, ids, &lora);
  EXPECT_TRUE(at::allclose(run(merged, ids), beside, 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(run(weights, ids), beside, 1e-4, 1e-5));
  EXPECT_NE(merged.digest, weights.digest);
}

TEST(Lora, SavedAdapterLoadsAgain) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const std::string folder = testing::TempDir() + "/adapter";
  save_lora(folder, lora, weights.config, settings_of(4, 2.0));
  const Lora loaded = load_lora(folder, weights.config, at::kCPU);
  EXPECT_DOUBLE_EQ(loaded.layers[1].v.scale, 0.5);
  EXPECT_EQ(lora_digest(loaded), lora_digest(lora));
  EXPECT_TRUE(at::equal(loaded.layers[1].v.b, lora.layers[1].v.b));
}

// An adapter on disk, changed: its tensors by `rename` ("" leaves one out), its
// configuration by a patch.
Lora load_changed(const Weights& weights, const Lora& lora,
                  const std::function<std::string(const std::string&)>& rename,
                  const char* patch = "{}") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/adapter";
  save_lora(path, lora, weights.config, settings_of(4, 2.0));
  const std::string file = path + "/adapter_model.safetensors";
  const auto source = formats::open_safetensors(file);
  std::vector<formats::TensorView> views;
  for (formats::TensorView view : source->tensors()) {
    view.name = rename(view.name);
    if (!view.name.empty()) views.push_back(view);
  }
  formats::write_safetensors(path + "/changed", views, {});
  std::filesystem::rename(path + "/changed", file);
  const std::string config = path + "/adapter_config.json";
  Json json = parse_json(read_file(config), config);
  json.merge_patch(parse_json(patch, "patch"));
  write_file_atomic(config, dump_json(json));
  return load_lora(path, weights.config, at::kCPU);
}

TEST(Lora, NamesWithoutPeftsPrefixLoad) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const Lora loaded = load_changed(weights, lora, [](const std::string& name) {
    return name.substr(std::string("base_model.model.").size());
  });
  EXPECT_EQ(lora_digest(loaded), lora_digest(lora));
}

TEST(Lora, WhatAnAdapterLeavesOutStaysAndIsSaid) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const auto second = [](const std::string& name) {
    return name.find("layers.1.") == std::string::npos ? "" : name;
  };
  const Lora loaded = load_changed(weights, lora, second);
  EXPECT_FALSE(loaded.layers[0].q.a.defined());
  EXPECT_TRUE(at::equal(loaded.layers[1].q.a, lora.layers[1].q.a));
  EXPECT_THAT(loaded.note, testing::HasSubstr("targets 8 modules, the file has "
                                              "tensors for 4; the others"));
  EXPECT_EQ(
      load_changed(weights, lora, second, R"({"layers_to_transform": [1]})")
          .note,
      "");
}

TEST(Lora, HalfAPairAndWhatIsNoTargetAreRefused) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const auto same = [](const std::string& name) { return name; };
  const auto error = [&](const auto& rename, const char* patch) {
    return std::string(
        error_of([&] { load_changed(weights, lora, rename, patch); }).what());
  };
  EXPECT_THAT(error(
                  [](const std::string& name) {
                    return name.ends_with("0.self_attn.v_proj.lora_B.weight")
                               ? ""
                               : name;
                  },
                  "{}"),
              testing::HasSubstr("lora_B of that module is missing"));
  EXPECT_THAT(error(same, R"({"target_modules": ["q_proj"]})"),
              testing::HasSubstr("which adapter_config.json does not target"));
  EXPECT_THAT(error(same, R"({"rank_pattern": {"k_proj": 8}})"),
              testing::HasSubstr("need shape [8, "));
}

TEST(Lora, AdapterOfAnotherModelIsRefused) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::string folder = testing::TempDir() + "/other_adapter";
  save_lora(folder, random_lora(weights, 4), weights.config,
            settings_of(4, 2.0));
  formats::ModelConfig other = weights.config;
  other.hidden_size *= 2;
  EXPECT_THROW(load_lora(folder, other, at::kCPU), Error);
}

TEST(Lora, ATensorThatIsNotUsedIsRefusedByName) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const ScratchFolder folder;
  save_lora(folder.path(), random_lora(weights, 4), weights.config,
            settings_of(4, 2.0));
  const std::string file = folder.path() + "/adapter_model.safetensors";
  const auto read = formats::open_safetensors(file);
  std::vector<formats::TensorView> views = read->tensors();
  const std::string bytes(size_t{4} * 64, '\0');
  const char* name =
      "base_model.model.model.layers.0.mlp.experts.lora_A.weight";
  views.push_back({name, formats::ElementType::kF32, {1, 64}, bytes});
  formats::write_safetensors(file, views, {});
  const Error error =
      error_of([&] { load_lora(folder.path(), weights.config, at::kCPU); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.what(), testing::HasSubstr(str("tensor '", name, "'")));
}

TEST(Device, ChoosesAndRefuses) {
  EXPECT_EQ(choose_compute("cpu", "float32").dtype, at::kFloat);
  EXPECT_EQ(choose_compute("cpu", "bfloat16").dtype, at::kBFloat16);
  EXPECT_THROW(choose_compute("tpu", "auto"), Error);
  EXPECT_THROW(choose_compute("cpu", "int4"), Error);
}

}  // namespace
}  // namespace selfalign::model
