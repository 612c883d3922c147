// SPDX-License-Identifier: Apache-2.0
#include "formats/model_path.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lfs_pointer.h"
#include "formats/gguf.h"

namespace selfalign::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "GGUF";

// The first bytes of a regular file, fewer where it has fewer.
std::string beginning(const std::string& path, size_t count) {
  std::string bytes(count, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return bytes;
}

bool is_named_gguf(const std::string& path) {
  std::string suffix = fs::path(path).extension();
  for (char& c : suffix) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return suffix == ".gguf";
}

// Says of a folder without a model what it is, where that is plain.
void refuse_other_folder(const std::string& path) {
  const auto holds = [&](const char* file) { return is_file(path + file); };
  if (holds("/config.json")) return;
  const auto refuse = [&](const std::string& found) {
    throw Error(ErrorKind::kInput,
                str(path,
                    ": expected a model, which is an HF folder with "
                    "config.json or a GGUF file, found ",
                    found));
  };
  if (holds("/adapter_config.json")) {
    refuse("a PEFT adapter; name its base as the model, and it with --adapter");
  }
  if (holds("/model/config.json")) {
    refuse("a training's folder; name the folder model in it");
  }
  if (holds("/adapter/adapter_config.json")) {
    refuse(
        "a training's folder; name its base as the model, and the folder "
        "adapter in it with --adapter");
  }
}

}  // namespace

bool is_gguf(const std::string& path) {
  return is_file(path) && beginning(path, kMagic.size()) == kMagic;
}

ModelForm model_form(const std::string& path) {
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (fs::is_directory(status)) {
    refuse_other_folder(path);
    return ModelForm::kFolder;
  }
  if (problem) {
    throw Error(ErrorKind::kInput,
                str("cannot open the model ", path, ": ", problem.message(),
                    "; check the path and its rights"));
  }
  std::string found = "something else";
  std::string advice = "check the path";
  if (fs::is_regular_file(status)) {
    if (is_gguf(path) || is_named_gguf(path)) return ModelForm::kGguf;
    const bool pointer = is_lfs_pointer(beginning(path, 64));
    found = pointer ? "a pointer of git-lfs" : "a file of another kind";
    advice = pointer ? "fetch the file itself with: git lfs pull"
                     : "give the folder that holds config.json and the weights";
  }
  throw Error(
      ErrorKind::kInput,
      str(path, ": this is no model, which is an HF folder or a GGUF file: ",
          found, "; ", advice));
}

ModelConfig config_of_folder(const std::string& folder) {
  const std::string path = folder + "/config.json";
  return config_from_json(parse_json(read_file(path, 1 << 20), path), path);
}

ModelFiles open_model_files(const std::string& path) {
  ModelFiles files;
  if (model_form(path) == ModelForm::kGguf) {
    files.gguf = GgufFile::open(path);
    files.config = config_from_gguf(*files.gguf);
    files.tensors = open_gguf_tensors(files.gguf);
  } else {
    files.config = config_of_folder(path);
    files.tensors = open_hf_tensors(path, files.config.family);
  }
  return files;
}

}  // namespace selfalign::formats
