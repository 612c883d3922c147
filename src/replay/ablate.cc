// SPDX-License-Identifier: Apache-2.0
#include "replay/ablate.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "base/random.h"
#include "base/screen.h"
#include "parse/rules.h"
#include "recipe/profile.h"
#include "recipe/run_files.h"
#include "stages/align.h"
#include "stages/funnel.h"
#include "stages/row_reading.h"
#include "stages/run.h"
#include "stages/start_checks.h"

namespace selfalign::replay {
namespace {

using store::Reader;
using store::Row;
using store::Store;

constexpr char kAnswers[] = "align.answers";
constexpr size_t kMaxExamples = 5;

// The run's answered rows that the ablation takes, in order.
std::vector<Row> chosen_answers(const Reader& run, const recipe::Recipe& recipe,
                                int64_t num_rows) {
  if (!recipe.has("align")) {
    throw Error(ErrorKind::kInput,
                run.folder() +
                    ": expected a run with stage 2, found a recipe without "
                    "align; take a run that has it");
  }
  if (!stages::stage_done(run, "align.pairs")) {
    throw Error(ErrorKind::kInput,
                str(run.folder(),
                    ": expected a run whose stage 2 is done, found one that "
                    "is not; go on with: selfalign resume ",
                    run.folder()));
  }
  std::vector<Row> all = run.rows(kAnswers);
  if (num_rows <= 0 || size_t(num_rows) >= all.size()) return all;
  std::vector<uint32_t> drawn =
      draw_sample(Hasher().add("ablate.rows").key(), uint32_t(all.size()),
                  uint32_t(num_rows));
  std::sort(drawn.begin(), drawn.end());
  std::vector<Row> chosen;
  chosen.reserve(drawn.size());
  for (const uint32_t i : drawn) chosen.push_back(all[i]);
  return chosen;
}

// All that decides what the ablation's rows are, for its store to remember.
std::string identity(const Reader& run, const AblateOptions& options) {
  const recipe::PromptEdit& edit = options.edit;
  Json all{{"rows", options.num_rows},
           {"answers", run.manifest(kAnswers)->digest},
           {"drop_rules", edit.drop_rules},
           {"drop_exemplars", edit.drop_exemplars}};
  for (const recipe::Principle& rule : edit.add_rules) {
    all["add_rules"].push_back({rule.name, rule.text});
  }
  for (const std::string& path : edit.add_exemplars) {
    all["add_exemplars"].push_back(digest_file(path));
  }
  return dump_json(all);
}

std::string folder_of(const Reader& run, const AblateOptions& options) {
  std::string name = options.name;
  if (name.empty()) {
    name = options.edit.name();
    if (options.num_rows > 0) name += str("-n", options.num_rows);
  }
  if (name.find('/') != std::string::npos || name[0] == '.') {
    throw Error(ErrorKind::kUsage,
                str("name: expected a plain name, found \"", name, "\""));
  }
  require_own_path(run.folder(), "ablations/" + name);
  return run.folder() + "/ablations/" + name;
}

// Error if the ablation cannot be begun; nothing is written.
void check_ablation(const Reader& run, const AblateOptions& options) {
  if (stages::is_begun(folder_of(run, options))) return;
  const ScratchFolder trial;
  recipe::write_edited_prompts(run.folder() + "/prompts", options.edit,
                               trial.path());
  recipe::load_prompts(trial.path());  // whole and sound, or an Error
}

// Opens the ablation's store and makes its prompts, unless they are there.
std::unique_ptr<Store> open_ablation(const Reader& run,
                                     const AblateOptions& options) {
  const std::string wanted = identity(run, options);
  auto store = Store::open(folder_of(run, options));
  const auto known = store->meta("ablation");
  if (known && *known != wanted) {
    throw Error(ErrorKind::kUsage,
                str(store->folder(), ": expected the ablation ", wanted,
                    ", found ", *known, "; give this one another --name"));
  }
  if (!known) {
    const std::string prompts = store->folder() + "/prompts";
    recipe::write_edited_prompts(run.folder() + "/prompts", options.edit,
                                 prompts);
    if (const auto model = run.meta("fingerprint.base")) {
      store->set_meta("fingerprint.base", *model);
    }
    store->set_meta("ablation", wanted);
  }
  return store;
}

// Answers again under the ablation's prompts.
void answer_again(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                  const Reader& run_store, const std::vector<Row>& answers,
                  stages::Workbench& workbench, Store& store) {
  if (stages::stage_done(store, "align.pairs")) return;
  stages::Models models(recipe, workbench, store);
  const stages::Run run{recipe, prompts, store, workbench, models};
  std::vector<Row> instructions;
  std::unordered_map<uint64_t, uint64_t> keys;  // of an instruction's answer
  for (const Row& answer : answers) {
    std::optional<Row> instruction = answer.parents.empty()
                                         ? std::nullopt
                                         : run_store.row(answer.parents[0]);
    if (!instruction) {
      throw Error(ErrorKind::kDamaged,
                  str(run_store.folder(), ": expected the instruction of ",
                      answer.stage, ":", answer.seq, ", found none"));
    }
    keys[instruction->key] = answer.key;
    instructions.push_back(std::move(*instruction));
  }
  stages::AnswerPlan plan = stages::stage_plan(run, std::move(instructions));
  plan.title = "ablate";
  plan.keys = std::move(keys);
  stages::answer_all(plan, models.base(recipe::Role::kAlign), run);
}

// One side of the comparison.
class Side {
 public:
  Side(const Reader& store, recipe::Prompts prompts, std::string filter)
      : store_(store),
        prompts_(std::move(prompts)),
        names_(principle_names(prompts_)),
        filter_(std::move(filter)) {}

  struct Seen {
    std::string text;
    std::string outcome;  // "kept" or the reason of rejection
  };
  Seen add(uint64_t key) {
    const auto stored = store_.completion(key);
    if (!stored) {
      throw Error(ErrorKind::kDamaged,
                  str(store_.folder(), ": expected the completion of row ",
                      key_to_hex(key), ", found none"));
    }
    Seen seen{stored->completion.text, "unjudged"};
    for (const store::Verdict& verdict : store_.verdicts(key)) {
      if (verdict.filter == filter_) {
        seen.outcome = verdict.kept ? "kept" : verdict.reason;
      }
    }
    ++num_rows_;
    num_tokens_ += stored->completion.num_tokens;
    num_ended_ += stages::has_end(
        stages::answer_of(prompts_, kAnswers, seen.text), stored->completion);
    ++outcomes_[seen.outcome];
    const parse::FiredRules fired = parse::find_rules(stored->thought, names_);
    num_unnamed_ += fired.rules.empty();
    for (const int rule : fired.rules) ++fired_[names_[size_t(rule - 1)]];
    return seen;
  }

  AblationSide figures() const {
    const double rows = std::max(1.0, double(num_rows_));
    AblationSide side{0, outcomes_, double(num_tokens_) / rows,
                      double(num_ended_) / rows, num_unnamed_};
    if (const auto kept = side.rejected.extract("kept")) {
      side.num_kept = kept.mapped();
    }
    return side;
  }

  int64_t num_fired(const std::string& rule) const {
    const auto found = fired_.find(rule);
    return found == fired_.end() ? 0 : found->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  const Reader& store_;
  const recipe::Prompts prompts_;
  const std::vector<std::string> names_;
  const std::string filter_;
  int64_t num_rows_ = 0;
  int64_t num_tokens_ = 0;
  int64_t num_ended_ = 0;
  int64_t num_unnamed_ = 0;
  std::map<std::string, int64_t> outcomes_;
  std::map<std::string, int64_t> fired_;  // rows whose thought names the rule
};

std::vector<AblatedRule> compare_rules(const Side& before, const Side& after) {
  std::vector<std::string> names = before.names();
  for (const std::string& name : after.names()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  std::vector<AblatedRule> rules;
  rules.reserve(names.size());
  for (const std::string& name : names) {
    rules.push_back({name, before.num_fired(name), after.num_fired(name)});
  }
  return rules;
}

void compare(const std::vector<Row>& answers, Side& before, Side& after,
             AblationReport& report) {
  for (const Row& answer : answers) {
    const Side::Seen old = before.add(answer.key);
    const Side::Seen now = after.add(answer.key);
    if (old.text == now.text) continue;
    if (size_t(report.num_changed++) >= kMaxExamples) continue;
    report.examples.push_back(
        {json_string(answer.content, "instruction", answer.stage), old.text,
         old.outcome, now.text, now.outcome});
  }
  report.num_rows = int64_t(answers.size());
  report.share_changed =
      double(report.num_changed) / std::max(1.0, double(answers.size()));
  report.before = before.figures();
  report.after = after.figures();
  report.rules = compare_rules(before, after);
}

template <typename Number>
void put_line(std::ostream& out, const std::string& what, Number before,
              Number after) {
  out << std::left << std::setw(28) << what << std::right << std::fixed
      << std::setprecision(2) << std::setw(10) << before << std::setw(10)
      << after << '\n';
}

void put_indented(std::ostream& out, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    out << "    | " << line << '\n';
  }
}

}  // namespace

AblationReport ablate(const recipe::Recipe& recipe, const Reader& run,
                      const AblateOptions& options,
                      stages::Workbench& workbench) {
  const std::vector<Row> answers =
      chosen_answers(run, recipe, options.num_rows);
  check_ablation(run, options);
  const std::unique_ptr<Store> store = open_ablation(run, options);
  const recipe::Prompts prompts = recipe::run_prompts(store->folder());
  answer_again(recipe, prompts, run, answers, workbench, *store);
  const std::string filter = recipe::profile_named(recipe.profile).align.name;
  Side before(run, recipe::run_prompts(run.folder()), filter);
  Side after(*store, prompts, filter);
  AblationReport report;
  report.folder = store->folder();
  report.edit = options.edit.name();
  compare(answers, before, after, report);
  write_json_file(store->folder() + "/report.json", to_json(report));
  write_file_atomic(store->folder() + "/report.txt",
                    screen_text(ablation_text(report)));
  return report;
}

std::string ablation_text(const AblationReport& report) {
  std::ostringstream out;
  const AblationSide& before = report.before;
  const AblationSide& after = report.after;
  out << "# " << report.edit << ": " << report.num_rows
      << " rows of stage 2 with the same draws, " << report.num_changed
      << " texts changed\n\n"
      << std::left << std::setw(28) << "" << std::right << std::setw(10)
      << "before" << std::setw(10) << "after" << '\n';
  put_line(out, "kept", before.num_kept, after.num_kept);
  Named<std::pair<int64_t, int64_t>> reasons;  // those of before first
  for (const auto& [reason, count] : before.rejected) {
    named(reasons, reason).first = count;
  }
  for (const auto& [reason, count] : after.rejected) {
    named(reasons, reason).second = count;
  }
  for (const auto& [reason, counts] : reasons) {
    put_line(out, "  rejected: " + reason, counts.first, counts.second);
  }
  put_line(out, "mean tokens", before.mean_tokens, after.mean_tokens);
  put_line(out, "share that ended", before.share_ended, after.share_ended);
  put_line(out, "thoughts that name no rule", before.num_unnamed,
           after.num_unnamed);
  for (const AblatedRule& rule : report.rules) {
    put_line(out, "  rule: " + rule.name, rule.before, rule.after);
  }
  for (const ChangedText& example : report.examples) {
    out << "\n## " << example.instruction << '\n'
        << "  before (" << example.before_outcome << "):\n";
    put_indented(out, example.before);
    out << "  after (" << example.after_outcome << "):\n";
    put_indented(out, example.after);
  }
  return out.str();
}

}  // namespace selfalign::replay
