// SPDX-License-Identifier: Apache-2.0
#include "backup/archive_target.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "backup/changes.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/shown.h"

namespace selfalign::backup {
namespace {

constexpr char kAgain[] = "run the same command again";

}  // namespace

CommandInput::Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(ErrorKind::kResources,
                str("cannot make a pipe: ", std::strerror(errno),
                    "; run the same command again"));
  }
  reading = ends[0];
  writing = ends[1];
  ::fcntl(writing, F_SETFL, O_NONBLOCK);
}

CommandInput::Pipe::~Pipe() {
  close(reading);
  close(writing);
}

void CommandInput::Pipe::close(int& end) {
  if (end >= 0) ::close(std::exchange(end, -1));
}

CommandInput::CommandInput(std::string command)
    : command_(std::move(command)), child_(command_, pipe_.reading) {
  Pipe::close(pipe_.reading);
}

// To the command the pipe's end would be that of a whole archive.
CommandInput::~CommandInput() {
  if (pipe_.writing >= 0) child_.kill();
}

void CommandInput::fail(const std::string& how) const {
  throw Error(ErrorKind::kFailed,
              str("the command \"", shown(command_, 200), "\" ", how,
                  "; look at what it wrote, then run the same command again"));
}

int CommandInput::end_of_command() {
  for (;;) {
    if (const std::optional<int> status = child_.status()) return *status;
    stop_if_interrupted(kAgain);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void CommandInput::write(std::string_view bytes) {
  constexpr int kWaitMs = 200;
  while (!bytes.empty()) {
    stop_if_interrupted(kAgain);
    const ssize_t n = ::write(pipe_.writing, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      fail(str("read no further and ended with status ", end_of_command()));
    } else if (errno == EAGAIN) {
      pollfd waits{pipe_.writing, POLLOUT, 0};
      ::poll(&waits, 1, kWaitMs);
    } else if (errno != EINTR) {
      fail(str("cannot be written to: ", std::strerror(errno)));
    }
  }
}

void CommandInput::finish() {
  Pipe::close(pipe_.writing);
  const int status = end_of_command();
  if (status != 0) fail(str("ended with status ", status));
}

ArchiveTarget::ArchiveTarget(const std::string& command)
    : input_(command),
      tar_([this](std::string_view bytes) { input_.write(bytes); }) {}

bool ArchiveTarget::holds(const std::string& sha256, int64_t /*size*/) const {
  return held_.contains(sha256);
}

// An entry whose content became another is one that no manifest names: whoever
// restores passes it over.
bool ArchiveTarget::add(const SourceFile& source, const std::string& sha256) {
  tar_.begin(std::string(kFiles) + "/" + sha256, source.size());
  const std::string found =
      source.read([this](std::string_view piece) { tar_.add(piece); });
  if (found != sha256) return false;
  held_.insert(sha256);
  ++written_.num_files;
  written_.num_bytes = tar_.num_bytes();
  return true;
}

void ArchiveTarget::commit(Manifest& manifest, const std::string& store) {
  const auto source = SourceFile::open(store);
  SELFALIGN_CHECK(source);
  tar_.begin(kStore, source->size());
  const std::string sha256 =
      source->read([this](std::string_view piece) { tar_.add(piece); });
  manifest.store = {source->size(), sha256, ""};
  const std::string text = manifest_text(manifest);
  tar_.begin(kManifest, static_cast<int64_t>(text.size()));
  tar_.add(text);
  tar_.finish();
  input_.finish();
  written_.num_blocks = num_blocks_of(source->size());
  written_.num_bytes = tar_.num_bytes();
}

}  // namespace selfalign::backup
