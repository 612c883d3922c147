// SPDX-License-Identifier: Apache-2.0
// Stage 1, second half: types -> topics -> questions (questions.h).
#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "parse/lists.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/instruct.h"
#include "stages/keys.h"
#include "stages/questions.h"
#include "stages/topic_growth.h"
#include "text/template.h"

namespace selfalign::stages {
namespace {

using generate::Completion;
using generate::Finish;
using store::Row;
using text::fill_template;

constexpr char kSeeds[] = "redteam.seeds";
constexpr char kTopicRequests[] = "redteam.topic_requests";
constexpr char kTopics[] = "redteam.topics";
constexpr char kRequests[] = "redteam.requests";
constexpr char kQuestions[] = "redteam.questions";
// Known topics that a request shows where topics grow in rounds.
constexpr size_t kNumShownTopics = 5;

QuestionGoal stage_goal(const recipe::InstructOptions& options) {
  return {kRequests,
          kQuestions,
          options.balance,
          options.num_red_team,
          options.max_requests,
          {},
          "instruct.max_requests"};
}

struct Topic {
  uint64_t key;
  std::string text;
};
// A request for further topics of a type.
struct TopicRequest {
  size_t type;
  std::vector<uint64_t> parents;  // rows of the topics shown, if not seeds
  std::vector<std::string> shown;
};

// How topics grow: which are known by type, and in rounds which requests are to
// bring more. Types are numbered as in red_team.yaml.
class TopicRounds {
 public:
  explicit TopicRounds(const Run& run)
      : options_(run.recipe.instruct),
        types_(run.prompts.red_team.types),
        num_topics_(run.prompts.red_team.num_topics),
        seed_(run.recipe.seed),
        as_published_(run.recipe.profile != "default" &&
                      options_.topic_rounds > 1),
        known_(types_.size()) {}

  // A topic that is kept.
  void add(size_t type, Topic topic) {
    known_[type].push_back(std::move(topic));
  }
  // The seed topics are there.
  void begin() {
    for (const auto& topics : known_) {
      growth_.emplace_back(options_.topics_per_type, topics.size(),
                           options_.topic_rounds);
    }
  }
  // All requests so far are answered: plans the next round, if there is one.
  // What it cuts loses its place by a verdict of `filter`.
  void plan_round(const std::string& filter, Accepted& out) {
    if (num_rounds_ == options_.topic_rounds) {
      for (size_t t = 0; t < growth_.size(); ++t) {
        growth_[t].settle(known_[t].size());
      }
      return;
    }
    const size_t before = requests_.size();
    if (as_published_) {
      plan_published_round(filter, out);
    } else {
      for (size_t t = 0; t < types_.size(); ++t) grow(t);
    }
    num_rounds_ += requests_.size() > before;
  }

  const std::vector<TopicRequest>& requests() const { return requests_; }

  // What the topics came to, where a number of them was asked for.
  Json figures() const {
    Json figures = Json::object();
    if (as_published_ || num_rounds_ == 0) return figures;
    Json types = Json::object();
    for (size_t t = 0; t < growth_.size(); ++t) {
      types[types_[t].type] = {{"new", growth_[t].num_new()},
                               {"saturated", growth_[t].saturated()}};
    }
    figures["topics"] = {{"asked_for", options_.topics_per_type},
                         {"rounds", num_rounds_},
                         {"types", types}};
    return figures;
  }

 private:
  // Requests for the topics that a type lacks. The first ones show its seed
  // topics, later ones topics drawn from all it has.
  void grow(size_t type) {
    const auto& seeds = types_[type].topics;
    const bool first = num_rounds_ == 0;
    const size_t num_shown =
        first ? seeds.size() : std::min(kNumShownTopics, known_[type].size());
    const int64_t per_request =
        std::max<int64_t>(1, num_topics_ - int64_t(num_shown));
    const int64_t count =
        growth_[type].next_round(known_[type].size(), per_request);
    for (int64_t i = 0; i < count; ++i) {
      requests_.push_back(first ? TopicRequest{type, {}, seeds}
                                : drawn_topics(type, num_shown));
    }
  }

  // The next round as published: all types are cut to the one with fewest
  // topics, then each topic left brings a request, which shows it, or once
  // there are twice as many as are shown some of its type. What is cut is lost.
  void plan_published_round(const std::string& filter, Accepted& out) {
    size_t smallest = SIZE_MAX;
    for (const auto& topics : known_) {
      if (!topics.empty()) smallest = std::min(smallest, topics.size());
    }
    for (size_t t = 0; t < known_.size(); ++t) {
      for (; known_[t].size() > smallest; known_[t].pop_back()) {
        out.verdicts.push_back(verdict_of(
            known_[t].back().key, filter,
            parse::Rejection{"cut", str("a type has ", smallest, " topics")}));
      }
      for (size_t i = 0; i < known_[t].size(); ++i) {
        if (int64_t(requests_.size()) < options_.max_requests) {
          requests_.push_back(known_[t].size() < 2 * kNumShownTopics
                                  ? shown_topics(t, {uint32_t(i)})
                                  : drawn_topics(t, kNumShownTopics));
        }
      }
    }
  }

  // The next request for the type, which shows `count` drawn topics.
  TopicRequest drawn_topics(size_t type, size_t count) const {
    const uint64_t draw = Hasher()
                              .add("redteam.topics")
                              .add(seed_)
                              .add(uint64_t(requests_.size()))
                              .key();
    return shown_topics(type, draw_sample(draw, uint32_t(known_[type].size()),
                                          uint32_t(count)));
  }

  TopicRequest shown_topics(size_t type,
                            const std::vector<uint32_t>& chosen) const {
    TopicRequest request{type, {}, {}};
    for (const uint32_t k : chosen) {
      request.parents.push_back(known_[type][k].key);
      request.shown.push_back(known_[type][k].text);
    }
    return request;
  }

  const recipe::InstructOptions& options_;
  const std::vector<recipe::QuestionType>& types_;
  const int64_t num_topics_;  // of a list
  const uint64_t seed_;
  const bool as_published_;
  std::vector<TopicRequest> requests_;
  std::vector<std::vector<Topic>> known_;  // by type
  std::vector<TopicGrowth> growth_;        // by type
  int num_rounds_ = 0;                     // planned
};

// Types -> topics: lists of known topics, gone on with.
class Brainstorm : public CompletionPlan {
 public:
  // `types` are the keys of the types' rows.
  Brainstorm(const Run& run, InstructionFilters& filters,
             const std::vector<uint64_t>& types)
      : run_(run),
        options_(run.recipe.instruct),
        prompt_(run.prompts.red_team),
        filters_(filters),
        types_(types),
        rounds_(run) {}

  // `base` null: the seed topics alone.
  void run(generate::Generator* base) {
    Accepted seeds;
    for (size_t t = 0; t < types_.size(); ++t) {
      for (size_t i = 0; i < prompt_.types[t].topics.size(); ++i) {
        add_topic(types_[t], t, i, {prompt_.types[t].topics[i]}, seeds);
      }
    }
    rounds_.begin();
    if (base) plan_round(seeds);
    run_.store.transaction([&] {
      run_.store.add_rows(seeds.rows);
      run_.store.set_verdicts(seeds.verdicts);
    });
    int64_t num_requests = 0;
    if (base) {
      fingerprint_ = base->fingerprint();
      num_requests = complete_rows(*this, *base, run_.store);
    }
    finish_stage(run_.store, kTopicRequests, "", num_requests);
    const Json figures = rounds_.figures();
    finish_stage(run_.store, kTopics, filters_.profile().topic_filter,
                 num_topics_, figures);
    if (figures.contains("topics")) log_info(topics_line(figures["topics"]));
  }

  std::string title() const override { return "red-team topics"; }
  uint64_t total() const override {
    return options_.topic_rounds > 1 ? 0 : rounds_.requests().size();
  }

  // A round is planned when all of the one before is there.
  int64_t needs(int64_t n) const override {
    const auto num_planned = int64_t(rounds_.requests().size());
    return n < num_planned ? 0 : num_planned;
  }

  std::optional<PlannedRow> plan(int64_t n) override {
    if (size_t(n) >= rounds_.requests().size()) return std::nullopt;
    const TopicRequest& request = rounds_.requests()[size_t(n)];
    const recipe::QuestionType& type = prompt_.types[request.type];
    std::string topics;
    for (size_t i = 0; i < request.shown.size(); ++i) {
      if (i > 0) topics += '\n';
      topics += str(i + 1, ". ", request.shown[i]);
    }
    PlannedRow planned;
    planned.request.suffix =
        fill_template(prompt_.topic_prompt,
                      {{"total", std::to_string(prompt_.num_topics)},
                       {"type", type.type},
                       {"topics", topics},
                       {"next", std::to_string(request.shown.size() + 1)}},
                      "red_team.yaml: topic_prompt");
    planned.request.sampling = options_.topic_sampling;
    planned.request.sampling.stop = prompt_.topic_stop;
    std::vector<uint64_t> parents = {types_[request.type]};
    parents.insert(parents.end(), request.parents.begin(),
                   request.parents.end());
    const uint64_t key = generated_key(
        {kTopicRequests, parents, Hasher().add(prompt_.topic_prompt).digest(),
         planned.request.sampling, fingerprint_, uint64_t(n),
         run_.recipe.seed});
    planned.row = {key, kTopicRequests, n, std::move(parents),
                   Json{{"type", type.type}}};
    planned.request.key = key;
    return planned;
  }

  bool accept(const Row& row, const Completion& completion,
              Accepted& out) override {
    const TopicRequest request = rounds_.requests()[size_t(row.seq)];
    const auto topics =
        parse::parse_list(completion.text, int(request.shown.size()) + 1,
                          completion.finish == Finish::kLength);
    for (size_t i = 0; i < topics.size(); ++i) {
      add_topic(row.key, request.type, i, topics[i], out);
    }
    if (row.seq + 1 == int64_t(rounds_.requests().size())) plan_round(out);
    return true;
  }

 private:
  void plan_round(Accepted& out) {
    rounds_.plan_round(filters_.profile().topic_filter, out);
  }

  void add_topic(uint64_t parent, size_t type, size_t index,
                 const parse::ListedItem& item, Accepted& out) {
    Row row{parsed_key(kTopics, parent, index),
            kTopics,
            num_topics_++,
            {parent},
            Json{{"type", prompt_.types[type].type},
                 {"topic", parse::plain_topic(item.text)}}};
    const parse::ListedTopic listed{item.text, prompt_.types[type].type,
                                    item.cut_off};
    if (!filters_.judge(row.key, listed, out)) {
      rounds_.add(type, {row.key, parse::plain_topic(item.text)});
    }
    out.rows.push_back(std::move(row));
  }

  const Run& run_;
  const recipe::InstructOptions& options_;
  const recipe::RedTeamPrompt& prompt_;
  InstructionFilters& filters_;
  const std::vector<uint64_t>& types_;
  TopicRounds rounds_;
  std::string fingerprint_;
  int64_t num_topics_ = 0;
};

struct RedTeamSeeds {
  std::vector<uint64_t> types;  // keys of the types' rows
  SeedQuestions questions;
};

// The types, then the seed questions, as the rows all others come from.
RedTeamSeeds add_seeds(const Run& run) {
  const std::vector<recipe::QuestionType>& types = run.prompts.red_team.types;
  RedTeamSeeds seeds;
  std::vector<Row> rows;
  const auto add = [&](const std::string& text, std::vector<uint64_t> parents,
                       Json content) {
    const uint64_t key = item_key(kSeeds, text, rows.size());
    rows.push_back({key, kSeeds, int64_t(rows.size()), std::move(parents),
                    std::move(content)});
    return key;
  };
  for (const recipe::QuestionType& type : types) {
    seeds.types.push_back(add(type.type, {}, Json{{"type", type.type}}));
  }
  for (size_t t = 0; t < types.size(); ++t) {
    const recipe::QuestionType& type = types[t];
    for (const recipe::SeedQuestion& seed : type.questions) {
      const uint64_t key = add(seed.question, {seeds.types[t]},
                               Json{{"type", type.type},
                                    {"topic", seed.topic},
                                    {"question", seed.question}});
      seeds.questions.keys.push_back(key);
      seeds.questions.questions.push_back(
          {type.type, seed.topic, seed.question});
    }
  }
  run.store.add_rows(rows);
  finish_stage(run.store, kSeeds, "", int64_t(rows.size()));
  return seeds;
}

}  // namespace

void run_red_team(const Run& run, InstructionFilters& filters) {
  if (!stage_done(run.store, kQuestions)) {
    write_questions(run, filters, stage_goal(run.recipe.instruct));
  }
}

void write_questions(const Run& run, InstructionFilters& filters,
                     const QuestionGoal& goal) {
  const RedTeamSeeds seeds = add_seeds(run);
  generate::Generator* const base =
      goal.num_questions > 0 ? &run.models.base(recipe::Role::kInstruct)
                             : nullptr;
  if (!stage_done(run.store, kTopics)) {
    Brainstorm(run, filters, seeds.types).run(base);
  }
  ask_questions(run, filters, goal, seeds.questions);
}

}  // namespace selfalign::stages
