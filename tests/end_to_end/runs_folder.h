// SPDX-License-Identifier: Apache-2.0
// Where tests make their runs, and whether a run is sound.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"

namespace selfalign::tests {

// A folder that goes away with the object, in memory where that can be. Until
// then only errors are logged, and no progress is shown.
class RunsFolder {
 public:
  RunsFolder();
  ~RunsFolder();

  const std::string& folder() const { return root_.path(); }
  std::string path(const std::string& name) const {
    return folder() + "/" + name;
  }

 private:
  ScratchFolder root_;
};

// Whether verify finds no problem in the run and plays it again to its end.
testing::AssertionResult is_sound(const std::string& run_folder);

}  // namespace selfalign::tests
