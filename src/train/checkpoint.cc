// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/profile.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVersion = 1;
constexpr int64_t kMaxCount = int64_t{1} << 53;  // of steps, packs and tokens

struct Vector {
  const char* name;
  at::Tensor TrainState::*tensor;
};
constexpr Vector kVectors[] = {
    {"values", &TrainState::values},
    {"gradients", &TrainState::gradients},
    {"first_moment", &TrainState::first_moment},
    {"second_moment", &TrainState::second_moment},
};

std::string json_path(const std::string& folder) {
  return folder + "/checkpoint.json";
}

[[noreturn]] void damaged(const std::string& path, const std::string& expected,
                          const std::string& found) {
  throw Error(
      ErrorKind::kDamaged,
      str(path, ": expected ", expected, ", found ", found,
          "; restore the files, or move the folder away to train anew"));
}

bool is_tensor_file(const std::string& name) {
  return name.starts_with("checkpoint-") && name.ends_with(".safetensors") &&
         name.find('/') == std::string::npos;
}

// Files of older checkpoints, and of one whose JSON was never written.
void remove_others(const std::string& folder, const std::string& keep) {
  for (const fs::path path : list_folder(folder)) {
    const std::string name = path.filename().string();
    if (!is_tensor_file(name) || name == keep) continue;
    std::error_code ignored;  // a left-over file is no failure
    fs::remove(path, ignored);
  }
}

void write_vectors(const std::string& path, const TrainState& state) {
  std::vector<at::Tensor> keep;  // holds the bytes the views point to
  std::vector<formats::TensorView> views;
  for (const Vector& vector : kVectors) {
    keep.push_back((state.*vector.tensor).detach().to(at::kCPU).contiguous());
    const at::Tensor& t = keep.back();
    views.push_back(
        {vector.name,
         formats::ElementType::kF32,
         t.sizes().vec(),
         {static_cast<const char*>(t.const_data_ptr()), size_t(t.nbytes())}});
  }
  formats::write_safetensors(path, views, {});
}

void read_vectors(const std::string& path, int64_t num_values,
                  TrainState& state) {
  const auto source = formats::open_safetensors(path);
  for (const Vector& vector : kVectors) {
    const formats::TensorView* view = source->find(vector.name);
    if (view == nullptr || view->type != formats::ElementType::kF32 ||
        view->num_elements() != num_values) {
      damaged(path, str("'", vector.name, "' of ", num_values, " float32"),
              view ? str(view->num_elements(), " ",
                         formats::element_type_name(view->type))
                   : std::string("none"));
    }
    at::Tensor& tensor = state.*vector.tensor;
    tensor = at::empty({num_values}, at::kFloat);
    formats::to_float(*view, tensor.data_ptr<float>());
  }
  source->require_unchanged();
}

}  // namespace

void save_checkpoint(const std::string& folder, const std::string& identity,
                     TrainState& state) {
  const ProfilePart profiled("checkpoint");
  make_folder(folder);
  const std::string name =
      str("checkpoint-", state.step, "-", state.packs_done, ".safetensors");
  if (state.tensors != name) {
    write_vectors(folder + "/" + name, state);
    state.tensors = name;
    state.tensors_digest = digest_file(folder + "/" + name);
  }
  Json json;
  json["version"] = kVersion;
  json["identity"] = identity;
  json["tensors"] = name;
  json["tensors_digest"] = state.tensors_digest;
  json["step"] = state.step;
  json["packs_done"] = state.packs_done;
  json["loss_sum"] = state.loss_sum;
  json["tokens_done"] = state.tokens_done;
  json["loss_before"] = state.loss_before;
  if (state.loss_after) json["loss_after"] = *state.loss_after;
  write_file_atomic(json_path(folder), dump_json(json) + "\n");
  remove_others(folder, name);
}

std::optional<TrainState> load_checkpoint(const std::string& folder,
                                          const std::string& identity,
                                          int64_t num_values) {
  const std::string path = json_path(folder);
  if (!fs::exists(path)) return std::nullopt;
  TrainState state;
  std::string tensors, digest;
  try {
    const Json json = parse_json(read_file(path, 1 << 20), path);
    const int64_t version = json_int(json, "version", path);
    if (version != kVersion) {
      damaged(path, str("version ", kVersion), str("version ", version));
    }
    const std::string found = json_string(json, "identity", path);
    if (found != identity) {
      damaged(path,
              "a checkpoint of this model, these samples and these settings (" +
                  identity + ")",
              "one of others, or of selfalign 0.5.0 or before (" + found + ")");
    }
    tensors = json_string(json, "tensors", path);
    digest = json_string(json, "tensors_digest", path);
    state.step = json_int_in(json, "step", path, 0, kMaxCount);
    state.packs_done = json_int_in(json, "packs_done", path, 0, kMaxCount);
    state.loss_sum = json_number(json, "loss_sum", path);
    state.tokens_done = json_int_in(json, "tokens_done", path, 0, kMaxCount);
    state.loss_before = json_number(json, "loss_before", path);
    if (json.contains("loss_after")) {
      state.loss_after = json_number(json, "loss_after", path);
    }
    if (!is_tensor_file(tensors)) {
      damaged(path, "the name of a checkpoint file", "'" + tensors + "'");
    }
    const std::string found_digest = digest_file(folder + "/" + tensors);
    if (found_digest != digest) {
      damaged(folder + "/" + tensors, "digest " + digest, found_digest);
    }
    read_vectors(folder + "/" + tensors, num_values, state);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kDamaged) throw;
    throw Error(ErrorKind::kDamaged,
                str(error.what(),
                    " (a checkpoint: restore the files, or move the folder "
                    "away to train anew)"));
  }
  return state;
}

}  // namespace selfalign::train
