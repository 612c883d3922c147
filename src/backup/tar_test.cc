// SPDX-License-Identifier: Apache-2.0
#include "backup/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::backup {
namespace {

using testing::HasSubstr;

struct File {
  std::string name;
  std::string content;
  bool operator==(const File&) const = default;
};

std::string archive_of(const std::vector<File>& files) {
  std::string archive;
  TarWriter tar([&](std::string_view bytes) { archive += bytes; });
  for (const File& file : files) {
    tar.begin(file.name, static_cast<int64_t>(file.content.size()));
    tar.add(file.content);
  }
  tar.finish();
  EXPECT_EQ(tar.num_bytes(), static_cast<int64_t>(archive.size()));
  return archive;
}

// The header of an archive with its sum made right.
std::string with_sum(std::string archive) {
  archive.replace(148, 8, std::string(8, ' '));
  int sum = 0;
  for (const char c : archive.substr(0, 512)) {
    sum += static_cast<unsigned char>(c);
  }
  char text[8];
  std::snprintf(text, sizeof(text), "%06o", sum);
  return archive.replace(148, 7, text, 7);
}

class TarTest : public testing::Test {
 protected:
  std::string write(const std::string& archive) const {
    const std::string path = scratch_.path() + "/a.tar";
    write_file_atomic(path, archive);
    return path;
  }
  std::vector<File> read(const std::string& archive) const {
    TarReader tar(write(archive));
    std::vector<File> files;
    while (const auto entry = tar.next()) {
      EXPECT_TRUE(entry->is_file) << entry->kind;
      files.push_back({entry->name, ""});
      tar.read([&](std::string_view piece) { files.back().content += piece; });
    }
    return files;
  }
  std::string refused(const std::string& archive) const {
    return refusal_of([&] { read(archive); });
  }

  const std::vector<File> files_ = {{"run.db", std::string(3'000'000, 'd')},
                                    {"empty", ""},
                                    {"files/a", std::string(512, 'f')},
                                    {"files/b", "short"}};
  const ScratchFolder scratch_;
};

TEST_F(TarTest, IsReadAsItWasWritten) {
  EXPECT_EQ(read(archive_of(files_)), files_);
  EXPECT_TRUE(read(archive_of({})).empty());
  // Entries are passed over unread.
  TarReader tar(write(archive_of(files_)));
  for (const File& file : files_) EXPECT_EQ(tar.next()->name, file.name);
  EXPECT_FALSE(tar.next());
}

TEST_F(TarTest, TarReadsItToo) {
  const std::string path = write(archive_of(files_));
  const std::string folder = scratch_.path() + "/unpacked";
  make_folder(folder);
  ASSERT_EQ(std::system(("tar -xf " + path + " -C " + folder).c_str()), 0);
  for (const File& file : files_) {
    EXPECT_EQ(read_file(folder + "/" + file.name), file.content);
  }
  // And what it writes is read here, links and folders named as such.
  ASSERT_EQ(std::system(("ln -s run.db " + folder + "/link && tar -cf " + path +
                         " -C " + folder + " .")
                            .c_str()),
            0);
  TarReader tar(path);
  std::map<std::string, std::string> kinds;
  while (const auto entry = tar.next()) kinds[entry->name] = entry->kind;
  EXPECT_EQ(kinds.at("./run.db"), "");
  EXPECT_EQ(kinds.at("./files/"), "a folder");
  EXPECT_EQ(kinds.at("./link"), "a link");
}

TEST_F(TarTest, SizesOfEightGibibytesAndMoreAreWhole) {
  for (const int64_t size :
       {(int64_t{1} << 33) - 1, int64_t{1} << 33, int64_t{1} << 45}) {
    std::string archive;
    TarWriter tar([&](std::string_view bytes) { archive += bytes; });
    tar.begin("big", size);
    EXPECT_THAT(refused(archive), HasSubstr(str("an entry of ", size)));
  }
}

TEST_F(TarTest, WhatIsCutShortOrNoneIsRefused) {
  const std::string archive = archive_of({{"a", "content"}, {"b", ""}});
  for (size_t size = 0; size < archive.size() - 512; size += 64) {
    EXPECT_THAT(refused(archive.substr(0, size)), HasSubstr("cut short"))
        << size;
  }
  std::string other = archive;
  other[0] = 'x';
  EXPECT_THAT(refused(other), HasSubstr("no header"));
  EXPECT_THAT(refused(std::string(2000, 'x')), HasSubstr("no header"));
  for (const char* size :
       {"77777777777", "-1         ", "           ", "9          "}) {
    other = archive;
    other.replace(124, 11, size);
    EXPECT_THAT(refused(with_sum(other)), HasSubstr("found a")) << size;
  }
  for (const char first : {'\x80', '\xff', '\x81'}) {
    other = archive;
    other.replace(124, 12, std::string(1, first) + std::string(11, '\xff'));
    EXPECT_THAT(refused(with_sum(other)), HasSubstr("found a")) << first;
  }
  EXPECT_THAT(refusal_of([] { TarReader("/dev/zero"); }),
              HasSubstr("no regular file"));
  EXPECT_THAT(refusal_of([] { TarReader("not there"); }),
              HasSubstr("No such file"));
}

}  // namespace
}  // namespace selfalign::backup
