// SPDX-License-Identifier: Apache-2.0
#include "base/profile.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

namespace selfalign {
namespace {

constexpr size_t kBuffer = size_t{1} << 16;  // bytes, then they are written

// The thread's step and part.
thread_local ProfileStep* step_at_work = nullptr;
thread_local ProfilePart* part_at_work = nullptr;

struct Writer {
  std::mutex mutex;
  std::ofstream file;  // not open: there is none, or it could not be written
  std::string path;
  std::string buffer;
  ProfileClock::time_point begin;

  // Under the mutex.
  void flush() {
    if (!file.is_open()) return;
    file.write(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    file.flush();
    buffer.clear();
    if (file) return;
    log_warning(str("cannot write to ", path, ": ", std::strerror(errno),
                    "; the profile ends here"));
    profile_state::is_on = false;
    file.close();
  }
};

Writer& writer() {
  static Writer& writer = *new Writer;
  return writer;
}

double microseconds(ProfileClock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void write_event(const std::string& name, ProfileClock::time_point begin,
                 ProfileClock::duration time,
                 const std::vector<std::pair<const char*, int64_t>>& notes) {
  static const auto process = static_cast<int64_t>(::getpid());
  thread_local const auto thread = static_cast<int64_t>(::syscall(SYS_gettid));
  Writer& out = writer();
  const std::lock_guard lock(out.mutex);
  if (!out.file.is_open()) return;
  Json event{{"name", name},
             {"ph", "X"},
             {"pid", process},
             {"tid", thread},
             {"ts", microseconds(begin - out.begin)},
             {"dur", microseconds(time)}};
  for (const auto& [note, value] : notes) event["args"][note] = value;
  out.buffer += dump_json(event) + ",\n";
  if (out.buffer.size() >= kBuffer) out.flush();
}

}  // namespace

Profile::Profile(const std::string& path) {
  if (path.empty()) return;
  Writer& out = writer();
  const std::lock_guard lock(out.mutex);
  SELFALIGN_CHECK(!out.file.is_open(), "a second profile");
  out.file = std::ofstream(path, std::ios::trunc);
  if (!out.file.is_open()) {
    throw Error(ErrorKind::kInput,
                str("cannot write the profile to ", path, ": ",
                    std::strerror(errno), "; name another file"));
  }
  out.path = path;
  out.buffer = "[\n";
  out.begin = ProfileClock::now();
  profile_state::is_on = true;
}

Profile::~Profile() {
  profile_state::is_on = false;
  Writer& out = writer();
  const std::lock_guard lock(out.mutex);
  if (!out.file.is_open()) return;
  // An event that says whose they are, and ends the list of commas.
  out.buffer += dump_json(Json{{"name", "process_name"},
                               {"ph", "M"},
                               {"pid", static_cast<int64_t>(::getpid())},
                               {"args", {{"name", "selfalign"}}}}) +
                "\n]\n";
  out.flush();
  out.file.close();
}

ProfileSlice::~ProfileSlice() {
  if (begin_ == ProfileClock::time_point() || !is_profiled()) return;
  write_event(name_, begin_, ProfileClock::now() - begin_, notes_);
}

void ProfileSlice::note(const char* name, int64_t value) {
  if (is_profiled()) notes_.emplace_back(name, value);
}

ProfileStep::ProfileStep(const char* name)
    : ProfileSlice(name), is_at_work_(is_profiled()) {
  if (is_at_work_) outer_ = std::exchange(step_at_work, this);
}

ProfileStep::~ProfileStep() {
  if (!is_at_work_) return;
  step_at_work = outer_;
  ProfileClock::time_point at = begin_;
  for (const auto& [name, time] : parts_) {
    write_event(name, at, time, {});
    at += time;
  }
}

void ProfileStep::add(const char* part, ProfileClock::duration time) {
  const auto found = std::find_if(
      parts_.begin(), parts_.end(),
      [part](const auto& one) { return std::strcmp(one.first, part) == 0; });
  if (found == parts_.end()) {
    parts_.emplace_back(part, time);
  } else {
    found->second += time;
  }
}

void ProfileWindow::turn() {
  constexpr std::chrono::milliseconds kLength(100);
  if (!is_profiled()) return;
  const auto now = ProfileClock::now();
  if (step_ && now - begin_ < kLength) return;
  step_.reset();
  step_.emplace(name_);
  begin_ = now;
}

ProfilePart::ProfilePart(const char* name) : name_(name) {
  if (step_at_work == nullptr) return;
  outer_ = std::exchange(part_at_work, this);
  begin_ = ProfileClock::now();
}

ProfilePart::~ProfilePart() {
  if (part_at_work != this) return;
  const ProfileClock::duration time = ProfileClock::now() - begin_;
  part_at_work = outer_;
  if (outer_ != nullptr) outer_->inner_ += time;
  if (step_at_work != nullptr) step_at_work->add(name_, time - inner_);
}

void profile_split(ProfileClock::duration time, const char* one,
                   int64_t one_share, const char* other, int64_t other_share) {
  if (step_at_work == nullptr) return;
  const double whole = std::max<double>(1, double(one_share + other_share));
  const auto first = std::chrono::duration_cast<ProfileClock::duration>(
      time * (double(one_share) / whole));
  if (one_share > 0) step_at_work->add(one, first);
  if (other_share > 0) step_at_work->add(other, time - first);
}

}  // namespace selfalign
