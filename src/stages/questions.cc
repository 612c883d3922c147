// SPDX-License-Identifier: Apache-2.0
#include "stages/questions.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "base/record.h"
#include "stages/balance.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/keys.h"
#include "stages/openings.h"

namespace selfalign::stages {
namespace {

using generate::Completion;
using generate::Finish;
using store::Row;

constexpr char kTopics[] = "redteam.topics";
// Seed questions of other types that a request shows, before all of its own.
constexpr size_t kNumOthers = 4;
// First words of a seed question that may open one, at most: more of them,
// where a type has a few seeds, is most of a question.
constexpr int kMaxOpening = 2;
// Seed questions of any type that a request for several shows.
constexpr size_t kNumListed = 5;

recipe::TypedQuestion hint_of(const Json& content, const std::string& where) {
  return {json_string(content, "type", where),
          json_string(content, "topic", where), ""};
}

// Of a request's row: type and topic, or "hints" with several of them.
Json content_of(const std::vector<recipe::TypedQuestion>& hints) {
  Json all = Json::array();
  for (const recipe::TypedQuestion& hint : hints) {
    all.push_back(Json{{"type", hint.type}, {"topic", hint.topic}});
  }
  return all.size() == 1 ? all[0] : Json{{"hints", all}};
}

// What a request for questions shows and how its answer reads: some seed
// questions, then the topics that are asked about.
class QuestionRequests {
 public:
  QuestionRequests(const Run& run, const recipe::Profile& profile,
                   const QuestionGoal& goal, const SeedQuestions& seeds,
                   std::string fingerprint)
      : options_(run.recipe.instruct),
        prompt_(run.prompts.red_team),
        seed_(run.recipe.seed),
        profile_(profile),
        goal_(goal),
        seeds_(seeds),
        fingerprint_(std::move(fingerprint)) {}

  // Request n, for a question on each of the topics.
  PlannedRow request(int64_t n, const std::vector<const Row*>& topics) const {
    std::vector<uint64_t> parents;
    std::vector<recipe::TypedQuestion> hints;
    for (const Row* topic : topics) {
      parents.push_back(topic->key);
      hints.push_back(hint_of(topic->content, kTopics));
    }
    for (const size_t i : draw_examples(hints, n)) {
      parents.push_back(seeds_.keys[i]);
    }
    const recipe::QuestionForm form = question_form(hints, n);
    PlannedRow planned;
    planned.request.suffix = form.suffix();
    const Opening opening = opening_of(hints[0].type, n);
    if (!opening.text.empty()) {
      const size_t num_shared = form.num_shared();
      planned.request.suffix += after(planned.request.suffix, opening);
      planned.request.prefix = std::make_shared<const std::string>(
          planned.request.suffix.substr(0, num_shared));
      planned.request.suffix.erase(0, num_shared);
    }
    planned.request.sampling = options_.question_sampling;
    if (hints.size() == 1 || profile_.stops_at_turns) {
      planned.request.sampling.stop = form.stop();
    }
    Hasher digest;
    digest.add(form.templates());
    if (!opening.text.empty()) digest.add(opening.text);
    const uint64_t key = generated_key(
        {goal_.requests, parents, digest.digest(), planned.request.sampling,
         fingerprint_, uint64_t(n), seed_});
    planned.row = {key, goal_.requests, n, std::move(parents),
                   content_of(hints)};
    keep_opening(opening, planned.row.content);
    planned.request.key = key;
    return planned;
  }

  std::vector<recipe::TypedQuestion> hints_of(const Row& request) const {
    std::vector<recipe::TypedQuestion> hints;
    if (options_.hints_per_request == 1) {
      hints.push_back(hint_of(request.content, goal_.requests));
      return hints;
    }
    for (const Json& hint : request.content.at("hints")) {
      hints.push_back(hint_of(hint, goal_.requests));
    }
    return hints;
  }

  // The questions that the answer to a request brings.
  std::vector<parse::ListedQuestion> read(const Row& request,
                                          const Completion& completion) const {
    if (!generate::has_answer(completion.finish)) return {};
    return question_form(hints_of(request), request.seq)
        .read(with_opening(request.content, completion.text),
              completion.finish == Finish::kLength);
  }

  recipe::QuestionForm question_form(
      const std::vector<recipe::TypedQuestion>& hints, int64_t n) const {
    std::vector<recipe::TypedQuestion> examples;
    for (const size_t i : draw_examples(hints, n)) {
      examples.push_back(seeds_.questions[i]);
    }
    return {prompt_, std::move(examples), hints};
  }

 private:
  // Of a seed question of the type, all of which the request shows.
  Opening opening_of(const std::string& type, int64_t n) const {
    std::vector<OpeningSeed> own;
    for (size_t i = 0; i < seeds_.questions.size(); ++i) {
      if (seeds_.questions[i].type == type) {
        own.push_back({seeds_.keys[i], seeds_.questions[i].question});
      }
    }
    const uint64_t draw =
        Hasher().add("redteam.opening").add(seed_).add(uint64_t(n)).key();
    return draw_opening(own, std::min(options_.opening_words, kMaxOpening),
                        draw);
  }

  // One hint: some of other types, then those of its own, which a small model
  // needs to stay with it. Several: of any type. With openings, which differ
  // enough, all requests of a type show the same.
  std::vector<size_t> draw_examples(
      const std::vector<recipe::TypedQuestion>& hints, int64_t n) const {
    std::vector<size_t> own, others, chosen;
    const bool is_list = hints.size() > 1;
    for (size_t i = 0; i < seeds_.questions.size(); ++i) {
      const bool is_own = !is_list && seeds_.questions[i].type == hints[0].type;
      (is_own ? own : others).push_back(i);
    }
    Hasher hasher;
    hasher.add("redteam.examples").add(seed_);
    const uint64_t draw = options_.opening_words > 0
                              ? hasher.add(hints[0].type).key()
                              : hasher.add(uint64_t(n)).key();
    const size_t number = is_list ? kNumListed : kNumOthers;
    for (const uint32_t i :
         draw_sample(draw, uint32_t(others.size()),
                     uint32_t(std::min(number, others.size())))) {
      chosen.push_back(others[i]);
    }
    chosen.insert(chosen.end(), own.begin(), own.end());
    return chosen;
  }

  const recipe::InstructOptions& options_;
  const recipe::RedTeamPrompt& prompt_;
  const uint64_t seed_;
  const recipe::Profile& profile_;
  const QuestionGoal& goal_;
  const SeedQuestions& seeds_;
  const std::string fingerprint_;
};

TypeBalance make_balance(const Run& run, const QuestionGoal& goal,
                         const std::vector<Row>& topics) {
  std::vector<TypeTopics> types;
  for (const recipe::QuestionType& type : run.prompts.red_team.types) {
    const auto weight = goal.weights.find(type.type);
    types.push_back({type.type,
                     goal.weights.empty()           ? type.weight
                     : weight == goal.weights.end() ? 0.0
                                                    : weight->second,
                     {}});
    for (size_t i = 0; i < topics.size(); ++i) {
      if (json_string(topics[i].content, "type", kTopics) == type.type) {
        types.back().topics.push_back(i);
      }
    }
  }
  const uint64_t draw =
      Hasher().add("redteam.order").add(run.recipe.seed).key();
  return TypeBalance(
      BalanceOptions{goal.balance, goal.num_questions, goal.max_requests, draw,
                     run.recipe.instruct.hints_per_request},
      std::move(types));
}

// What a process that goes on finds in the store: the questions that came of
// the accepted requests, from which all else follows.
struct QuestionsState {
  int64_t num_questions = 0;
  int64_t num_kept = 0;
  int64_t num_scores = 0;

  static void describe(auto& visit, auto& self) {
    visit("questions", self.num_questions);
    visit("kept", self.num_kept);
    visit.may("scores", self.num_scores, self.num_scores > 0);
  }
};

void require_found(const char* what, int64_t expected, int64_t found,
                   const std::string& where) {
  if (found == expected) return;
  throw Error(ErrorKind::kInput, str(where, ": expected ", expected, " ", what,
                                     " in the store, found ", found));
}

// Keys of the stage's first `number` rows. Error kInput where there are fewer.
std::vector<uint64_t> first_keys(const store::Reader& store,
                                 const std::string& stage, int64_t number,
                                 const std::string& where) {
  std::vector<uint64_t> keys;
  store.scan(stage, "", [&](const store::SeenRow& seen) {
    if (int64_t(keys.size()) == number) return false;
    keys.push_back(seen.row.key);
    return true;
  });
  require_found("requests", number, int64_t(keys.size()), where);
  return keys;
}

// Asks about the topics, spread over the types, and keeps questions in order
// until there are enough.
class Questions : public CompletionPlan {
 public:
  // `topics` are the kept ones, at least one.
  Questions(const Run& run, InstructionFilters& filters,
            const QuestionGoal& goal, const SeedQuestions& seeds,
            const std::vector<Row>& topics, const std::string& fingerprint)
      : run_(run),
        options_(run.recipe.instruct),
        filters_(filters),
        goal_(goal),
        topics_(topics),
        requests_(run, filters.profile(), goal, seeds, fingerprint),
        balance_(make_balance(run, goal, topics)) {}

  std::string title() const override { return "red-team questions"; }
  std::string unit() const override { return "questions"; }
  uint64_t total() const override { return uint64_t(goal_.num_questions); }
  uint64_t units_done(int64_t /*num_accepted*/) const override {
    return uint64_t(balance_.num_kept());
  }

  int64_t needs(int64_t n) const override { return balance_.needs(n); }

  std::optional<PlannedRow> plan(int64_t n) override {
    if (n >= goal_.max_requests) return std::nullopt;
    return requests_.request(n, next_topics(n));
  }

  // Where two profiles judge, all are accepted again.
  std::string checkpoint() const override {
    if (run_.judging == Judging::kBoth) return "";
    return str("accepted.", goal_.questions, " ",
               filters_.profile().instruct_filter);
  }
  Json state() const override {
    return to_json(QuestionsState{num_questions_, balance_.num_kept(),
                                  filters_.num_scores()});
  }
  // Goes through the requests and their questions as they were accepted, but
  // reads the verdicts in place of judging.
  void set_state(const Json& state, int64_t num_accepted,
                 const std::string& where) override {
    const auto kept = from_json<QuestionsState>(state, where);
    filters_.set_num_scores(kept.num_scores);
    const std::vector<uint64_t> requests =
        first_keys(run_.store, goal_.requests, num_accepted, where);
    uint64_t index = 0;  // of a question in its request
    const auto visit = [&](const store::SeenRow& seen) {
      if (num_questions_ == kept.num_questions) return false;
      for (; num_requests_ < num_accepted &&
             seen.row.key != parsed_key(goal_.questions,
                                        requests[size_t(num_requests_)], index);
           index = 0) {
        recall_request();
      }
      if (num_requests_ == num_accepted) return false;
      recall_question(seen, where);
      ++index;
      return true;
    };
    run_.store.scan(goal_.questions, filters_.profile().instruct_filter, visit);
    while (num_requests_ < num_accepted) recall_request();
    require_found("questions of these requests", kept.num_questions,
                  num_questions_, where);
    require_found("kept questions", kept.num_kept, balance_.num_kept(), where);
  }

  int64_t lookahead() const override {
    const double num_kept = double(balance_.num_kept());
    const double yield = (num_kept + 2.0 * options_.hints_per_request) /
                         double(num_requests_ + 2);
    const double rest = double(goal_.num_questions) - num_kept;
    return 4 + int64_t(std::ceil(1.25 * rest / yield));
  }

  bool asks_scores() const override { return filters_.asks_scores(); }
  void foresee(const std::vector<CompletedRow>& rows) override {
    std::vector<ScoredText> texts;
    for (const auto& [row, completion] : rows) {
      uint64_t index = 0;
      for (const auto& question : requests_.read(row, completion)) {
        filters_.foresee(parsed_key(goal_.questions, row.key, index++),
                         question, texts);
      }
    }
    filters_.foresee(texts);
  }

  bool accept(const Row& row, const Completion& completion,
              Accepted& out) override {
    size_t index = 0;
    for (const auto& question : requests_.read(row, completion)) {
      accept_question(row.key, index++, question, out);
    }
    end_request(requests_.hints_of(row));
    return !balance_.finished();
  }

  void warn_of_shortfall(int64_t num_requests) const {
    if (balance_.num_kept() < goal_.num_questions) {
      log_warning(str("instruct: ", balance_.num_kept(), " of ",
                      goal_.num_questions, " red-team questions after ",
                      num_requests, " requests; raise ", goal_.limit,
                      " for more"));
    }
    const std::string short_types = balance_.short_types();
    if (!short_types.empty()) {
      log_warning("instruct: types that did not fill their share: " +
                  short_types);
    }
  }

  Json figures() const { return balance_.figures(); }
  int64_t num_questions() const { return num_questions_; }

 private:
  void accept_question(uint64_t request, size_t index,
                       const parse::ListedQuestion& listed, Accepted& out) {
    Row question{parsed_key(goal_.questions, request, index),
                 goal_.questions,
                 num_questions_++,
                 {request},
                 Json{{"instruction", listed.text},
                      {"type", listed.type},
                      {"topic", listed.topic}}};
    if (!filters_.judge(question.key, listed, balance_.is_full(listed.type),
                        out)) {
      balance_.add_kept(listed.type);
    }
    out.rows.push_back(std::move(question));
  }

  std::vector<const Row*> next_topics(int64_t n) {
    std::vector<const Row*> topics;
    for (const size_t i : balance_.next_topics(n)) {
      topics.push_back(&topics_[i]);
    }
    return topics;
  }

  // All questions of the next request in sequence have been added.
  void end_request(const std::vector<recipe::TypedQuestion>& hints) {
    std::vector<std::string> asked;
    asked.reserve(hints.size());
    for (const recipe::TypedQuestion& hint : hints) asked.push_back(hint.type);
    balance_.add_outcome(asked);
    ++num_requests_;
  }

  // What an earlier process asked in the next request in sequence.
  void recall_request() {
    std::vector<recipe::TypedQuestion> hints;
    for (const Row* topic : next_topics(num_requests_)) {
      hints.push_back(hint_of(topic->content, kTopics));
    }
    end_request(hints);
  }

  // One that an earlier process judged.
  void recall_question(const store::SeenRow& seen, const std::string& where) {
    const std::string place = str(goal_.questions, ":", seen.row.seq);
    if (!seen.verdict) {
      throw Error(ErrorKind::kInput, str(where, ": expected a verdict of ",
                                         filters_.profile().instruct_filter,
                                         " on ", place, ", found none"));
    }
    const recipe::TypedQuestion hint = hint_of(seen.row.content, place);
    filters_.recall_question(
        {json_string(seen.row.content, "instruction", place), hint.type,
         hint.topic},
        *seen.verdict);
    if (seen.verdict->kept) balance_.add_kept(hint.type);
    ++num_questions_;
  }

  const Run& run_;
  const recipe::InstructOptions& options_;
  InstructionFilters& filters_;
  const QuestionGoal& goal_;
  const std::vector<Row>& topics_;
  QuestionRequests requests_;
  TypeBalance balance_;
  int64_t num_requests_ = 0;  // accepted
  int64_t num_questions_ = 0;
};

}  // namespace

void ask_questions(const Run& run, InstructionFilters& filters,
                   const QuestionGoal& goal, const SeedQuestions& seeds) {
  const std::vector<Row> topics = kept_rows(run.store, kTopics);
  int64_t num_requests = 0;
  int64_t num_questions = 0;
  Json figures = Json::object();
  if (goal.num_questions > 0 && !topics.empty()) {
    generate::Generator& base = run.models.base(recipe::Role::kInstruct);
    Questions questions(run, filters, goal, seeds, topics, base.fingerprint());
    Likelihoods likelihoods(goal.questions, base, run.store);
    filters.set_likelihoods(&likelihoods);
    num_requests = complete_rows(questions, base, run.store);
    filters.set_likelihoods(nullptr);
    if (filters.asks_scores()) likelihoods.finish();
    num_questions = questions.num_questions();
    figures = questions.figures();
    questions.warn_of_shortfall(num_requests);
  } else if (goal.num_questions > 0) {
    log_warning("instruct: no topic was kept, so no red-team questions");
  }
  finish_stage(run.store, goal.requests, "", num_requests);
  finish_stage(run.store, goal.questions, filters.profile().instruct_filter,
               num_questions, figures);
}

}  // namespace selfalign::stages
