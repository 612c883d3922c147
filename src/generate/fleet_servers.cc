// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_servers.h"

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace selfalign::generate {
namespace {

// How late a server that has nothing to do, or an interrupt, is seen.
constexpr std::chrono::milliseconds kNap(100);
constexpr std::chrono::seconds kLook(1);
// That the others have to open after the first.
constexpr std::chrono::seconds kStart(5);
constexpr size_t kMaxLost = 3;  // servers that give a row no answer
// An idle server asks for another's row that is under way for so many times
// what it takes itself, and at least so long.
constexpr double kLate = 2.0;
constexpr double kLateAtLeastS = 0.5;

constexpr char kNotSame[] = "not the model of ";

double seconds_since(FleetServers::Clock::time_point then) {
  return std::chrono::duration<double>(FleetServers::Clock::now() - then)
      .count();
}

}  // namespace

FleetServers::FleetServers(const FleetOptions& options) : options_(options) {
  SELFALIGN_CHECK(options.num_in_flight > 0 && options.open);
  {
    const std::lock_guard lock(mutex_);
    read_servers(fleet_addresses(options.servers));
  }
  wait_for_first();
}

FleetServers::~FleetServers() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    changed_.notify_all();
  }
  std::string shares;
  for (const auto& lane : lanes_) {
    lane->thread.join();
    if (lane->num_rows == 0) continue;
    shares += str(shares.empty() ? "servers: " : ", ", lane->address, " ",
                  counted(lane->num_rows, "row"));
  }
  if (lanes_.size() > 1 && !shares.empty()) log_info(shares);
}

void FleetServers::begin() {
  const std::lock_guard lock(mutex_);
  begin_ = Clock::now();
}

void FleetServers::add(Request request) {
  const std::lock_guard lock(mutex_);
  is_watched_ = is_watched_ || request.on_text;
  rows_.add(std::move(request));
  // Servers that are at work look for themselves.
  if (rows_.num_waiting() == 1) changed_.notify_all();
}

bool FleetServers::has_enough() const {
  const std::lock_guard lock(mutex_);
  return rows_.num_waiting() >= num_wanted();
}

bool FleetServers::has_rows() const {
  const std::lock_guard lock(mutex_);
  return rows_.num_open() > 0 || !ended_.empty();
}

size_t FleetServers::num_wanted() const {
  size_t num = size_t(options_.num_in_flight);
  for (const auto& lane : lanes_) {
    if (lane->is_open()) num += size_t(lane->window.size());
  }
  return num;
}

std::deque<FleetServers::Ended> FleetServers::take_ended() {
  std::unique_lock lock(mutex_);
  some_ended_.wait_for(lock, kNap, [&] { return !ended_.empty(); });
  return std::exchange(ended_, {});
}

std::vector<FleetRowPtr> FleetServers::watched() const {
  const std::lock_guard lock(mutex_);
  std::vector<FleetRowPtr> all;
  if (!is_watched_) return all;
  for (const auto& [number, row] : rows_.open()) {
    if (row->request.on_text) all.push_back(row);
  }
  return all;
}

bool FleetServers::drop(const FleetRowPtr& row) {
  const std::lock_guard lock(mutex_);
  if (row->is_settled) return false;
  settle(row);
  return true;
}

void FleetServers::drop_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    for (const auto& [key, one] : lane->asked) *one.dropped = true;
  }
  rows_.clear();
  ended_.clear();
  is_watched_ = false;
}

void FleetServers::look_after(bool has_work) {
  if (seconds_since(last_look_) < double(kLook.count())) return;
  last_look_ = Clock::now();
  read_files();
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    const bool others_answer = last_answer_ > lane->last_answer;
    if (others_answer && lane->is_stalled(options_.stall_s, Clock::now())) {
      drain(*lane,
            str("no answer in ", int64_t(seconds_since(lane->last_answer)),
                " s, while others gave theirs"));
    }
  }
  std::vector<FleetRowPtr> lost;
  for (const auto& [number, row] : rows_.open()) {
    if (!row->lost_at.empty()) lost.push_back(row);
  }
  for (const FleetRowPtr& row : lost) give_up_if_lost(row);
  if (!has_work) begin_ = Clock::now();
  const double silent_s = seconds_since(std::max(last_answer_, begin_));
  if (silent_s <= options_.patience_s) return;
  throw Error(
      ErrorKind::kFailed,
      str("servers: expected an answer of one of them, found none in ",
          int64_t(silent_s), " s", problems().empty() ? "" : ":", problems(),
          "\nsee that they run, then run the same command again"));
}

std::vector<std::shared_ptr<Generator>> FleetServers::open_generators() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Generator>> all;
  for (const auto& lane : lanes_) {
    if (lane->is_open()) all.push_back(lane->generator);
  }
  return all;
}

void FleetServers::fail(const std::shared_ptr<Generator>& of,
                        const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (FleetLane* lane = lane_of(of)) drain(*lane, why);
}

FleetLane* FleetServers::lane_of(const std::shared_ptr<Generator>& of) const {
  for (const auto& lane : lanes_) {
    if (lane->generator == of && lane->is_open()) return lane.get();
  }
  return nullptr;
}

std::vector<std::shared_ptr<Generator>> FleetServers::scorers() const {
  {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Generator>> all;
    for (const auto& lane : lanes_) {
      if (lane->is_open() && Clock::now() >= lane->no_scores_until) {
        all.push_back(lane->generator);
      }
    }
    if (!all.empty()) return all;
  }
  return open_generators();
}

void FleetServers::hung_at_scores(const std::shared_ptr<Generator>& of) {
  const std::lock_guard lock(mutex_);
  FleetLane* lane = lane_of(of);
  if (lane == nullptr) return;
  lane->rest_from_scores(options_.stall_s);
  drain(*lane,
        "no answer to what is to be scored, while others gave theirs or had "
        "none to give");
}

void FleetServers::gave_scores(const std::shared_ptr<Generator>& of) {
  const std::lock_guard lock(mutex_);
  if (FleetLane* lane = lane_of(of)) lane->scores_rest_s = 0;
}

void FleetServers::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kNap);
}

std::shared_ptr<Generator> FleetServers::any() const {
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    if (lane->is_open()) return lane->generator;
  }
  return last_open_;
}

// --- the list ---

void FleetServers::read_files() {
  try {
    const std::vector<std::string> addresses =
        fleet_addresses(options_.servers);
    const std::lock_guard lock(mutex_);
    read_servers(addresses);
    list_problem_.clear();
  } catch (const Error& error) {  // it may be in the middle of a change
    if (list_problem_ == error.what()) return;
    list_problem_ = error.what();
    log_warning(list_problem_ + "; the list from before is kept");
  }
}

// Opens those that are new, and drains those that are gone.
void FleetServers::read_servers(const std::vector<std::string>& addresses) {
  std::erase_if(lanes_, [](const auto& lane) {
    if (lane->has_ended) lane->thread.join();
    return lane->has_ended;
  });
  std::vector<std::string> fresh = addresses;
  for (const auto& lane : lanes_) {
    const bool is_listed = std::erase(fresh, lane->address) > 0;
    if (lane->is_listed && !is_listed) {
      log_info(str(lane->address,
                   ": it is no longer in the list of servers; it answered ",
                   counted(lane->num_rows, "row")));
      lane->is_listed = false;
      drain(*lane, "it is no longer in the list of servers");
    } else if (is_listed && !lane->is_listed) {
      lane->is_listed = true;
      lane->rests_until = Clock::now();
    }
  }
  for (const std::string& address : fresh) {
    lanes_.push_back(std::make_unique<FleetLane>(
        num_lanes_++, address, options_.num_in_flight,
        std::max(options_.num_in_flight, options_.max_in_flight)));
    FleetLane& lane = *lanes_.back();
    if (last_open_) log_info(address + ": it is new in the list of servers");
    lane.thread = std::thread([this, &lane] { work(lane); });
  }
}

void FleetServers::wait_for_first() {
  std::unique_lock lock(mutex_);
  std::optional<Clock::time_point> first;
  while (!interrupted()) {
    changed_.wait_for(lock, kNap);
    bool all_tried = true;
    bool any_other = false;
    for (const auto& lane : lanes_) {
      all_tried = all_tried && lane->was_tried;
      any_other = any_other || lane->problem.starts_with(kNotSame);
      if (lane->is_open() && !first) first = Clock::now();
    }
    if (any_other || (all_tried && !first)) end_start(lock, any_other);
    if (all_tried) return;
    if (first && Clock::now() - *first > kStart) return;
  }
  end_start(lock, false);
}

// The threads end before this object does.
void FleetServers::end_start(std::unique_lock<std::mutex>& lock,
                             bool any_other) {
  is_ending_ = true;
  changed_.notify_all();
  const std::string found = problems();
  const ErrorKind kind =
      any_other || any_usage_ ? ErrorKind::kUsage : ErrorKind::kFailed;
  lock.unlock();
  for (const auto& lane : lanes_) lane->thread.join();
  stop_if_interrupted("run the same command again");
  throw Error(kind,
              str("servers: expected ",
                  any_other ? "one model at all of them" : "one that answers",
                  ", found:", found));
}

std::string FleetServers::problems() const {
  std::string lines;
  for (const auto& lane : lanes_) {
    if (lane->problem.empty()) continue;
    lines += str("\n  ",
                 lane->problem.starts_with("http") ? "" : lane->address + ": ",
                 lane->problem);
  }
  return lines;
}

// --- one server ---

void FleetServers::work(FleetLane& lane) {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    if (!lane.generator && lane.is_listed && !interrupted() &&
        Clock::now() >= lane.rests_until) {
      open(lane, lock);
    }
    if (lane.is_open() && (rows_.has_for(lane.id) || late_row(lane))) {
      ask(lane, lock);
    } else {
      changed_.wait_for(lock, kNap);
    }
    if (lane.is_draining) {
      lane.generator.reset();
      lane.is_draining = false;
    }
    if (!lane.is_listed && !lane.generator) break;
  }
  lane.has_ended = true;
}

void FleetServers::open(FleetLane& lane, std::unique_lock<std::mutex>& lock) {
  // Of what is opened now: the lane itself may be open again before those who
  // have scores from it see that it was drained.
  const auto is_over = std::make_shared<std::atomic<bool>>(false);
  lane.is_over = is_over;
  const LaneContext context{
      std::max(options_.num_in_flight, options_.max_in_flight),
      [this, is_over] { return !is_ending_ && !*is_over; }};
  lock.unlock();
  std::shared_ptr<Generator> generator;
  std::optional<Probe> probe;
  std::string problem;
  bool is_usage = false;
  try {
    generator = options_.open(lane.address, context);
    probe = probe_model(*generator);
  } catch (const Error& error) {
    problem = error.what();
    is_usage = error.kind() == ErrorKind::kUsage;
  }
  lock.lock();
  if (is_ending_ || lane.is_draining || interrupted()) return;
  if (problem.empty()) problem = compare(lane, probe);
  const bool is_back = lane.was_tried;
  lane.was_tried = true;
  any_usage_ = any_usage_ || is_usage;
  changed_.notify_all();
  if (!problem.empty()) return fail(lane, problem);
  if (is_back) log_info(lane.address + ": it is there again");
  lane.problem.clear();
  lane.last_loss.clear();
  ++lane.num_signs;
  lane.last_answer = Clock::now();
  lane.generator = generator;
  last_open_ = generator;
}

// What is wrong with a server that tells this of its model; "": nothing.
std::string FleetServers::compare(FleetLane& lane,
                                  const std::optional<Probe>& probe) {
  constexpr char kTellsNone[] =
      "it tells no log-probabilities, by which it could be known for the model "
      "of the others";
  lane.is_probed = probe.has_value();
  if (!probe) {
    if (probe_) return kTellsNone;
    if (lanes_.size() > 1) log_warning(str(lane.address, ": ", kTellsNone));
    return "";
  }
  if (!probe_) {
    probe_ = probe;
    probed_ = lane.address;
    for (const auto& other : lanes_) {
      if (other->is_open() && !other->is_probed) drain(*other, kTellsNone);
    }
  }
  const std::string other = difference(*probe_, *probe);
  return other.empty() ? "" : str(kNotSame, probed_, ": ", other);
}

// Until it has no more rows, or fails.
void FleetServers::ask(FleetLane& lane, std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<Generator> generator = lane.generator;
  lock.unlock();
  std::string problem;
  try {
    generator->generate(
        [&] { return next_for(lane); },
        [&](Completion completion) { ended(lane, std::move(completion)); });
  } catch (const Error& error) {
    problem = error.what();
  }
  lock.lock();
  if (problem.empty()) problem = lane.last_loss;
  if (!problem.empty() && !lane.is_draining && !is_ending_ && !interrupted()) {
    drain(lane, problem);
  }
  for (auto& [key, one] : std::exchange(lane.asked, {})) give_back(one);
}

std::optional<Request> FleetServers::next_for(FleetLane& lane) {
  const std::lock_guard lock(mutex_);
  if (is_ending_ || lane.is_draining ||
      int(lane.asked.size()) >= lane.window.size()) {
    return std::nullopt;
  }
  FleetRowPtr row = row_for(lane);
  if (!row) return std::nullopt;
  const Clock::time_point now = Clock::now();
  if (row->num_asking++ == 0) row->since = now;
  lane.prefixes.add(row->prefix);
  Request request = row->request;
  request.on_text = {};
  auto dropped = std::make_shared<std::atomic<bool>>(false);
  request.dropped = dropped;
  lane.asked.emplace(request.key,
                     FleetLane::Asked{std::move(row), dropped, now});
  return request;
}

FleetRowPtr FleetServers::row_for(FleetLane& lane) {
  FleetRows::Prefixes others;
  for (const auto& other : lanes_) {
    if (other.get() != &lane && other->is_open()) {
      others.push_back(&other->prefixes);
    }
  }
  FleetRowPtr row = rows_.take(lane.id, lane.prefixes, others);
  lane.is_short_of_rows = row == nullptr;
  return row ? row : late_row(lane);
}

// One of another server; for one that has no rows to begin.
FleetRowPtr FleetServers::late_row(const FleetLane& lane) const {
  FleetRowPtr row = rows_.oldest_under_way(lane.id, lane.at_work());
  const double late_s = std::max(kLateAtLeastS, kLate * lane.latency_s);
  return row && seconds_since(row->since) > late_s ? row : nullptr;
}

void FleetServers::ended(FleetLane& lane, Completion completion) {
  const std::lock_guard lock(mutex_);
  const auto found = lane.asked.find(completion.key);
  if (found == lane.asked.end()) return;  // it was drained
  const FleetLane::Asked one = std::move(found->second);
  lane.asked.erase(found);
  if (one.row->is_settled || completion.finish == Finish::kCancelled) {
    return give_back(one);
  }
  if (is_given_up(completion.finish)) {
    one.row->lost_at[lane.id] = lane.num_signs;
    lane.last_loss = completion.problem.empty()
                         ? str("a row without an answer (",
                               finish_name(completion.finish), ")")
                         : completion.problem;
    one.row->loss = std::move(completion);
    give_back(one);
    give_up_if_lost(one.row);
    return;
  }
  --one.row->num_asking;
  lane.note_answer(completion, one);
  last_answer_ = lane.last_answer;
  push(one.row, std::move(completion));
}

void FleetServers::push(const FleetRowPtr& row, Completion completion) {
  settle(row);
  ended_.push_back({row, std::move(completion)});
  some_ended_.notify_one();
}

// Where nobody is left who might answer it.
void FleetServers::give_up_if_lost(const FleetRowPtr& row) {
  if (row->num_asking > 0 || row->lost_at.empty()) return;
  size_t num_lost = 0;
  bool may_others = false;
  for (const auto& lane : lanes_) {
    const auto lost = row->lost_at.find(lane->id);
    const bool is_lost =
        lost != row->lost_at.end() && lane->num_signs > lost->second;
    num_lost += is_lost ? 1 : 0;
    may_others = may_others || (lane->is_open() && !is_lost);
  }
  if (num_lost >= kMaxLost || (num_lost > 0 && !may_others)) {
    push(row, std::move(row->loss));
  }
}

void FleetServers::drain(FleetLane& lane, const std::string& why) {
  lane.drain();
  fail(lane, why);
  for (auto& [key, one] : std::exchange(lane.asked, {})) give_back(one);
}

void FleetServers::fail(FleetLane& lane, const std::string& why) {
  // That it has another model is said of one that was down, too.
  const bool is_new =
      lane.problem.empty() ||
      (why.starts_with(kNotSame) && !lane.problem.starts_with(kNotSame));
  lane.rest(options_.first_rest_s, options_.max_rest_s, why);
  if (!is_new || !lane.is_listed || is_ending_ || interrupted()) return;
  log_warning(
      str(why.starts_with("http") ? "" : lane.address + ": ", why,
          lanes_.size() > 1 ? "; its rows go to others, and it" : "; it",
          " is tried again until it answers"));
}

// A row that a server has no more to do with, and did not answer.
void FleetServers::give_back(const FleetLane::Asked& one) {
  if (--one.row->num_asking > 0) return;
  rows_.put_back(one.row);
  changed_.notify_all();
}

void FleetServers::settle(const FleetRowPtr& row) {
  rows_.settle(row);
  if (row->num_asking == 0) return;
  for (const auto& lane : lanes_) {
    for (const auto& [key, one] : lane->asked) {
      if (one.row == row) *one.dropped = true;
    }
  }
}

}  // namespace selfalign::generate
