// SPDX-License-Identifier: Apache-2.0
#include "stages/completing.h"

#include <chrono>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/profile.h"
#include "base/progress.h"
#include "base/record.h"
#include "base/unix_time.h"
#include "stages/work.h"

// How it works. A plan names rows in sequence 0, 1, 2, ...; each is in one of
// four states, and moves only forwards:
//
//   planned -> completed -> accepted -> stored
//
// `next` plans. A row whose completion an earlier process stored is completed
// at once; any other goes to the generator, which answers in whatever order
// suits it (`done`). `advance` accepts: it takes the lowest row that is not yet
// accepted, as long as that one is completed. What accepting decides (parsed
// rows, verdicts, whether the stage has enough) may depend on all that was
// accepted before, and on nothing else.
//
// Invariant: what is accepted is the plan's first n rows, for some n. So order
// of arrival, number of slots and the moment of a crash change how long rows
// wait in `waiting_`, but not one decision. A restart plans from 0 again, finds
// the stored completions, and repeats every decision; nothing has to be stored
// about how far a stage had come. A plan that can say in a few numbers what
// accepting came to (`checkpoint`) has them stored beside the decisions, and a
// restart begins behind the last row that was accepted: a stage of hundreds of
// thousands of answers is not judged again.
//
// Rows, completions and decisions go to the store in one transaction, at most
// kMaxBatch completions or kMaxDelay after the one before, so a crash costs a
// second's work at most, and a row never stands there without what it came
// with.
//
// Cost. `waiting_` holds what was planned and is not accepted: about the
// generator's slots, and as many rows again as a slow one lets pass it. A plan
// whose rows depend on earlier decisions says so (`needs`, `lookahead`) and
// gets a row only when those are made; the price is idle slots.

namespace selfalign::stages {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxBatch = 16;    // completions per transaction
constexpr size_t kMaxReplay = 512;  // rows per transaction where none is new
constexpr auto kMaxDelay = std::chrono::seconds(1);
// Rows that are foreseen together, and how long they gather.
constexpr size_t kMaxForeseen = 256;
constexpr auto kGathering = std::chrono::milliseconds(100);

// The time that a session's requests take and the tokens they bring: what is
// not in the store yet, and the stage's rate over all sessions.
class WorkClock {
 public:
  explicit WorkClock(const generate::Generator& generator)
      : takes_over_(dynamic_cast<const TakesOver*>(&generator)) {}

  bool has_begun() const { return since_.has_value(); }
  // With the first request that is to be made; `before` is in the store.
  void begin(const Work& before) {
    since_ = Clock::now();
    before_ = before;
  }

  // `alone`: no other request is under way.
  void count(const generate::Completion& completion, bool alone) {
    if (takes_over_ != nullptr && takes_over_->took_over(completion.key)) {
      ++work_.num_taken;
      if (alone) since_ = Clock::now();  // nothing else went on
      return;
    }
    ++work_.num_completions;
    work_.num_tokens += completion.num_tokens;
  }

  // The work since the last call.
  Work take() {
    Work work;
    if (!since_) return work;
    std::swap(work, work_);
    const Clock::time_point now = Clock::now();
    work.seconds = std::chrono::duration<double>(now - *since_).count();
    since_ = now;
    before_.seconds += work.seconds;
    before_.num_tokens += work.num_tokens;
    return work;
  }

  // Of all the stage's work, that of earlier sessions too.
  std::string tokens_rate() const {
    const double seconds =
        before_.seconds +
        std::chrono::duration<double>(Clock::now() - *since_).count();
    return rate_text(double(before_.num_tokens + work_.num_tokens) /
                     std::max(seconds, 1e-3)) +
           " tokens/s";
  }

 private:
  const TakesOver* const takes_over_;       // the generator, if it does
  std::optional<Clock::time_point> since_;  // not in the store yet
  Work work_;                               // the same; without seconds
  Work before_;                             // in the store
};

// What a plan has come to, in the store.
struct Checkpoint {
  int64_t num_accepted = 0;
  bool ended = false;  // with the last of them
  Json state;

  static void describe(auto& visit, auto& self) {
    visit("accepted", self.num_accepted);
    visit("ended", self.ended);
    visit("state", self.state);
  }
};

// The store's checkpoint of a plan, if it has one.
class KeptCheckpoint {
 public:
  KeptCheckpoint(CompletionPlan& plan, store::Store& store)
      : plan_(plan), store_(store), name_(plan.checkpoint()) {}

  // The plan has its state then.
  std::optional<Checkpoint> find() {
    if (name_.empty()) return std::nullopt;
    const auto text = store_.meta(name_);
    if (!text) return std::nullopt;
    const std::string where = store_.folder() + ": " + name_;
    try {
      auto kept = from_json<Checkpoint>(parse_json(*text, where), where);
      if (kept.num_accepted < 0) {
        throw Error(ErrorKind::kInput, where + ": accepted: below 0");
      }
      plan_.set_state(kept.state, kept.num_accepted, where);
      num_kept_ = kept.num_accepted;
      return kept;
    } catch (const Error& error) {
      throw Error(ErrorKind::kDamaged, error.what());
    }
  }

  void keep(int64_t num_accepted, bool ended) {
    if (name_.empty() || num_kept_ == num_accepted) return;
    num_kept_ = num_accepted;
    store_.set_meta(
        name_,
        dump_json(to_json(Checkpoint{num_accepted, ended, plan_.state()})));
  }

 private:
  CompletionPlan& plan_;
  store::Store& store_;
  const std::string name_;
  int64_t num_kept_ = 0;
};

class Completing {
 public:
  Completing(CompletionPlan& plan, generate::Generator& generator,
             store::Store& store)
      : plan_(plan),
        generator_(generator),
        store_(store),
        fingerprint_(generator.fingerprint()),
        title_(plan.title()),
        checkpoint_(plan, store),
        foresees_(plan.asks_scores() && generator.scores_together()),
        progress_(title_, plan.total(), plan.unit()),
        last_flush_(Clock::now()),
        clock_(generator) {}

  int64_t run() {
    take_up();
    generator_.generate([this] { return next(); },
                        [this](generate::Completion c) { done(std::move(c)); });
    advance();
    flush();
    if (!ended_) {
      stop_if_interrupted("run the same command again");
      SELFALIGN_CHECK(waiting_.empty(), "rows without a completion");
    }
    return num_accepted_;
  }

 private:
  // The next request the generator should work on; rows whose completion is
  // stored already are accepted on the way.
  std::optional<generate::Request> next() {
    while (!ended_ && !plan_over_ && may_plan_once_accepted()) {
      std::optional<PlannedRow> planned = plan_.plan(num_planned_);
      if (!planned) {
        plan_over_ = true;
        break;
      }
      SELFALIGN_CHECK(planned->row.key == planned->request.key);
      const int64_t n = num_planned_++;
      new_rows_.push_back(planned->row);
      waiting_.emplace(n, Waiting{std::move(planned->row), std::nullopt});
      auto stored = store_.completion(planned->request.key);
      if (!stored) {
        begin_work(waiting_.at(n).row.stage);
        numbers_[planned->request.key] = n;
        return std::move(planned->request);
      }
      waiting_.at(n).completion = std::move(stored->completion);
      advance_in_time();
      if (new_rows_.size() >= kMaxReplay) flush();
    }
    return std::nullopt;
  }

  // Goes on behind what an earlier process accepted.
  void take_up() {
    const auto kept = checkpoint_.find();
    if (!kept) return;
    num_planned_ = num_accepted_ = kept->num_accepted;
    ended_ = kept->ended;
  }

  bool may_plan() const {
    return num_planned_ < num_accepted_ + plan_.lookahead() &&
           plan_.needs(num_planned_) <= num_accepted_;
  }
  bool may_plan_once_accepted() {
    if (!may_plan()) advance();
    return !ended_ && may_plan();
  }

  void begin_work(const std::string& stage) {
    if (clock_.has_begun()) return;
    stage_ = stage;
    const Work before = work_of(store_, stage).value_or(Work{});
    clock_.begin(before);
    progress_.set_start(units(), before.seconds);
  }

  void done(generate::Completion completion) {
    if (completion.finish == generate::Finish::kCancelled) return;
    const auto found = numbers_.find(completion.key);
    SELFALIGN_CHECK(found != numbers_.end(), "a completion nobody asked for");
    const int64_t n = found->second;
    numbers_.erase(found);
    watch_.see(completion, title_);
    clock_.count(completion, numbers_.empty());
    store::StoredCompletion stored;
    stored.thought = plan_.find_thought(completion.text);
    stored.completion = completion;
    stored.fingerprint = fingerprint_;
    stored.time_s = unix_time();
    new_completions_.push_back(std::move(stored));
    waiting_.at(n).completion = std::move(completion);
    advance_in_time();
    progress_.update(units(), clock_.tokens_rate());
    if (new_completions_.size() >= kMaxBatch ||
        Clock::now() - last_flush_ >= kMaxDelay) {
      flush();
    }
  }

  // As advance(); rows whose scores are asked for together gather before.
  void advance_in_time() {
    if (foresees_ && Clock::now() - last_advance_ < kGathering) return;
    advance();
    last_advance_ = Clock::now();
  }

  // Accepts what is complete, in sequence.
  void advance() {
    while (!ended_) {
      const auto first = waiting_.find(num_accepted_);
      if (first == waiting_.end() || !first->second.completion) return;
      if (foresees_ && num_accepted_ >= num_foreseen_) foresee();
      ended_ = !plan_.accept(first->second.row, *first->second.completion,
                             accepted_);
      waiting_.erase(first);
      ++num_accepted_;
    }
  }

  void foresee() {
    std::vector<CompletedRow> rows;
    num_foreseen_ = num_accepted_;
    for (auto i = waiting_.find(num_foreseen_);
         i != waiting_.end() && i->first == num_foreseen_ &&
         i->second.completion && rows.size() < kMaxForeseen;
         ++i) {
      rows.push_back({i->second.row, *i->second.completion});
      ++num_foreseen_;
    }
    plan_.foresee(rows);
  }

  void flush() {
    last_flush_ = Clock::now();
    const bool unfinished = interrupted() && clock_.has_begun();
    if (new_rows_.empty() && new_completions_.empty() && !unfinished) return;
    store_.transaction([this] {
      if (const Work work = clock_.take(); work.seconds > 0.0) {
        add_work(store_, stage_, work);
      }
      store_.add_rows(new_rows_);
      for (const store::StoredCompletion& completion : new_completions_) {
        store_.add_completion(completion);
      }
      store_.add_rows(accepted_.rows);
      store_.set_verdicts(accepted_.verdicts);
      checkpoint_.keep(num_accepted_, ended_);
    });
    new_rows_.clear();
    new_completions_.clear();
    accepted_ = Accepted();
  }

  uint64_t units() const { return plan_.units_done(num_accepted_); }

  struct Waiting {
    store::Row row;
    std::optional<generate::Completion> completion;
  };

  CompletionPlan& plan_;
  generate::Generator& generator_;
  store::Store& store_;
  const std::string fingerprint_;
  const std::string title_;
  KeptCheckpoint checkpoint_;
  const bool foresees_;
  Progress progress_;
  Clock::time_point last_flush_;
  Clock::time_point last_advance_ = {};
  std::string stage_;  // of the rows
  WorkClock clock_;

  int64_t num_planned_ = 0;
  int64_t num_accepted_ = 0;
  int64_t num_foreseen_ = 0;
  bool plan_over_ = false;
  bool ended_ = false;
  generate::AnswerWatch watch_;
  std::map<int64_t, Waiting> waiting_;             // planned, not accepted
  std::unordered_map<uint64_t, int64_t> numbers_;  // key -> n, under way
  std::vector<store::Row> new_rows_;               // not in the store yet
  std::vector<store::StoredCompletion> new_completions_;
  Accepted accepted_;
};

}  // namespace

int64_t complete_rows(CompletionPlan& plan, generate::Generator& generator,
                      store::Store& store) {
  const ProfileSlice slice(plan.title());
  return Completing(plan, generator, store).run();
}

}  // namespace selfalign::stages
