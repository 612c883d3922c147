// SPDX-License-Identifier: Apache-2.0
// What is in a folder. The loops of std::filesystem over one throw an exception
// of their own where it cannot be read or goes away meanwhile; here that is an
// Error with the folder's name (a rule of tools/lint.py).
#pragma once

#include <string>
#include <vector>

namespace selfalign {

// The paths of all that is in it, sorted. Error kInput where that cannot be
// read.
std::vector<std::string> list_folder(const std::string& folder);
// Those of all regular files in it, at any depth; links to folders are not
// followed.
std::vector<std::string> list_files_below(const std::string& folder);

}  // namespace selfalign
