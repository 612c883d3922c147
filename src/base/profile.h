// SPDX-License-Identifier: Apache-2.0
// Where time goes, in a file that Perfetto (ui.perfetto.dev) and Chrome's
// tracing open: a JSON array of trace events ("Trace Event Format", complete
// events "X"), whose end may be missing where a program was killed. Nothing is
// measured while no profile is written. All from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace selfalign {

namespace profile_state {
inline std::atomic<bool> is_on = false;
}
inline bool is_profiled() {
  return profile_state::is_on.load(std::memory_order_relaxed);
}

// While it lives, a profile is written to `path`; "": none. One at a time.
// Error kInput where it cannot be made; a disk that is full later ends it with
// a warning.
class Profile {
 public:
  explicit Profile(const std::string& path);
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
};

using ProfileClock = std::chrono::steady_clock;

// A slice of its thread's time, from here to the end of the scope.
class ProfileSlice {
 public:
  explicit ProfileSlice(std::string name)
      : begin_(is_profiled() ? ProfileClock::now()
                             : ProfileClock::time_point()),
        name_(std::move(name)) {}
  ~ProfileSlice();
  ProfileSlice(const ProfileSlice&) = delete;
  ProfileSlice& operator=(const ProfileSlice&) = delete;
  // Shown with it.
  void note(const char* name, int64_t value);

 protected:
  ProfileClock::time_point begin_;
  std::string name_;
  std::vector<std::pair<const char*, int64_t>> notes_;
};

// A step of many short parts: it is one slice, and within it one for each kind
// of part, as long as all of these were together, side by side in the order in
// which they first came.
class ProfileStep : public ProfileSlice {
 public:
  explicit ProfileStep(const char* name);
  ~ProfileStep();

 private:
  friend class ProfilePart;
  friend void profile_split(ProfileClock::duration, const char*, int64_t,
                            const char*, int64_t);
  void add(const char* part, ProfileClock::duration time);

  ProfileStep* outer_ = nullptr;
  bool is_at_work_ = false;
  std::vector<std::pair<const char*, ProfileClock::duration>> parts_;
};

// Steps of a loop without any of its own: one after the other, each of a tenth
// of a second or what a turn takes.
class ProfileWindow {
 public:
  explicit ProfileWindow(const char* name) : name_(name) {}
  // At the begin of each turn.
  void turn();

 private:
  const char* const name_;
  ProfileClock::time_point begin_;
  std::optional<ProfileStep> step_;
};

// A part of the step at work on this thread, if there is one. What is a part
// within it does not count to it.
class ProfilePart {
 public:
  explicit ProfilePart(const char* name);
  ~ProfilePart();
  ProfilePart(const ProfilePart&) = delete;
  ProfilePart& operator=(const ProfilePart&) = delete;

 private:
  const char* const name_;
  ProfilePart* outer_ = nullptr;
  ProfileClock::time_point begin_;
  ProfileClock::duration inner_{};
};

// Two parts that several threads did mixed: the time it took, divided as their
// shares of the threads' time were.
void profile_split(ProfileClock::duration time, const char* one,
                   int64_t one_share, const char* other, int64_t other_share);

}  // namespace selfalign
