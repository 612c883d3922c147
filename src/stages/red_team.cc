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

class RedTeam {
 public:
  RedTeam(const Run& run, InstructionFilters& filters, QuestionGoal goal)
      : run_(run),
        options_(run.recipe.instruct),
        prompt_(run.prompts.red_team),
        filters_(filters),
        goal_(std::move(goal)),
        as_published_(run.recipe.profile != "default" &&
                      options_.topic_rounds > 1) {}

  void run() {
    add_seeds();
    generate::Generator* base = nullptr;
    if (goal_.num_questions > 0) {
      base = &run_.models.base();
      fingerprint_ = base->fingerprint();
    }
    if (!stage_done(run_.store, kTopics)) brainstorm(base);
    ask_questions(run_, filters_, goal_, seeds_);
  }

 private:
  // The types, then the seed questions, as the rows all others come from.
  void add_seeds() {
    std::vector<Row> rows;
    const auto add = [&](const std::string& text, std::vector<uint64_t> parents,
                         Json content) {
      const uint64_t key = item_key(kSeeds, text, rows.size());
      rows.push_back({key, kSeeds, int64_t(rows.size()), std::move(parents),
                      std::move(content)});
      return key;
    };
    for (const recipe::QuestionType& type : prompt_.types) {
      types_.push_back(add(type.type, {}, Json{{"type", type.type}}));
    }
    for (size_t t = 0; t < prompt_.types.size(); ++t) {
      const recipe::QuestionType& type = prompt_.types[t];
      for (const recipe::SeedQuestion& seed : type.questions) {
        const uint64_t key = add(seed.question, {types_[t]},
                                 Json{{"type", type.type},
                                      {"topic", seed.topic},
                                      {"question", seed.question}});
        seeds_.keys.push_back(key);
        seeds_.questions.push_back({type.type, seed.topic, seed.question});
      }
    }
    run_.store.add_rows(rows);
    finish_stage(run_.store, kSeeds, "", int64_t(rows.size()));
  }

  // Types -> topics, in rounds: lists of known topics, gone on with.
  void brainstorm(generate::Generator* base) {
    Accepted seeds;
    known_.resize(types_.size());
    for (size_t t = 0; t < types_.size(); ++t) {
      for (size_t i = 0; i < prompt_.types[t].topics.size(); ++i) {
        add_topic(types_[t], t, i, {prompt_.types[t].topics[i]}, seeds);
      }
    }
    for (const auto& topics : known_) {
      growth_.emplace_back(options_.topics_per_type, topics.size(),
                           options_.topic_rounds);
    }
    if (base) plan_round(seeds);
    run_.store.transaction([&] {
      run_.store.add_rows(seeds.rows);
      run_.store.set_verdicts(seeds.verdicts);
    });
    CompletionPlan plan;
    plan.title = "red-team topics";
    plan.total = options_.topic_rounds > 1 ? 0 : topic_plan_.size();
    // A round is planned when all of the one before is there.
    plan.needs = [this](int64_t n) {
      const auto num_planned = int64_t(topic_plan_.size());
      return n < num_planned ? 0 : num_planned;
    };
    plan.plan = [this](int64_t n) -> std::optional<PlannedRow> {
      if (size_t(n) >= topic_plan_.size()) return std::nullopt;
      return topic_request(n);
    };
    plan.accept = [this](const Row& row, const Completion& completion,
                         Accepted& out) {
      accept_topics(row, completion, out);
      if (row.seq + 1 == int64_t(topic_plan_.size())) plan_round(out);
      return true;
    };
    const int64_t num_requests =
        base ? complete_rows(plan, *base, run_.store) : 0;
    finish_stage(run_.store, kTopicRequests, "", num_requests);
    const Json figures = topic_figures();
    finish_stage(run_.store, kTopics, filters_.profile().topic_filter,
                 num_topics_, figures);
    if (figures.contains("topics")) log_info(topics_line(figures["topics"]));
  }

  // What the topics came to, where a number of them was asked for.
  Json topic_figures() const {
    Json figures = Json::object();
    if (as_published_ || num_rounds_ == 0) return figures;
    Json types = Json::object();
    for (size_t t = 0; t < growth_.size(); ++t) {
      types[prompt_.types[t].type] = {{"new", growth_[t].num_new()},
                                      {"saturated", growth_[t].saturated()}};
    }
    figures["topics"] = {{"asked_for", options_.topics_per_type},
                         {"rounds", num_rounds_},
                         {"types", types}};
    return figures;
  }

  // The next round, if there is one.
  void plan_round(Accepted& out) {
    if (num_rounds_ == options_.topic_rounds) {
      for (size_t t = 0; t < growth_.size(); ++t) {
        growth_[t].settle(known_[t].size());
      }
      return;
    }
    const size_t before = topic_plan_.size();
    if (as_published_) {
      plan_published_round(out);
    } else {
      for (size_t t = 0; t < types_.size(); ++t) grow(t);
    }
    num_rounds_ += topic_plan_.size() > before;
  }

  // Requests for the topics that a type lacks. The first ones show its seed
  // topics, later ones topics drawn from all it has.
  void grow(size_t type) {
    const auto& seeds = prompt_.types[type].topics;
    const bool first = num_rounds_ == 0;
    const size_t num_shown =
        first ? seeds.size() : std::min(kNumShownTopics, known_[type].size());
    const int64_t per_request =
        std::max<int64_t>(1, prompt_.num_topics - int64_t(num_shown));
    const int64_t count =
        growth_[type].next_round(known_[type].size(), per_request);
    for (int64_t i = 0; i < count; ++i) {
      topic_plan_.push_back(first ? TopicRequest{type, {}, seeds}
                                  : drawn_topics(type, num_shown));
    }
  }

  // The next round as published: all types are cut to the one with fewest
  // topics, then each topic left brings a request, which shows it, or once
  // there are twice as many as are shown some of its type. What is cut is lost.
  void plan_published_round(Accepted& out) {
    size_t smallest = SIZE_MAX;
    for (const auto& topics : known_) {
      if (!topics.empty()) smallest = std::min(smallest, topics.size());
    }
    for (size_t t = 0; t < known_.size(); ++t) {
      for (; known_[t].size() > smallest; known_[t].pop_back()) {
        out.verdicts.push_back(verdict_of(
            known_[t].back().key, filters_.profile().topic_filter,
            parse::Rejection{"cut", str("a type has ", smallest, " topics")}));
      }
      for (size_t i = 0; i < known_[t].size(); ++i) {
        if (int64_t(topic_plan_.size()) < options_.max_requests) {
          topic_plan_.push_back(known_[t].size() < 2 * kNumShownTopics
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
                              .add(run_.recipe.seed)
                              .add(uint64_t(topic_plan_.size()))
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

  PlannedRow topic_request(int64_t n) const {
    const TopicRequest& request = topic_plan_[size_t(n)];
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
    finish_plan(kTopicRequests, n, std::move(parents), prompt_.topic_prompt,
                Json{{"type", type.type}}, planned);
    return planned;
  }

  void finish_plan(const std::string& stage, int64_t n,
                   std::vector<uint64_t> parents, const std::string& prompt,
                   Json content, PlannedRow& planned) const {
    const uint64_t key =
        generated_key({stage, parents, Hasher().add(prompt).digest(),
                       planned.request.sampling, fingerprint_, uint64_t(n),
                       run_.recipe.seed});
    planned.row = {key, stage, n, std::move(parents), std::move(content)};
    planned.request.key = key;
  }

  void accept_topics(const Row& row, const Completion& completion,
                     Accepted& out) {
    const TopicRequest request = topic_plan_[size_t(row.seq)];
    const auto topics =
        parse::parse_list(completion.text, int(request.shown.size()) + 1,
                          completion.finish == Finish::kLength);
    for (size_t i = 0; i < topics.size(); ++i) {
      add_topic(row.key, request.type, i, topics[i], out);
    }
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
      known_[type].push_back({row.key, parse::plain_topic(item.text)});
    }
    out.rows.push_back(std::move(row));
  }

  const Run& run_;
  const recipe::InstructOptions& options_;
  const recipe::RedTeamPrompt& prompt_;
  InstructionFilters& filters_;
  const QuestionGoal goal_;
  const bool as_published_;  // how topics grow
  std::string fingerprint_;

  std::vector<uint64_t> types_;  // keys of the types' rows
  SeedQuestions seeds_;
  std::vector<TopicRequest> topic_plan_;
  std::vector<std::vector<Topic>> known_;  // kept topics by type
  std::vector<TopicGrowth> growth_;        // by type
  int num_rounds_ = 0;                     // of topics, planned
  int64_t num_topics_ = 0;
};

}  // namespace

void run_red_team(const Run& run, InstructionFilters& filters) {
  if (!stage_done(run.store, kQuestions)) {
    write_questions(run, filters, stage_goal(run.recipe.instruct));
  }
}

void write_questions(const Run& run, InstructionFilters& filters,
                     const QuestionGoal& goal) {
  RedTeam(run, filters, goal).run();
}

}  // namespace selfalign::stages
