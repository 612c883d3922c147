// SPDX-License-Identifier: Apache-2.0
// Prompt files, which stand in place of the repository's: the first byte says
// of which.
#include "recipe/prompts.h"

#include "fuzz.h"

namespace recipe = selfalign::recipe;

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto& files = recipe::prompt_files();
  const auto kind = static_cast<unsigned char>(bytes[0]) % files.size();
  const std::string folder = fuzz_folder();
  fuzz_write(folder + "/" + files[kind], bytes.substr(1));
  const auto prompts = recipe::load_prompts("prompts", {folder});
  recipe::align_prefix(prompts);
  recipe::align_suffix(prompts, "Why?");
}
