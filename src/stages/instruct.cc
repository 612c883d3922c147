// SPDX-License-Identifier: Apache-2.0
#include "stages/instruct.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "base/record.h"
#include "parse/lists.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/keys.h"
#include "stages/openings.h"
#include "stages/rounds.h"
#include "text/template.h"

namespace selfalign::stages {
namespace {

using generate::Completion;
using generate::Finish;
using store::Row;
using text::fill_template;

constexpr char kSeeds[] = "instruct.seeds";
constexpr char kRequests[] = "instruct.requests";
constexpr char kTasks[] = "instruct.tasks";
constexpr char kQuestions[] = "redteam.questions";
// Requests that show the same exemplars, where each has an opening of its own.
constexpr int64_t kOpeningsPerList = 8;

std::string show(const recipe::SelfInstructPrompt& prompt, size_t number,
                 const recipe::SeedTask& task) {
  return fill_template(
      prompt.item,
      {{"number", std::to_string(number)},
       {"instruction", task.instruction},
       {"input", task.input.empty() ? prompt.no_input : task.input}},
      "self_instruct.yaml: item");
}

// The seed tasks as rows; their keys.
std::vector<uint64_t> add_seeds(const Run& run) {
  std::vector<uint64_t> keys;
  std::vector<Row> rows;
  for (const recipe::SeedTask& task : run.prompts.seed_tasks) {
    const std::string text =
        parse::join_instruction(task.instruction, task.input);
    keys.push_back(item_key(kSeeds, text, rows.size()));
    rows.push_back({keys.back(),
                    kSeeds,
                    int64_t(rows.size()),
                    {},
                    Json{{"instruction", text}}});
  }
  run.store.add_rows(rows);
  finish_stage(run.store, kSeeds, "", int64_t(rows.size()));
  return keys;
}

// What the model is shown: request n has num_exemplars seed tasks, drawn by n
// alone, and the model goes on with the list. With num_machine_exemplars, tasks
// kept from requests that n may know (rounds.h) are shown beside them; seeds
// stand in while there are none. With opening_words the task that comes next
// begins as another seed does, and some requests in a row share their
// exemplars.
class TaskRequests {
 public:
  // `seeds` are the keys of the seed tasks.
  TaskRequests(const Run& run, bool balances_exemplars,
               std::vector<uint64_t> seeds, std::string fingerprint)
      : run_(run),
        options_(run.recipe.instruct),
        prompt_(run.prompts.self_instruct),
        balances_exemplars_(balances_exemplars),
        num_exemplars_(std::min(size_t(options_.num_exemplars) +
                                    size_t(options_.num_machine_exemplars),
                                run.prompts.seed_tasks.size())),
        sampling_(options_.sampling),
        prompt_digest_(Hasher()
                           .add(prompt_.prompt)
                           .add(prompt_.item)
                           .add(prompt_.no_input)
                           .digest()),
        fingerprint_(std::move(fingerprint)),
        seeds_(std::move(seeds)) {
    sampling_.stop = prompt_.stop;
    if (options_.opening_words > 0) {  // one task: up to the next one's number
      sampling_.stop = {
          str("\n", next_number() + 1,
              parse::task_form(prompt_.item, prompt_.no_input).task_mark)};
    }
  }

  // Of the first task that the model writes.
  int next_number() const { return int(num_exemplars_) + 1; }

  PlannedRow request(int64_t n) {
    const int64_t list = options_.opening_words > 0 ? n / kOpeningsPerList : n;
    const uint64_t draw = draw_of("instruct.exemplars", list);
    std::vector<uint64_t> parents;
    std::string exemplars;
    for (const Shown& exemplar : exemplars_of(n, draw)) {
      parents.push_back(exemplar.key);
      if (!exemplars.empty()) exemplars += "\n\n";
      exemplars += show(prompt_, parents.size(), exemplar.task);
    }
    std::string prompt =
        fill_template(prompt_.prompt,
                      {{"total", std::to_string(prompt_.num_total)},
                       {"exemplars", exemplars},
                       {"next", std::to_string(next_number())}},
                      "self_instruct.yaml: prompt");
    PlannedRow planned;
    planned.request.sampling = sampling_;
    planned.row.content = Json::object();
    std::string digest = prompt_digest_;
    if (options_.opening_words > 0) {
      const Opening opening = opening_of(n, parents);
      parents.push_back(opening.seed);
      digest = Hasher().add(digest).add(opening.text).digest();
      keep_opening(opening, planned.row.content);
      planned.request.suffix = after(prompt, opening);
      planned.request.prefix = shared_prompt(std::move(prompt));
    } else {
      planned.request.suffix = std::move(prompt);
    }
    planned.row.key =
        generated_key({kRequests, parents, digest, sampling_, fingerprint_,
                       uint64_t(n), run_.recipe.seed});
    planned.row.stage = kRequests;
    planned.row.seq = n;
    planned.row.parents = std::move(parents);
    planned.request.key = planned.row.key;
    return planned;
  }

  // What the next request in sequence brought has a task that is kept.
  void add_kept(uint64_t key, const recipe::SeedTask& task) {
    pool_.push_back({key, task});
  }
  // That request is done.
  void end_request() { pool_sizes_.push_back(pool_.size()); }

 private:
  struct Shown {
    uint64_t key;
    recipe::SeedTask task;
  };

  // What request n shows: tasks of the run, then seed tasks; in a drawn order.
  std::vector<Shown> exemplars_of(int64_t n, uint64_t draw) const {
    // Without tasks of the run request n waits for none (needs).
    const auto known = options_.num_machine_exemplars > 0
                           ? size_t(known_before(n))
                           : size_t{0};
    const size_t pool = known == 0 ? 0 : pool_sizes_[known - 1];
    const size_t num_machine = std::min(
        {size_t(options_.num_machine_exemplars), pool, num_exemplars_});
    std::vector<Shown> shown;
    const uint64_t key = Hasher().add("machine").add(draw).key();
    for (const uint32_t i :
         draw_sample(key, uint32_t(pool), uint32_t(num_machine))) {
      shown.push_back(pool_[i]);
    }
    for (const uint32_t i :
         draw_exemplars(draw, num_exemplars_ - num_machine)) {
      shown.push_back({seeds_[i], run_.prompts.seed_tasks[i]});
    }
    if (num_machine == 0) return shown;  // in a drawn order already
    std::vector<Shown> ordered;
    for (const uint32_t i :
         draw_sample(key, uint32_t(shown.size()), uint32_t(shown.size()))) {
      ordered.push_back(shown[i]);
    }
    return ordered;
  }

  uint64_t draw_of(const char* what, int64_t n) const {
    return Hasher().add(what).add(run_.recipe.seed).add(uint64_t(n)).key();
  }

  // Of a seed that is not among those shown.
  Opening opening_of(int64_t n, const std::vector<uint64_t>& shown) const {
    std::vector<OpeningSeed> others;
    for (size_t i = 0; i < seeds_.size(); ++i) {
      if (std::find(shown.begin(), shown.end(), seeds_[i]) == shown.end()) {
        others.push_back({seeds_[i], run_.prompts.seed_tasks[i].instruction});
      }
    }
    Opening opening = draw_opening(others, options_.opening_words,
                                   draw_of("instruct.opening", n));
    if (opening.text.empty()) {
      throw Error(ErrorKind::kUsage,
                  "instruct.opening_words: no seed task that is not shown has "
                  "two words; give more seed tasks or show fewer");
    }
    return opening;
  }

  // One text for the requests in a row that have it.
  std::shared_ptr<const std::string> shared_prompt(std::string prompt) {
    if (!prompt_text_ || *prompt_text_ != prompt) {
      prompt_text_ = std::make_shared<const std::string>(std::move(prompt));
    }
    return prompt_text_;
  }

  // Two in five with an input, the others without, in a drawn order; or any.
  std::vector<uint32_t> draw_exemplars(uint64_t draw, size_t number) const {
    if (!balances_exemplars_) {
      return draw_sample(draw, uint32_t(seeds_.size()), uint32_t(number));
    }
    std::vector<uint32_t> kinds[2];
    for (uint32_t i = 0; i < seeds_.size(); ++i) {
      kinds[run_.prompts.seed_tasks[i].input.empty() ? 0 : 1].push_back(i);
    }
    const size_t with_input =
        std::clamp((number * 2 + 2) / 5,
                   number - std::min(number, kinds[0].size()), kinds[1].size());
    const size_t wanted[2] = {number - with_input, with_input};
    std::vector<uint32_t> chosen;
    for (const uint64_t kind : {0, 1}) {
      const uint64_t key = Hasher().add(draw).add(kind).key();
      for (const uint32_t i : draw_sample(key, uint32_t(kinds[kind].size()),
                                          uint32_t(wanted[kind]))) {
        chosen.push_back(kinds[kind][i]);
      }
    }
    std::vector<uint32_t> ordered;
    for (const uint32_t i :
         draw_sample(draw, uint32_t(chosen.size()), uint32_t(chosen.size()))) {
      ordered.push_back(chosen[i]);
    }
    return ordered;
  }

  const Run& run_;
  const recipe::InstructOptions& options_;
  const recipe::SelfInstructPrompt& prompt_;
  const bool balances_exemplars_;
  const size_t num_exemplars_;
  generate::Sampling sampling_;
  const std::string prompt_digest_;
  const std::string fingerprint_;
  std::shared_ptr<const std::string> prompt_text_;
  const std::vector<uint64_t> seeds_;  // keys
  std::vector<Shown> pool_;         // kept tasks, where they serve as exemplars
  std::vector<size_t> pool_sizes_;  // after request 0, 1 ...
};

// What a process that goes on needs beside the tasks that are kept.
struct SelfInstructState {
  int64_t num_requests = 0;
  int64_t num_tasks = 0;
  int64_t num_kept = 0;
  int64_t num_scores = 0;

  static void describe(auto& visit, auto& self) {
    visit("requests", self.num_requests);
    visit("tasks", self.num_tasks);
    visit("kept", self.num_kept);
    visit.may("scores", self.num_scores, self.num_scores > 0);
  }
};

// Self-Instruct: tasks are accepted in order until there are enough.
class SelfInstruct : public CompletionPlan {
 public:
  SelfInstruct(const Run& run, InstructionFilters& filters,
               std::vector<uint64_t> seeds, const std::string& fingerprint)
      : run_(run),
        options_(run.recipe.instruct),
        prompt_(run.prompts.self_instruct),
        filters_(filters),
        requests_(run, filters.profile().balances_exemplars, std::move(seeds),
                  fingerprint) {}

  std::string title() const override { return "instruct"; }
  std::string unit() const override { return "instructions"; }
  uint64_t total() const override {
    return uint64_t(options_.num_instructions);
  }
  uint64_t units_done(int64_t /*num_accepted*/) const override {
    return uint64_t(num_kept_);
  }

  std::optional<PlannedRow> plan(int64_t n) override {
    if (n >= options_.max_requests) return std::nullopt;
    return requests_.request(n);
  }

  int64_t needs(int64_t n) const override {
    return options_.num_machine_exemplars > 0 ? known_before(n) : 0;
  }

  // Where what a request shows depends on those before, all are accepted again.
  std::string checkpoint() const override {
    if (options_.num_machine_exemplars > 0 || run_.judging == Judging::kBoth) {
      return "";
    }
    return str("accepted.", kTasks, " ", filters_.profile().instruct_filter);
  }
  Json state() const override {
    return to_json(SelfInstructState{num_requests_, num_tasks_, num_kept_,
                                     filters_.num_scores()});
  }
  void set_state(const Json& state, int64_t /*num_accepted*/,
                 const std::string& where) override {
    const auto kept = from_json<SelfInstructState>(state, where);
    num_requests_ = kept.num_requests;
    num_tasks_ = kept.num_tasks;
    num_kept_ = kept.num_kept;
    filters_.set_num_scores(kept.num_scores);
    filters_.recall_tasks(run_.store, kTasks);
  }

  // About as many requests as the rest will take, going by the yield so far.
  int64_t lookahead() const override {
    const double yield =
        num_requests_ < 4 ? 3.0 : double(num_kept_ + 1) / double(num_requests_);
    const double rest = double(options_.num_instructions - num_kept_);
    return 4 + int64_t(std::ceil(1.25 * rest / yield));
  }

  bool asks_scores() const override { return filters_.asks_scores(); }
  void foresee(const std::vector<CompletedRow>& rows) override {
    std::vector<ScoredText> texts;
    for (const auto& [row, completion] : rows) {
      uint64_t index = 0;
      for (const auto& task : tasks_of(row, completion)) {
        filters_.foresee(parsed_key(kTasks, row.key, index++), task,
                         parse::join_instruction(task.task, task.input), texts);
      }
    }
    filters_.foresee(texts);
  }

  bool accept(const Row& row, const Completion& completion,
              Accepted& out) override {
    ++num_requests_;
    uint64_t index = 0;
    for (const parse::ListedTask& task : tasks_of(row, completion)) {
      const std::string text = parse::join_instruction(task.task, task.input);
      const uint64_t key = parsed_key(kTasks, row.key, index++);
      out.rows.push_back(
          {key, kTasks, num_tasks_++, {row.key}, Json{{"instruction", text}}});
      // What the last request has beyond the wanted number is surplus.
      const bool surplus = num_kept_ >= options_.num_instructions;
      if (filters_.judge(key, task, text, surplus, out)) continue;
      ++num_kept_;
      if (options_.num_machine_exemplars > 0) {
        requests_.add_kept(key, {task.task, task.input});
      }
    }
    requests_.end_request();
    return num_kept_ < options_.num_instructions;
  }

  int64_t num_tasks() const { return num_tasks_; }
  int64_t num_kept() const { return num_kept_; }

 private:
  std::vector<parse::ListedTask> tasks_of(const Row& row,
                                          const Completion& completion) const {
    if (!generate::has_answer(completion.finish)) return {};
    return parse::parse_tasks(with_opening(row.content, completion.text),
                              requests_.next_number(),
                              completion.finish == Finish::kLength,
                              parse::task_form(prompt_.item, prompt_.no_input));
  }

  const Run& run_;
  const recipe::InstructOptions& options_;
  const recipe::SelfInstructPrompt& prompt_;
  InstructionFilters& filters_;
  TaskRequests requests_;
  int64_t num_requests_ = 0;
  int64_t num_tasks_ = 0;
  int64_t num_kept_ = 0;
};

void write_tasks(const Run& run, InstructionFilters& filters) {
  const recipe::InstructOptions& options = run.recipe.instruct;
  const bool is_wanted = options.num_instructions > 0;
  std::vector<uint64_t> seeds = add_seeds(run);
  SelfInstruct tasks(
      run, filters, std::move(seeds),
      is_wanted ? run.models.base(recipe::Role::kInstruct).fingerprint() : "");
  int64_t num_requests = 0;
  if (is_wanted) {
    generate::Generator& base = run.models.base(recipe::Role::kInstruct);
    Likelihoods likelihoods(kTasks, base, run.store);
    filters.set_likelihoods(&likelihoods);
    num_requests = complete_rows(tasks, base, run.store);
    filters.set_likelihoods(nullptr);
    if (filters.asks_scores()) likelihoods.finish();
  }
  if (tasks.num_kept() < options.num_instructions) {
    log_warning(str("instruct: ", tasks.num_kept(), " of ",
                    options.num_instructions, " instructions after ",
                    num_requests,
                    " requests; raise instruct.max_requests for more"));
  }
  finish_stage(run.store, kRequests, "", num_requests);
  finish_stage(run.store, kTasks, filters.profile().instruct_filter,
               tasks.num_tasks());
}

}  // namespace

void run_instruct(const Run& run) {
  if (stage_done(run.store, kTasks) && stage_done(run.store, kQuestions))
    return;
  InstructionFilters filters(run);
  keep_guard(filters.guard(), run.store);
  if (!stage_done(run.store, kTasks)) {
    write_tasks(run, filters);
  } else {
    filters.recall_tasks(run.store, kTasks);
  }
  run_red_team(run, filters);
}

}  // namespace selfalign::stages
