// SPDX-License-Identifier: Apache-2.0
// What is the same in all models of a family, whichever file says the rest:
// config.json (hf_config.cc, where the families stand) or the metadata of GGUF
// (gguf_model.cc).
#pragma once

#include <cstdint>
#include <string>

#include "formats/hf_rope.h"
#include "formats/model_config.h"

namespace selfalign::formats {

struct Family;

// In config.json; the type is ModelConfig::family, too.
struct FamilyJson {
  const char* model_type = "";
  const char* architecture = "";
  void (*read)(const Members& json, const Family& family,
               ModelConfig& config) = nullptr;
};

struct Family {
  FamilyJson json;
  const char* norm_eps_name = "rms_norm_eps";
  // Where config.json is silent.
  double norm_eps = 1e-6;
  bool tied = false;
  RopeDefaults rope = {};
  double rotary_share = 1.0;
  bool takes_rotary_share = false;  // others have none but 1

  NormKind norm = NormKind::kRms;
  Activation activation = Activation::kSilu;
  bool gated = true;
  BlockForm block = BlockForm::kPre;
  // The block where use_parallel_residual is set, and whether it is where it
  // is missing.
  BlockForm parallel = BlockForm::kPre;
  bool is_parallel = false;
  QkNorm qk_norm = QkNorm::kNone;  // kEachHead: of some of its models
  bool scales_embedding = false;   // by the root of the width
  int64_t window = 0;              // where config.json is silent
  int64_t full_every = 0;          // of layers with windows the n-th has none
  int64_t unrotated_every = 0;
  double local_theta = 0.0;
  double attention_softcap = 0.0, logit_softcap = 0.0;  // where none is said
};

const Family& family_of_type(const std::string& model_type);

// Sets what no file says; the rest are defaults of what a file may say.
void start_config(const Family& family, ModelConfig& config);
double embedding_scale_of(const Family& family, const ModelConfig& config);

// Whether it is a layer of those that the n-th of each n is not.
inline bool is_before_nth(int64_t layer, int64_t n) {
  return n == 0 || (layer + 1) % n != 0;
}

// `file`: a reader of either kind, which call this the same.
template <typename Reader>
void read_parallel(const Reader& file, const Family& family,
                   ModelConfig& config) {
  if (family.parallel == BlockForm::kPre) return;
  if (file.flag_or("use_parallel_residual", family.is_parallel)) {
    config.block = family.parallel;
  }
}

}  // namespace selfalign::formats
