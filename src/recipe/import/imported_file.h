// SPDX-License-Identifier: Apache-2.0
// What became of files that were imported.
#pragma once

#include <string>
#include <vector>

namespace selfalign::recipe {

struct ImportedFile {
  std::string path;
  std::string became;    // what it was taken for and where it went; "": nowhere
  std::string left_out;  // of it, or why all of it; "": nothing
};

struct ImportReport {
  std::vector<ImportedFile> files;   // in the order they were looked at
  std::vector<std::string> written;  // names of files in the output folder
  std::vector<std::string> notes;    // what a person should look at
};

}  // namespace selfalign::recipe
