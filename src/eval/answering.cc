// SPDX-License-Identifier: Apache-2.0
#include "eval/answering.h"

#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "eval/items.h"
#include "stages/keys.h"

namespace selfalign::eval {
namespace {

// What is given takes the place of what is published. Both are put at once, for
// greedy is what is asked so in the end.
void beat(const recipe::GivenSampling& given, recipe::GivenSampling& wanted) {
  const auto take = [](const auto& from, auto& to) {
    if (from) to = from;
  };
  take(given.temperature, wanted.temperature);
  take(given.top_p, wanted.top_p);
  take(given.max_new_tokens, wanted.max_new_tokens);
  take(given.repetition_penalty, wanted.repetition_penalty);
}

// For the turn after those of the history.
generate::Request request_of(const Conversation& one,
                             const std::vector<recipe::ChatTurn>& history,
                             const Subject& subject,
                             const AnsweringOptions& options) {
  generate::Request request =
      subject.form->ask(history, one.turns[history.size()]);
  recipe::GivenSampling wanted;
  if (options.published) wanted = options.published(one);
  beat(options.decoding.given, wanted);
  wanted.put(request.sampling);
  return request;
}

class Answering {
 public:
  Answering(const std::vector<Conversation>& conversations,
            const Subject& subject, ItemLog& log,
            const AnsweringOptions& options)
      : conversations_(conversations),
        subject_(subject),
        log_(log),
        options_(options),
        fingerprint_(subject.generator->fingerprint()) {}

  std::vector<Json> run() {
    Progress progress(options_.task + ", " + subject_.name,
                      conversations_.size(), "items");
    for (size_t i = 0; i < conversations_.size(); ++i) {
      if (log_.find(key_of(conversations_[i])) == nullptr) {
        waiting_.push_back({i, {}, {}});
      }
    }
    num_done_ = conversations_.size() - waiting_.size();
    progress.set_start(num_done_);
    subject_.generator->generate([this] { return next(); },
                                 [&](generate::Completion completion) {
                                   take(completion);
                                   progress.update(num_done_);
                                 });
    log_.sync();
    if (num_done_ < conversations_.size()) {
      stop_if_interrupted("the same command goes on");
    }
    std::vector<Json> items;
    items.reserve(conversations_.size());
    for (const Conversation& one : conversations_) {
      items.push_back(*log_.find(key_of(one)));
    }
    return items;
  }

 private:
  struct Talk {
    size_t number;  // of the conversation
    std::vector<recipe::ChatTurn> history;
    std::vector<generate::Completion> completions;
  };

  generate::Request first_request(const Conversation& one) const {
    return request_of(one, {}, subject_, options_);
  }

  // The key of a conversation: its first request stands for the form.
  uint64_t key_of(const Conversation& one) const {
    std::string turns;
    for (const std::string& turn : one.turns) turns += turn + "\x1f";
    return item_key(options_.task, options_.version, one.id,
                    turns + key_to_hex(key_of(first_request(one), one)),
                    fingerprint_);
  }

  uint64_t key_of(const generate::Request& request,
                  const Conversation& one) const {
    const std::string prompt = Hasher()
                                   .add(request.prefix ? *request.prefix : "")
                                   .add(request.suffix)
                                   .digest();
    return stages::generated_key({"evaluation." + options_.task + "." + one.id,
                                  {},
                                  prompt,
                                  request.sampling,
                                  fingerprint_,
                                  0,
                                  options_.seed});
  }

  std::optional<generate::Request> next() {
    if (waiting_.empty()) return std::nullopt;
    Talk talk = std::move(waiting_.front());
    waiting_.pop_front();
    const Conversation& one = conversations_[talk.number];
    generate::Request request =
        request_of(one, talk.history, subject_, options_);
    request.key = key_of(request, one);
    const uint64_t key = request.key;
    asked_.emplace(key, std::move(talk));
    return request;
  }

  void take(const generate::Completion& completion) {
    const auto found = asked_.find(completion.key);
    if (found == asked_.end() ||
        completion.finish == generate::Finish::kCancelled) {
      return;
    }
    watch_.see(completion, options_.task + ", " + subject_.name);
    Talk talk = std::move(found->second);
    asked_.erase(found);
    const Conversation& one = conversations_[talk.number];
    talk.history.push_back(
        {one.turns[talk.history.size()], subject_.form->read(completion)});
    talk.completions.push_back(completion);
    if (talk.history.size() < one.turns.size()) {
      waiting_.push_back(std::move(talk));
      return;
    }
    log_.add(key_of(one), item_of(one, talk));
    ++num_done_;
  }

  Json item_of(const Conversation& one, const Talk& talk) const {
    Json answers = Json::array();
    Json tokens = Json::array();
    Json prompt_tokens = Json::array();
    Json finish = Json::array();
    bool estimated = false;
    for (size_t i = 0; i < talk.history.size(); ++i) {
      answers.push_back(talk.history[i].answer);
      tokens.push_back(talk.completions[i].num_tokens);
      prompt_tokens.push_back(talk.completions[i].num_prompt_tokens);
      estimated = estimated || talk.completions[i].is_estimated;
      finish.push_back(generate::finish_name(talk.completions[i].finish));
    }
    Json item{{"id", one.id}};
    if (!one.group.empty()) item["group"] = one.group;
    const bool single = one.turns.size() == 1;
    item[single ? "question" : "turns"] =
        single ? Json(one.turns[0]) : Json(one.turns);
    item[single ? "answer" : "answers"] = single ? answers[0] : answers;
    item["tokens"] = single ? tokens[0] : tokens;
    item["prompt_tokens"] = single ? prompt_tokens[0] : prompt_tokens;
    if (estimated) item["tokens_estimated"] = true;
    item["finish"] = single ? finish[0] : finish;
    if (options_.finish) options_.finish(one, item);
    return item;
  }

  const std::vector<Conversation>& conversations_;
  const Subject& subject_;
  ItemLog& log_;
  const AnsweringOptions& options_;
  const std::string fingerprint_;
  std::deque<Talk> waiting_;
  std::unordered_map<uint64_t, Talk> asked_;
  size_t num_done_ = 0;
  generate::AnswerWatch watch_;
};

}  // namespace

Json decoding_settings(const std::vector<Conversation>& conversations,
                       const Subject& subject,
                       const AnsweringOptions& options) {
  Json all;
  for (const Conversation& one : conversations) {
    const Json sampling =
        recipe::to_json(request_of(one, {}, subject, options).sampling);
    if (all.is_null()) all = sampling;
    for (auto& [name, value] : all.items()) {
      if (value != sampling[name]) value = "by category";
    }
  }
  return {{"decoding", options.decoding.own ? "own" : "one"},
          {"sampling", all}};
}

std::vector<Json> answer_conversations(
    const std::vector<Conversation>& conversations, const Subject& subject,
    ItemLog& log, const AnsweringOptions& options) {
  return Answering(conversations, subject, log, options).run();
}

}  // namespace selfalign::eval
