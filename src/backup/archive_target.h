// SPDX-License-Identifier: Apache-2.0
// A backup as one archive, for the stdin of a command: files/SHA-256, run.db
// and at last backup.json, as tar. A backup's folder has the same files.
#pragma once

#include <set>
#include <string>

#include "backup/tar.h"
#include "backup/target.h"
#include "base/child_process.h"

namespace selfalign::backup {

// The stdin of a command line, which /bin/sh runs in this process's folder
// (base/child_process.h).
class CommandInput {
 public:
  // Error kResources where it cannot be started.
  explicit CommandInput(std::string command);
  // Before finish(): ends the command, which never sees an end of its input.
  ~CommandInput();
  CommandInput(const CommandInput&) = delete;
  CommandInput& operator=(const CommandInput&) = delete;

  // Waits while the command takes no more. Error kFailed, with its status,
  // where it reads no further, kInterrupted after a signal.
  void write(std::string_view bytes);
  // Ends the input and waits for the command; Error kFailed names a status
  // other than 0.
  void finish();

 private:
  [[noreturn]] void fail(const std::string& how) const;
  int end_of_command();

  struct Pipe {
    Pipe();
    ~Pipe();
    static void close(int& end);
    int reading = -1, writing = -1;  // ends; writing never blocks
  };

  const std::string command_;
  Pipe pipe_;
  ChildProcess child_;
};

class ArchiveTarget : public Target {
 public:
  explicit ArchiveTarget(const std::string& command);

  const BackedFile* last(const std::string&) const override { return nullptr; }
  bool holds(const std::string& sha256, int64_t size) const override;
  bool add(const SourceFile& source, const std::string& sha256) override;
  void commit(Manifest& manifest, const std::string& store) override;

 private:
  CommandInput input_;
  TarWriter tar_;
  std::set<std::string> held_;
};

}  // namespace selfalign::backup
