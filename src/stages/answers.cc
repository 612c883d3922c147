// SPDX-License-Identifier: Apache-2.0
#include "stages/answers.h"

#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/record.h"
#include "parse/repetition.h"
#include "parse/rules.h"
#include "parse/subject.h"
#include "recipe/profile.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/instruction_filter.h"
#include "stages/keys.h"
#include "stages/likelihood.h"
#include "stages/row_reading.h"

namespace selfalign::stages {
namespace {

using generate::Completion;
using store::Row;

parse::AnswerFrame frame_of(const AnswerPlan& plan) {
  parse::AnswerFrame frame = plan.frame;
  frame.prompt = *plan.prefix;
  frame.has_stop = !plan.sampling.stop.empty();
  return frame;
}

const recipe::AnswerFilter& filter_of(const AnswerPlan& plan,
                                      const recipe::Profile& profile) {
  return plan.chat != nullptr ? profile.verbose : profile.align;
}

// The other profile's filter, where it judges.
std::optional<recipe::AnswerFilter> other_filter_of(const AnswerPlan& plan,
                                                    const Run& run) {
  if (run.judging == Judging::kOwn) return std::nullopt;
  return filter_of(plan,
                   other_profile(recipe::profile_named(run.recipe.profile)));
}

// How what the other profile would keep differs from the own answer; "" if it
// is the same.
std::string difference(const parse::ReadAnswer& own,
                       const parse::ReadAnswer& others) {
  std::string text;
  if (own.answer != others.answer) {
    text = str(own.answer.size(), " -> ", others.answer.size(), " bytes");
  }
  if (own.ends != others.ends) {
    text += str(text.empty() ? "" : ", ", others.ends ? "" : "no ", "end");
  }
  return text;
}

// What the answers come to, for the manifest of the pairs.
class AnswerCounts {
 public:
  // `tokens` are those of the answer itself, without thoughts.
  void add(const Completion& completion, int tokens, bool ends) {
    ++num_answers_;
    num_tokens_ += completion.num_tokens;
    num_answer_tokens_ += tokens;
    num_ended_ += ends;
  }
  void add_thought(const parse::FiredRules& fired) {
    ++num_thoughts_;
    num_without_rules_ += fired.rules.empty();
    num_forms_.resize(parse::kNumRuleForms);
    for (size_t i = 0; i < parse::kNumRuleForms; ++i) {
      num_forms_[i] += fired.forms[i];
    }
  }
  void add_pair(int tokens, const parse::FiredRules& fired) {
    ++num_pairs_;
    num_pair_tokens_ += tokens;
    for (const int rule : fired.rules) {
      if (num_fired_.size() <= size_t(rule))
        num_fired_.resize(size_t(rule) + 1);
      ++num_fired_[size_t(rule)];
    }
  }
  int64_t num_pairs() const { return num_pairs_; }

  Json figures(bool with_rules) const {
    const auto mean = [](int64_t sum, int64_t count) {
      return count ? static_cast<double>(sum) / static_cast<double>(count)
                   : 0.0;
    };
    Json figures{
        {"mean_answer_tokens", mean(num_pair_tokens_, num_pairs_)},
        {"mean_answer_tokens_of_all", mean(num_answer_tokens_, num_answers_)},
        {"mean_completion_tokens", mean(num_tokens_, num_answers_)},
        {"share_ended", mean(num_ended_, num_answers_)}};
    if (with_rules) {
      Json fired = Json::object();
      for (size_t rule = 0; rule < num_fired_.size(); ++rule) {
        if (num_fired_[rule] == 0) continue;
        fired[std::to_string(rule)] = num_fired_[rule];
      }
      figures["rules_fired"] = fired;
      figures["thoughts"] = num_thoughts_;
      figures["thoughts_without_rules"] = num_without_rules_;
      for (size_t i = 0; i < parse::kNumRuleForms; ++i) {
        figures["rule_forms"][parse::kRuleFormNames[i]] =
            i < num_forms_.size() ? num_forms_[i] : 0;
      }
    }
    return figures;
  }

  static void describe(auto& visit, auto& self) {
    visit("answers", self.num_answers_);
    visit("tokens", self.num_tokens_);
    visit("answer_tokens", self.num_answer_tokens_);
    visit("ended", self.num_ended_);
    visit("pairs", self.num_pairs_);
    visit("pair_tokens", self.num_pair_tokens_);
    visit("fired", self.num_fired_);
    visit("thoughts", self.num_thoughts_);
    visit("without_rules", self.num_without_rules_);
    visit("forms", self.num_forms_);
  }

 private:
  int64_t num_answers_ = 0;
  int64_t num_tokens_ = 0;
  int64_t num_answer_tokens_ = 0;
  int64_t num_ended_ = 0;
  int64_t num_pairs_ = 0;
  int64_t num_pair_tokens_ = 0;
  std::vector<int64_t> num_fired_;  // by rule: pairs whose thought names it
  int64_t num_thoughts_ = 0;
  int64_t num_without_rules_ = 0;
  std::vector<int64_t> num_forms_;  // by form, once there is a thought
};

// What a process that goes on needs of those before it.
struct AnsweringState {
  AnswerCounts counts;
  int64_t num_scores = 0;

  static void describe(auto& visit, auto& self) {
    visit("counts", self.counts);
    visit("scores", self.num_scores);
  }
};

// What the recipe asks of an answer that its filter keeps.
class LimitsFilter {
 public:
  LimitsFilter(const AnswerPlan& plan, const recipe::ChatPrompt& prompt,
               generate::Generator& generator, store::Store& store)
      : limits_(plan.limits),
        prompt_(prompt),
        likelihoods_(plan.requests, generator, store) {}

  bool asks_scores() const { return limits_.min_gain > recipe::kNoThreshold; }
  Likelihoods& likelihoods() { return likelihoods_; }
  const Likelihoods& likelihoods() const { return likelihoods_; }

  parse::Judgement judge(const Row& row, const parse::RawAnswer& raw,
                         const parse::ReadAnswer& read, Accepted& out) {
    if (parse::Judgement judgement = judge_form(raw, read)) return judgement;
    const std::vector<ScoredText> texts = texts_for(row, raw, read);
    if (texts.empty()) return std::nullopt;
    const Gain gain = gain_of_instruction(texts, likelihoods_, out);
    if (!generate::has_answer(gain.finish)) {
      return parse::Rejection{generate::finish_name(gain.finish), ""};
    }
    if (gain.nats >= limits_.min_gain) return std::nullopt;
    return parse::Rejection{"off_topic",
                            str("gain of the instruction ", gain.nats)};
  }

  // What judge() will ask the model for.
  std::vector<ScoredText> foreseen(const Row& row, const parse::RawAnswer& raw,
                                   const parse::ReadAnswer& read) const {
    if (judge_form(raw, read)) return {};
    return texts_for(row, raw, read);
  }

 private:
  // By the limits that need no model.
  parse::Judgement judge_form(const parse::RawAnswer& raw,
                              const parse::ReadAnswer& read) const {
    if (limits_.need_end && !read.ends) return parse::Rejection{"cut_off", ""};
    if (limits_.max_repetition < 1.0) {
      const double share = parse::repeated_share(read.answer);
      if (share > limits_.max_repetition) {
        return parse::Rejection{"repetition", str("share of 3-grams ", share)};
      }
    }
    if (limits_.min_new_content > 0.0) {
      const double share =
          parse::new_content_share(raw.instruction, read.answer);
      if (share < limits_.min_new_content) {
        return parse::Rejection{"copies_instruction",
                                str("share of new words of content ", share)};
      }
    }
    return std::nullopt;
  }

  std::vector<ScoredText> texts_for(const Row& row, const parse::RawAnswer& raw,
                                    const parse::ReadAnswer& read) const {
    if (!asks_scores() || parse::shares_subject(raw.instruction, read.answer)) {
      return {};
    }
    return gain_texts(row, raw.instruction, read.answer, prompt_);
  }

  const recipe::AnswerLimits& limits_;
  const recipe::ChatPrompt& prompt_;
  Likelihoods likelihoods_;
};

class Answering : public CompletionPlan {
 public:
  Answering(const AnswerPlan& plan, generate::Generator& generator,
            const Run& run)
      : plan_(plan),
        generator_(generator),
        run_(run),
        frame_(frame_of(plan)),
        own_(filter_of(plan, recipe::profile_named(run.recipe.profile))),
        other_(other_filter_of(plan, run)),
        principles_(recipe::principle_names(run.prompts)),
        prompt_digest_(
            Hasher().add(*plan.prefix).add(plan.suffix_template).digest()),
        fingerprint_(generator.fingerprint()),
        limits_(plan, run.prompts.engraved, generator, run.store) {}

  void run() {
    const int64_t num_rows = complete_rows(*this, generator_, run_.store);
    if (asks_scores()) limits_.likelihoods().finish();
    finish_stage(run_.store, plan_.requests, own_.name, num_rows);
    finish_stage(run_.store, plan_.pairs, "", counts_.num_pairs(),
                 counts_.figures(has_rules()));
  }

  std::string title() const override { return plan_.title; }
  uint64_t total() const override { return plan_.instructions.size(); }

  std::optional<PlannedRow> plan(int64_t n) override {
    if (size_t(n) >= plan_.instructions.size()) return std::nullopt;
    const Row& source = plan_.instructions[size_t(n)];
    const std::string text =
        json_string(source.content, "instruction", source.stage);
    PlannedRow planned;
    planned.row = {key_of(source),
                   plan_.requests,
                   n,
                   {source.key},
                   Json{{"instruction", text}}};
    planned.request.key = planned.row.key;
    if (!plan_.prefix->empty()) planned.request.prefix = plan_.prefix;
    if (plan_.chat != nullptr) {
      planned.request.suffix = recipe::chat_turn(*plan_.chat, text);
      planned.request.messages =
          recipe::chat_messages(*plan_.chat, {}, 0, text);
    } else {
      planned.request.suffix = recipe::align_suffix(run_.prompts, text);
    }
    planned.request.sampling = plan_.sampling;
    return planned;
  }

  // Another filter judges all again; so do two.
  std::string checkpoint() const override {
    return other_ ? "" : str("accepted.", plan_.requests, " ", own_.name);
  }
  Json state() const override {
    return to_json(AnsweringState{counts_, limits_.likelihoods().num_rows()});
  }
  void set_state(const Json& state, int64_t /*num_accepted*/,
                 const std::string& where) override {
    const auto kept = from_json<AnsweringState>(state, where);
    counts_ = kept.counts;
    limits_.likelihoods().set_num_rows(kept.num_scores);
  }

  bool asks_scores() const override { return limits_.asks_scores(); }
  void foresee(const std::vector<CompletedRow>& rows) override {
    std::vector<ScoredText> texts;
    for (const auto& [row, completion] : rows) {
      if (generate::is_given_up(completion.finish)) continue;
      const std::string instruction =
          json_string(row.content, "instruction", row.stage);
      const parse::RawAnswer raw{instruction, completion.text,
                                 completion.finish};
      const parse::ReadAnswer read = own_.read(raw, frame_);
      if (read.judgement) continue;
      const auto more = limits_.foreseen(row, raw, read);
      texts.insert(texts.end(), more.begin(), more.end());
    }
    limits_.likelihoods().foresee(texts);
  }

  std::string find_thought(const std::string& text) const override {
    if (frame_.answer_tag.empty()) return "";
    return parse::split_thought(text, frame_.answer_tag, frame_.turn_tags)
        .thought;
  }

  bool accept(const Row& row, const Completion& completion,
              Accepted& out) override {
    const std::string instruction =
        json_string(row.content, "instruction", row.stage);
    if (generate::is_given_up(completion.finish)) {
      const parse::Rejection lost{generate::finish_name(completion.finish), ""};
      out.verdicts.push_back(verdict_of(row.key, own_.name, lost));
      if (other_) {
        out.verdicts.push_back(verdict_of(row.key, other_->name, lost));
      }
      return true;
    }
    const parse::RawAnswer raw{instruction, completion.text, completion.finish};
    parse::ReadAnswer read = own_.read(raw, frame_);
    if (!read.judgement) read.judgement = limits_.judge(row, raw, read, out);
    out.verdicts.push_back(verdict_of(row.key, own_.name, read.judgement));
    if (other_) judge_by_other(row.key, raw, read, out);
    const int tokens = generator_.count_part(completion, read.answer);
    counts_.add(completion, tokens,
                has_end(answer_of(run_.prompts, row.stage, completion.text),
                        completion));
    const parse::FiredRules fired =
        has_rules() ? parse::find_rules(read.thought, principles_)
                    : parse::FiredRules();
    if (has_rules() && !read.thought.empty()) counts_.add_thought(fired);
    if (!read.judgement) out.rows.push_back(pair(row, read, tokens, fired));
    return true;
  }

 private:
  bool has_rules() const { return plan_.chat == nullptr; }

  uint64_t key_of(const Row& source) const {
    if (!plan_.keys.empty()) return plan_.keys.at(source.key);
    return generated_key({plan_.requests,
                          {source.key},
                          prompt_digest_,
                          plan_.sampling,
                          fingerprint_,
                          0,
                          run_.recipe.seed});
  }

  void judge_by_other(uint64_t key, const parse::RawAnswer& raw,
                      const parse::ReadAnswer& own, Accepted& out) const {
    const parse::ReadAnswer others = other_->read(raw, frame_);
    out.verdicts.push_back(verdict_of(key, other_->name, others.judgement));
    if (!others.judgement) {
      out.verdicts.back().detail = difference(own, others);
    }
  }

  Row pair(const Row& row, const parse::ReadAnswer& read, int tokens,
           const parse::FiredRules& fired) {
    Row pair{parsed_key(plan_.pairs, row.key, 0),
             plan_.pairs,
             counts_.num_pairs(),
             {row.key},
             Json{{"instruction", row.content.at("instruction")},
                  {"response", read.answer},
                  {"ends", read.ends},
                  {"tokens", tokens}}};
    if (has_rules()) pair.content["rules"] = fired.rules;
    counts_.add_pair(tokens, fired);
    return pair;
  }

  const AnswerPlan& plan_;
  generate::Generator& generator_;
  const Run& run_;
  const parse::AnswerFrame frame_;
  const recipe::AnswerFilter own_;
  const std::optional<recipe::AnswerFilter> other_;
  const std::vector<std::string> principles_;
  const std::string prompt_digest_;
  const std::string fingerprint_;
  LimitsFilter limits_;
  AnswerCounts counts_;
};

}  // namespace

void answer_all(const AnswerPlan& plan, generate::Generator& generator,
                const Run& run) {
  Answering(plan, generator, run).run();
}

}  // namespace selfalign::stages
