// SPDX-License-Identifier: Apache-2.0
// Steps of writing a backup or a run of one. Error kResources where the disk
// does not take it.
#pragma once

#include <string>

#include "backup/source_file.h"

namespace selfalign::backup {

// That Error; `error` is errno's value.
[[noreturn]] void fail_write(const std::string& path, int error);
// Copies `source` to a new file `path`; false, and no file, where its content
// is not what `sha256` says. The content is durable when it returns, its name
// once its folder is.
bool copy_file(const SourceFile& source, const std::string& sha256,
               const std::string& path);
// In place of what is at `to`, at once.
void rename_file(const std::string& from, const std::string& to);
// Makes the names in it durable.
void sync_folder(const std::string& folder);

}  // namespace selfalign::backup
