// SPDX-License-Identifier: Apache-2.0
#include "inspect/review.h"

#include <set>

#include "base/error.h"
#include "base/unix_time.h"
#include "parse/rules.h"
#include "stages/decisions.h"
#include "stages/row_reading.h"

namespace selfalign::inspect {
namespace {

using store::Decision;
using store::Reader;
using store::Row;
using store::Store;

// A stage that a later one learns from.
bool can_be_reviewed(const std::string& stage) {
  return stages::can_be_decided(stage) && !stage.ends_with(".answers");
}

bool is_instruction(const std::string& stage) {
  return !stage.ends_with(".pairs") && !stage.ends_with(".answers");
}

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorKind::kUsage, "review: " + what);
}

// The stage whose rows are shown.
std::string shown_stage(const ReviewOptions& options) {
  const std::string& stage = options.stage;
  if (!can_be_reviewed(stage)) {
    refuse(
        str("expected a stage that a later one learns from (align.pairs, "
            "verbose.pairs, instruct.tasks, redteam.questions), found ",
            stage));
  }
  if (!options.rejected) return stage;
  if (is_instruction(stage)) {
    refuse(str("expected rejected answers, found rejected rows of ", stage,
               ", and what came after those was chosen without them; look at "
               "them with: selfalign sample RUN --rejected --stage ",
               stage));
  }
  return stages::answers_of(stage);
}

// Error kUsage where the run has no row of the stage.
void require_reviewable(const Reader& store, const std::string& stage) {
  if (store.num_rows(stage) > 0) return;
  std::string known;
  for (const std::string& name : store.stages()) {
    if (can_be_reviewed(name)) known += " " + name;
  }
  refuse(str(store.folder(), ": this run has no rows of ", stage, "; ",
             known.empty() ? "it has no stage to decide on"
                           : "stages to decide on are:" + known));
}

}  // namespace

Review::Review(Store& store, const recipe::Prompts& prompts,
               ReviewOptions options)
    : store_(store), prompts_(prompts), options_(std::move(options)) {
  const std::string stage = shown_stage(options_);
  require_reviewable(store, options_.stage);
  stages::require_stage(store, stage);
  filter_ = stages::filter_of(store, stage, options_.profile);
  std::set<uint64_t> decided;
  for (const store::Review& review : store.reviews(stage)) {
    decided.insert(review.key);
  }
  const bool want_kept = !options_.rejected;
  store.scan(stage, filter_, [&](const store::SeenRow& seen) {
    const bool kept = !seen.verdict || seen.verdict->kept;
    // A row without a verdict is one to come.
    const bool judged = filter_.empty() || seen.verdict;
    if (judged && kept == want_kept && !decided.contains(seen.row.key)) {
      keys_.push_back(seen.row.key);
    }
    return options_.limit == 0 || int64_t(keys_.size()) < options_.limit;
  });
}

ReviewItem Review::item() const {
  SELFALIGN_CHECK(!at_end());
  ReviewItem item;
  item.row = *store_.row(keys_[position_]);
  const Json& content = item.row.content;
  item.instruction = json_string(content, "instruction", item.row.stage);
  item.decided = store_.review(item.row.key);
  if (is_instruction(item.row.stage)) return item;
  // The completion is the row's own or that of the request it was cut out of.
  std::string request = item.row.stage;
  auto stored = store_.completion(item.row.key);
  if (!stored && !item.row.parents.empty()) {
    stored = store_.completion(item.row.parents[0]);
    request = stages::answers_of(item.row.stage);
  }
  if (stored) {
    const parse::ThoughtfulAnswer parts =
        stages::answer_of(prompts_, request, stored->completion.text);
    item.thought = stored->thought;
    item.answer = parts.answer;
    item.ends = stages::has_end(parts, stored->completion);
  }
  item.answer =
      json_string_or(content, "response", item.row.stage, item.answer);
  item.ends = json_bool_or(content, "ends", item.row.stage, item.ends);
  const std::vector<std::string> names = recipe::principle_names(prompts_);
  for (const int rule : parse::find_rules(item.thought, names).rules) {
    item.rules.push_back(str(rule, " (", names[size_t(rule - 1)], ")"));
  }
  for (store::Verdict& verdict : store_.verdicts(item.row.key)) {
    if (verdict.filter == filter_) item.verdict = std::move(verdict);
  }
  return item;
}

void Review::decide(Decision decision, const std::string& text,
                    const std::string& note) {
  const ReviewItem current = item();
  store::Review review{current.row.key, options_.author, decision, "", note,
                       unix_time()};
  if (decision == Decision::kEdit) {
    if (is_instruction(current.row.stage)) {
      refuse(
          str("expected keep or drop for an instruction, found edit; its "
              "answers would not go with it"));
    }
    review.text = parse::trim(text);
    if (review.text.empty()) {
      refuse("the edit leaves no answer; drop the row");
    }
  }
  if (decision == Decision::kKeep && options_.rejected) {
    if (current.answer.empty()) {
      refuse("there is no answer to keep; edit or drop the row");
    }
    review.text = current.answer;
  }
  store_.add_review(review);
  ++num_decided_;
  ++position_;
}

bool Review::back() {
  if (position_ == 0) return false;
  --position_;
  return true;
}

std::string how_to_honour(const Reader& store, const std::string& stage) {
  const std::string made = stages::made_already(store, stage);
  if (made.empty()) return "";
  return str(made,
             " is made already and stays as it is; for a run in which these "
             "decisions count: selfalign resume ",
             store.folder(), " --fork NEW");
}

}  // namespace selfalign::inspect
