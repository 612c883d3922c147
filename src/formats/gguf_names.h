// SPDX-License-Identifier: Apache-2.0
// How GGUF files name a model's tensors, and how each architecture lays them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::formats {

// How an architecture names what stands in its blocks.
enum class GgufNaming {
  kPlain,
  kNormsBehind,  // norms behind attention and MLP, too
  kFusedGate,    // the gate in front of the way up, in one tensor
};

// The tensor's name as open_hf_tensors has it, and back; "" if it has no place
// in such a model.
std::string hf_tensor_name(const std::string& gguf_name, GgufNaming naming);
std::string gguf_tensor_name(const std::string& hf_name, GgufNaming naming);

// What a file of an architecture is like, for who writes one.
struct GgufForm {
  std::string architecture;
  // Rows of q and k lie in the order of ggml's plain rope.
  bool interleaves = false;
  GgufNaming naming = GgufNaming::kPlain;
  std::vector<const char*> more;  // keys beside those of all

  bool has_key(std::string_view key) const;
};
// By ModelConfig::family; none where GGUF has none that this program reads.
std::optional<GgufForm> gguf_form(const std::string& family);

}  // namespace selfalign::formats
