// SPDX-License-Identifier: Apache-2.0
#include "stages/run.h"

#include "base/error.h"
#include "base/own_file.h"
#include "recipe/run_files.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

generate::Generator& Models::base() { return open("base", ""); }

generate::Generator& Models::tuned(const std::string& folder) {
  const Variant* variant = find_variant(folder);
  SELFALIGN_CHECK(variant != nullptr, folder);
  const std::string result = variant->result(recipe_);
  require_own_path(store_.folder(), result);
  return open(folder, store_.folder() + "/" + result);
}

void Models::close() {
  generator_.reset();
  name_.clear();
}

generate::Generator& Models::open(const std::string& name,
                                  const std::string& adapter) {
  if (generator_ && name_ == name) return *generator_;
  close();
  generator_ = workbench_.open_generator(recipe_.model, adapter);
  name_ = name;
  const std::string key = "fingerprint." + name;
  const std::string found = generator_->fingerprint();
  const auto expected = store_.meta(key);
  if (!expected) {
    store_.set_meta(key, found);
  } else if (*expected != found) {
    throw Error(
        ErrorKind::kUsage,
        str(store_.folder(), ": expected the ", name,
            " model this run was begun with, found another (",
            recipe::fingerprint_difference(*expected, found),
            "); go on with that model, device and version, or make a run of "
            "this one: selfalign resume ",
            store_.folder(), " --fork NEW --recipe RECIPE"));
  }
  return *generator_;
}

}  // namespace selfalign::stages
