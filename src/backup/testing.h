// SPDX-License-Identifier: Apache-2.0
// A small run and its backup, for tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "backup/backup.h"
#include "backup/folder_target.h"
#include "base/file.h"
#include "base/sha256.h"
#include "store/signing.h"
#include "store/store.h"

namespace selfalign::backup {

class BackupFolder : public testing::Test {
 protected:
  std::string path(const std::string& name) const {
    return scratch_.path() + "/" + name;
  }
  void write(const std::string& name, std::string_view text) const {
    make_folder(std::filesystem::path(path(name)).parent_path());
    write_file_atomic(path(name), text);
  }
  // Rows `begin` to `end` of a stage, each with a completion.
  static void add_rows(store::Store& store, int begin, int end) {
    store.transaction([&] {
      for (int i = begin; i < end; ++i) {
        const auto key = sha256_bytes(std::to_string(i)).substr(0, 15);
        const uint64_t number = std::stoull(key, nullptr, 16);
        store.add_rows({{number, "a", i, {}, Json{{"text", key}}}});
        store.add_completion(
            {{.key = number, .text = std::string(200, 'x')}, "", "f", 1.0});
      }
    });
  }
  // A run with a result that its store names, a report and a checkpoint.
  std::unique_ptr<store::Store> make_run(int num_rows = 20) const {
    auto store = store::Store::open(path("run"));
    add_rows(*store, 0, num_rows);
    write("run/recipe.resolved.yaml", "name: small\n");
    write("run/engraved/adapter/weights", std::string(100'000, 'w'));
    write("run/engraved/checkpoint.json", "{}");
    write("run/report.html", "a report");
    store->keep_files({"engraved/adapter/weights", "report.html"});
    return store;
  }
  BackupReport back_up_run() const {
    FolderTarget target(path("backup"), path("run"));
    return back_up(path("run"), target);
  }

  // In memory where that can be: there fsync has nothing to wait for.
  const ScratchFolder scratch_{access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ""};
};

}  // namespace selfalign::backup
