// SPDX-License-Identifier: Apache-2.0
#include "stages/given.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "formats/datasets.h"
#include "generate/remote_address.h"
#include "generate/remote_reply.h"
#include "parse/dedup.h"
#include "parse/filters.h"
#include "stages/contamination.h"
#include "stages/conversations.h"
#include "stages/funnel.h"
#include "stages/keys.h"

namespace selfalign::stages {
namespace {

using store::Row;
using store::Verdict;

// Where the store keeps the digest of a stage's file.
std::string digest_name(const std::string& stage) { return stage + ".digest"; }

void check_same(const recipe::GivenData& given, const std::string& stage,
                const store::Reader& store) {
  const auto known = store.meta(digest_name(stage));
  if (!known || given.path.empty()) return;
  if (!std::filesystem::exists(given.path) && stage_done(store, stage)) return;
  if (*known == digest_file(given.path)) return;
  throw Error(ErrorKind::kUsage,
              str(given.path,
                  ": expected the file this run was begun with, found "
                  "other content; restore it, or start a run in another "
                  "folder"));
}

// The rows of given prompts that are taken, good and bad.
std::vector<formats::DatasetRow> taken_prompts(const recipe::GivenData& given) {
  std::vector<formats::DatasetRow> rows = formats::read_prompts(given.path);
  if (given.max_rows > 0 && rows.size() > size_t(given.max_rows)) {
    rows.resize(size_t(given.max_rows));
  }
  return rows;
}

// A stage whose rows are those of a file.
class GivenStage {
 public:
  GivenStage(const Run& run, const recipe::GivenData& given, std::string stage,
             std::string filter)
      : run_(run),
        given_(given),
        stage_(std::move(stage)),
        filter_(std::move(filter)) {}

  // True if the rows are still to be made; Error as check_given throws it.
  bool begin() {
    check_same(given_, stage_, run_.store);
    if (stage_done(run_.store, stage_)) return false;
    digest_ = digest_file(given_.path);
    return true;
  }

  // Of the row that is added as number `seq`.
  uint64_t key(size_t seq) const { return item_key(stage_, digest_, seq); }

  void add(Json content, const parse::Judgement& judgement) {
    const uint64_t key = this->key(rows_.size());
    rows_.push_back(
        {key, stage_, int64_t(rows_.size()), {}, std::move(content)});
    verdicts_.push_back({key, filter_, !judgement,
                         judgement ? judgement->reason : "",
                         judgement ? judgement->detail : ""});
  }

  void finish() {
    run_.store.transaction([this] {
      run_.store.set_meta(digest_name(stage_), digest_);
      run_.store.add_rows(rows_);
      run_.store.set_verdicts(verdicts_);
    });
    finish_stage(run_.store, stage_, filter_, int64_t(rows_.size()));
  }

 private:
  const Run& run_;
  const recipe::GivenData& given_;
  const std::string stage_;
  const std::string filter_;
  std::string digest_;  // of the file
  std::vector<Row> rows_;
  std::vector<Verdict> verdicts_;
};

parse::Judgement judge_by_default(const std::string& text,
                                  parse::Dedup& dedup) {
  if (parse::Judgement judgement = parse::judge_instruction(text, false))
    return judgement;
  if (auto like = dedup.find(text)) return parse::Rejection{"duplicate", *like};
  dedup.keep(text);
  return std::nullopt;
}

// A server is not asked for each of perhaps 300,000 prompts; whoever plays the
// run again has none.
int count_tokens(const std::string& text, const Run& run) {
  return run.recipe.model_for(recipe::Role::kAlign).is_served()
             ? generate::estimate_tokens(text)
             : run.models.base(recipe::Role::kAlign).count_tokens(text);
}

// Dromedary-2's published cleaning: 2 to 256 tokens, no two alike.
parse::Judgement judge_as_published(const std::string& text, const Run& run,
                                    std::set<std::string>& seen) {
  const int tokens = count_tokens(text, run);
  if (tokens < 2) return parse::Rejection{"too_short", str(tokens, " tokens")};
  if (tokens > 256) return parse::Rejection{"too_long", str(tokens, " tokens")};
  if (!seen.insert(text).second)
    return parse::Rejection{"duplicate", "the same text"};
  return std::nullopt;
}

}  // namespace

int64_t count_instructions(const recipe::GivenData& given) {
  if (given.path.empty()) return 0;
  const std::vector<formats::DatasetRow> rows = taken_prompts(given);
  return std::count_if(rows.begin(), rows.end(),
                       [](const auto& row) { return row.reason.empty(); });
}

int64_t count_conversations(const recipe::GivenData& given) {
  if (given.path.empty()) return 0;
  const std::vector<GivenConversation> rows =
      read_conversations(given.path, size_t(given.max_rows));
  return std::count_if(rows.begin(), rows.end(), [](const auto& row) {
    return row.dialogue.problem.empty();
  });
}

void check_given(const recipe::Recipe& recipe, const store::Reader& store) {
  check_same(recipe.instructions, kGivenInstructions, store);
  check_same(recipe.data, kGivenConversations, store);
}

void take_instructions(const Run& run) {
  const recipe::GivenData& given = run.recipe.instructions;
  const bool published = run.recipe.profile != "default";
  GivenStage stage(run, given, kGivenInstructions,
                   "given." + run.recipe.profile + ".1");
  if (!stage.begin()) return;
  const std::vector<formats::DatasetRow> rows = taken_prompts(given);
  std::vector<RowProblem> problems;
  // What the run is measured on must not be trained on.
  const ContaminationGuard guard(run.recipe.contamination,
                                 run.prompts.held_out);
  keep_guard(guard, run.store);
  parse::Dedup dedup(run.recipe.instruct.max_rouge_l);
  std::set<std::string> seen;
  Progress progress("given instructions", rows.size(), "rows");
  for (size_t i = 0; i < rows.size(); ++i) {
    stop_if_interrupted("the same command begins with the given file again");
    const formats::DatasetRow& row = rows[i];
    const std::vector<formats::Turn>& turns = row.conversation.turns;
    const std::string text = turns.empty() ? "" : turns[0].text;
    parse::Judgement judgement;
    if (!row.reason.empty()) {
      problems.push_back({row.where, row.reason, row.detail});
      judgement = parse::Rejection{row.reason, row.detail};
    } else {
      judgement = guard.judge(text);
    }
    if (!judgement) {
      judgement = published ? judge_as_published(text, run, seen)
                            : judge_by_default(text, dedup);
    }
    stage.add(Json{{"instruction", text}}, judgement);
    progress.update(i + 1);
  }
  if (!problems.empty()) {
    log_warning(left_out(given.path, rows.size(), problems));
  }
  stage.finish();
}

void take_conversations(const Run& run) {
  const recipe::GivenData& given = run.recipe.data;
  GivenStage stage(run, given, kGivenConversations, kConversationFilter);
  if (!stage.begin()) return;
  std::vector<GivenConversation> rows =
      read_conversations(given.path, size_t(given.max_rows));
  for (size_t i = 0; i < rows.size(); ++i) rows[i].key = stage.key(i);
  const TuneOptions& tune = run.recipe.tune;
  reject_too_long(
      rows,
      run.workbench.fit(run.recipe.model_for(recipe::Role::kTrain), tune,
                        conversation_samples(rows, run.prompts.tuned)),
      tune.max_length);
  warn_of_problems(given.path, rows);
  for (const GivenConversation& row : rows) {
    Json messages = Json::array();
    for (const formats::Turn& turn : row.conversation.turns) {
      messages.push_back({{"role", turn.role}, {"content", turn.text}});
      if (!turn.learn) messages.back()["learn"] = false;
    }
    parse::Judgement judgement;
    if (!row.dialogue.problem.empty()) {
      judgement = parse::Rejection{row.dialogue.problem, row.dialogue.detail};
    }
    stage.add(Json{{"messages", std::move(messages)}}, judgement);
  }
  stage.finish();
}

}  // namespace selfalign::stages
