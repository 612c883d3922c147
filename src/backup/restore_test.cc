// SPDX-License-Identifier: Apache-2.0
// Backups that are damaged, or made by somebody who means harm.
#include "backup/restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "backup/manifest.h"
#include "backup/tar.h"
#include "backup/testing.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/testing.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RestoreTest : public BackupFolder {
 protected:
  RestoreTest() {
    make_run();
    back_up_run();
  }
  // Nothing is left of a restore that was refused.
  std::string refused(ErrorKind kind = ErrorKind::kInput,
                      const std::string& backup = "backup") const {
    const auto before = list_folder(scratch_.path());
    const std::string text =
        refusal_of([&] { restore(path(backup), path("restored")); }, kind);
    EXPECT_EQ(list_folder(scratch_.path()), before);
    return text;
  }
  Json manifest() const {
    return parse_json(read_file(path("backup/backup.json")), "manifest");
  }
  void put(const Json& manifest) const {
    write("backup/backup.json", dump_json(manifest));
  }
  std::string refused_with_path(const std::string& its) const {
    const Json right = manifest();
    Json other = right;
    other["files"][0]["path"] = its;
    put(other);
    const std::string text = refused();
    put(right);
    return text;
  }
  // An archive of the backup, or of what `change` makes of its entries.
  using Files = std::vector<std::pair<std::string, std::string>>;
  void make_archive(const std::function<void(Files&)>& change = {}) const {
    Files files;
    for (const fs::path file : list_files_below(path("backup"))) {
      if (file.filename() == "lock") continue;
      files.emplace_back(file.lexically_relative(path("backup")),
                         read_file(file));
    }
    if (change) change(files);
    std::string archive;
    TarWriter tar([&](std::string_view bytes) { archive += bytes; });
    for (const auto& [name, content] : files) {
      tar.begin(name, static_cast<int64_t>(content.size()));
      tar.add(content);
    }
    tar.finish();
    write("a.tar", archive);
  }
};

TEST_F(RestoreTest, WhatIsThereStays) {
  for (const char* name : {"run", "link", "file"}) {
    if (*name == 'l') fs::create_symlink("nowhere", path("link"));
    if (*name == 'f') write("file", "");
    EXPECT_THAT(refusal_of([&] { restore(path("backup"), path(name)); },
                           ErrorKind::kUsage),
                HasSubstr("expected nothing there"));
  }
  EXPECT_THAT(refused(ErrorKind::kInput, "none"), HasSubstr("cannot read"));
  EXPECT_THAT(refused(ErrorKind::kInput, "run"), HasSubstr("no backup.json"));
}

TEST_F(RestoreTest, AnArchiveIsAsGoodAsAFolder) {
  make_archive([](Files& files) { files[0].first = "./" + files[0].first; });
  const RestoreReport report = restore(path("a.tar"), path("restored"));
  EXPECT_EQ(report.num_files, 4);
  EXPECT_EQ(report.of, path("run"));
  EXPECT_EQ(read_file(path("restored/report.html")), "a report");
  EXPECT_EQ(fs::status(path("restored")).permissions(), fs::perms(0700));
}

TEST_F(RestoreTest, APathThatLeadsElsewhereIsRefused) {
  for (const char* its : {"../escaped", "/escaped", "a/../../escaped", "a/..",
                          "..", ".", "", "a//b", "a/", "./a", "a/./b"}) {
    EXPECT_THAT(refused_with_path(its), HasSubstr("within a run's folder"))
        << its;
  }
  EXPECT_THAT(refused_with_path(std::string("a\0b", 3)),
              HasSubstr("within a run's folder"));
  EXPECT_THAT(refused_with_path(std::string(300, 'a')),
              HasSubstr("within a run's folder"));
  EXPECT_THAT(refused_with_path(std::string(5000, 'a')),
              HasSubstr("within a run's folder"));
  for (const char* its :
       {"run.db", "run.db-wal", "run.db-journal", "run.db/x", "run.lock"}) {
    EXPECT_THAT(refused_with_path(its), HasSubstr("beside its store")) << its;
  }
  EXPECT_THAT(refused_with_path("report.html"), HasSubstr("each path once"));
  EXPECT_THAT(refused_with_path("report.html/x"),
              HasSubstr("a folder of another"));
}

TEST_F(RestoreTest, SizesAndDigestsAreChecked) {
  const Json right = manifest();
  const auto with = [&](const std::function<void(Json&)>& change) {
    Json other = right;
    change(other);
    put(other);
  };
  with([](Json& json) { json["files"][0]["size"] = -1; });
  EXPECT_THAT(refused(), HasSubstr("expected a size"));
  with([](Json& json) { json["files"][0]["size"] = int64_t{1} << 62; });
  EXPECT_THAT(refused(), HasSubstr("expected a size"));
  with([](Json& json) { json["files"][0]["size"] = int64_t{1} << 59; });
  EXPECT_THAT(refused(ErrorKind::kResources), HasSubstr("has room for"));
  with([](Json& json) { json["files"][0]["size"] = 3; });
  EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("expected 3 bytes"));
  with([](Json& json) { json["files"][0]["sha256"] = "../../etc/passwd"; });
  EXPECT_THAT(refused(), HasSubstr("64 hex digits"));
  with([](Json& json) { json["store"]["changes"] = "../x"; });
  EXPECT_THAT(refused(), HasSubstr("64 hex digits"));
  with([](Json& json) { json["store"]["sha256"] = std::string(64, '0'); });
  EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("run.db: expected SHA"));
  with([](Json& json) { json["format"] = "selfalign backup 2"; });
  EXPECT_THAT(refused(), HasSubstr("use the program that made it"));
  with([](Json& json) { json.erase("files"); });
  EXPECT_THAT(refused(), HasSubstr("files"));
  // Blocks of a store far behind its end.
  write("backup/changes-" + sha256_bytes(""), "");
  with([](Json& json) {
    json["store"]["changes"] = sha256_bytes("");
    json["store"]["size"] = 1'000'000'000;
  });
  EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("1000000000 bytes"));
}

TEST_F(RestoreTest, EveryFlippedBitOfContentIsFound) {
  std::vector<std::string> paths = list_files_below(path("backup/files"));
  paths.push_back(path("backup/run.db"));
  for (const std::string& file : paths) {
    const std::string right = read_file(file);
    for (const size_t at : {size_t{0}, right.size() / 2, right.size() - 1}) {
      std::string wrong = right;
      wrong[at] = static_cast<char>(wrong[at] ^ 1);
      write_file_atomic(file, wrong);
      EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("use another"));
    }
    write_file_atomic(file, right);
  }
  for (const std::string& file : paths) {
    fs::rename(file, path("away"));
    EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("found none"));
    fs::create_symlink(path("away"), file);
    EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("this is a link"));
    fs::remove(file);
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    EXPECT_THAT(refused(ErrorKind::kDamaged), HasSubstr("found none"));
    fs::rename(path("away"), file);
  }
}

// A store that is another than this program's, with digests that agree.
TEST_F(RestoreTest, AStoreThatIsNotSoundIsRefused) {
  Json other = manifest();
  std::string bytes = read_file(path("backup/run.db"));
  bytes.replace(bytes.size() - 200, 100, std::string(100, '\xff'));
  for (const std::string& store : {bytes, std::string("no store")}) {
    write("backup/run.db", store);
    other["store"] = {{"size", store.size()},
                      {"sha256", sha256_bytes(store)},
                      {"changes", ""}};
    put(other);
    refused(ErrorKind::kDamaged);
  }
}

// ... nor is a run whose files are not those that its store names.
TEST_F(RestoreTest, AFileThatTheStoreDoesNotKnowIsRefused) {
  Json other = manifest();
  for (Json& file : other["files"]) {
    if (file["path"] != "engraved/adapter/weights") continue;
    file["sha256"] = sha256_bytes("other");
    file["size"] = 5;
  }
  write("backup/files/" + sha256_bytes("other"), "other");
  put(other);
  EXPECT_THAT(refused(ErrorKind::kDamaged),
              HasSubstr("expected a file that the run wrote"));
}

TEST_F(RestoreTest, AnArchiveHoldsNothingElse) {
  for (const char* name :
       {"../escaped", "/escaped", "files/../../escaped", "files/x", "escaped",
        "changes-x", "files", "run.db-wal"}) {
    make_archive([&](Files& files) { files.emplace_back(name, "x"); });
    EXPECT_THAT(refused(ErrorKind::kInput, "a.tar"),
                HasSubstr("expected the files of a backup"))
        << name;
  }
  // 1: a hard link, 2: a link, 3: a device, 6: a pipe.
  for (const char kind : {'1', '2', '3', '4', '6', '7', 'x', 'L'}) {
    make_archive([](Files& files) {
      files.insert(files.begin(), {"run.db", ""});
    });
    std::string archive = read_file(path("a.tar"));
    const int sum = std::stoi(archive.substr(148, 6), nullptr, 8);
    archive[156] = kind;
    char text[8];
    std::snprintf(text, sizeof(text), "%06o", sum - '0' + kind);
    write("a.tar", archive.replace(148, 6, text));
    EXPECT_THAT(refused(ErrorKind::kInput, "a.tar"),
                HasSubstr("expected the files of a backup"))
        << kind;
  }
  make_archive([](Files& files) { files.erase(files.begin()); });
  EXPECT_THAT(refused(ErrorKind::kInput, "a.tar"), HasSubstr("no backup.json"));
  make_archive([](Files& files) { files.erase(files.begin() + 1); });
  EXPECT_THAT(refused(ErrorKind::kDamaged, "a.tar"), HasSubstr("found none"));
  make_archive();
  const std::string archive = read_file(path("a.tar"));
  for (size_t size = 0; size + 1024 < archive.size();
       size += archive.size() / 7) {
    write("a.tar", archive.substr(0, size));
    EXPECT_THAT(refused(ErrorKind::kInput, "a.tar"), HasSubstr("cut short"));
  }
  // Of two of one name the last counts, and it is no other.
  make_archive([](Files& files) { files.emplace_back("run.db", "other"); });
  refused(ErrorKind::kDamaged, "a.tar");
}

}  // namespace
}  // namespace selfalign::backup
