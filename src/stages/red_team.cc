// Stage 1, second half: types -> topics -> questions (questions.h).
#include <algorithm>
#include <cstdint>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/instruct.h"
#include "stages/keys.h"
#include "stages/lists.h"
#include "stages/questions.h"
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
// Known topics that a request shows where topics grow in rounds; while there
// are fewer than twice as many, it shows one.
constexpr size_t kNumShownTopics = 5;

QuestionGoal stage_goal(const InstructOptions& options) {
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
        goal_(std::move(goal)) {}

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
    for (const QuestionType& type : prompt_.types) {
      types_.push_back(add(type.type, {}, Json{{"type", type.type}}));
    }
    for (size_t t = 0; t < prompt_.types.size(); ++t) {
      const QuestionType& type = prompt_.types[t];
      for (const SeedQuestion& seed : type.questions) {
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

  // Types -> topics: for each type the list of its seed topics, gone on with
  // as often as it takes to ask for topics_per_type new ones; or in rounds.
  void brainstorm(generate::Generator* base) {
    Accepted seeds;
    known_.resize(types_.size());
    for (size_t t = 0; t < types_.size(); ++t) {
      for (size_t i = 0; i < prompt_.types[t].topics.size(); ++i) {
        add_topic(types_[t], t, i, {prompt_.types[t].topics[i]}, seeds);
      }
    }
    rounds_left_ = options_.topic_rounds;
    if (rounds_left_ > 1) {
      plan_round(seeds);
    } else {
      for (size_t t = 0; t < types_.size(); ++t) plan_topics(t);
    }
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
    finish_stage(run_.store, kTopics, filters_.profile().topic_filter,
                 num_topics_);
  }

  void plan_topics(size_t type) {
    const int num_seeds = int(prompt_.types[type].topics.size());
    const int per_request = std::max(1, prompt_.num_topics - num_seeds);
    for (int asked = 0; asked < options_.topics_per_type;
         asked += per_request) {
      topic_plan_.push_back({type, {}, prompt_.types[type].topics});
    }
  }

  // The next round as published: all types are cut to the one with fewest
  // topics, then each topic left brings a request, which shows it, or once
  // there are enough some of its type. What is cut is lost.
  void plan_round(Accepted& out) {
    if (--rounds_left_ < 0 || options_.topic_rounds == 1) return;
    size_t smallest = SIZE_MAX;
    for (const auto& topics : known_) {
      if (!topics.empty()) smallest = std::min(smallest, topics.size());
    }
    for (size_t t = 0; t < known_.size(); ++t) {
      for (; known_[t].size() > smallest; known_[t].pop_back()) {
        out.verdicts.push_back(verdict_of(
            known_[t].back().key, filters_.profile().topic_filter,
            Rejection{"cut", str("a type has ", smallest, " topics")}));
      }
      for (size_t i = 0; i < known_[t].size(); ++i) {
        if (int64_t(topic_plan_.size()) < options_.max_requests) {
          topic_plan_.push_back(shown_topics(t, i));
        }
      }
    }
  }

  // Request for the type that shows its topic i, or drawn ones.
  TopicRequest shown_topics(size_t type, size_t i) const {
    const std::vector<Topic>& known = known_[type];
    TopicRequest request{type, {}, {}};
    std::vector<uint32_t> chosen = {uint32_t(i)};
    if (known.size() >= 2 * kNumShownTopics) {
      const uint64_t draw = Hasher()
                                .add("redteam.topics")
                                .add(run_.recipe.seed)
                                .add(uint64_t(topic_plan_.size()))
                                .key();
      chosen =
          draw_sample(draw, uint32_t(known.size()), uint32_t(kNumShownTopics));
    }
    for (const uint32_t k : chosen) {
      request.parents.push_back(known[k].key);
      request.shown.push_back(known[k].text);
    }
    return request;
  }

  PlannedRow topic_request(int64_t n) const {
    const TopicRequest& request = topic_plan_[size_t(n)];
    const QuestionType& type = prompt_.types[request.type];
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
        parse_list(completion.text, int(request.shown.size()) + 1,
                   completion.finish == Finish::kLength);
    for (size_t i = 0; i < topics.size(); ++i) {
      add_topic(row.key, request.type, i, topics[i], out);
    }
  }

  void add_topic(uint64_t parent, size_t type, size_t index,
                 const ListedItem& item, Accepted& out) {
    Row row{parsed_key(kTopics, parent, index),
            kTopics,
            num_topics_++,
            {parent},
            Json{{"type", prompt_.types[type].type},
                 {"topic", plain_topic(item.text)}}};
    const ListedTopic listed{item.text, prompt_.types[type].type, item.cut_off};
    if (!filters_.judge(row.key, listed, out)) {
      known_[type].push_back({row.key, plain_topic(item.text)});
    }
    out.rows.push_back(std::move(row));
  }

  const Run& run_;
  const InstructOptions& options_;
  const RedTeamPrompt& prompt_;
  InstructionFilters& filters_;
  const QuestionGoal goal_;
  std::string fingerprint_;

  std::vector<uint64_t> types_;  // keys of the types' rows
  SeedQuestions seeds_;
  std::vector<TopicRequest> topic_plan_;
  std::vector<std::vector<Topic>> known_;  // kept topics by type
  int rounds_left_ = 0;                    // of topics
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
