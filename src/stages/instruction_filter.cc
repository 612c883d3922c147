// SPDX-License-Identifier: Apache-2.0
#include "stages/instruction_filter.h"

#include "base/error.h"
#include "parse/thoughts.h"
#include "stages/request_form.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::stages {
namespace {

// What the published code compares across shards: a-z and 0-9, every other
// character a space.
std::string letters_and_digits(const std::string& text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    const char lower = static_cast<char>(c | 0x20);
    if (lower >= 'a' && lower <= 'z') {
      out += lower;
    } else {
      out += c >= '0' && c <= '9' ? c : ' ';
    }
    pos += text::utf8_char(text, pos).length;
  }
  return out;
}

}  // namespace

InstructionFilter::InstructionFilter(const recipe::Profile& profile,
                                     const recipe::InstructOptions& options,
                                     const recipe::Prompts& prompts)
    : profile_(profile),
      options_(options),
      prompts_(prompts),
      dedup_(options.max_rouge_l, profile.rouge) {
  begin_shard();
  if (is_published()) return;
  for (const recipe::QuestionType& type : prompts_.red_team.types) {
    for (const recipe::SeedQuestion& seed : type.questions)
      dedup_.keep(seed.question);
  }
}

void InstructionFilter::begin_shard() {
  dedup_ = parse::Dedup(options_.max_rouge_l, profile_.rouge);
  for (const recipe::SeedTask& task : prompts_.seed_tasks) {
    dedup_.keep(task.instruction);
  }
  in_shard_ = 0;
  earlier_.merge(shard_texts_);
  shard_texts_.clear();
}

void InstructionFilter::remember_task(const std::string& task) {
  dedup_.keep(task);
  if (profile_.compares_whole_run) return;
  shard_texts_.insert(letters_and_digits(task));
  if (++in_shard_ >= options_.shard_size) begin_shard();
}

parse::Judgement InstructionFilter::judge_alone(const parse::ListedTask& task,
                                                const std::string& text) const {
  if (parse::Judgement judgement = profile_.judge_task(task, text))
    return judgement;
  return judge_form(text, false);
}

parse::Judgement InstructionFilter::judge_alone(
    const parse::ListedQuestion& question) const {
  if (question.cut_off) return parse::Rejection{"malformed", "cut off"};
  if (question.text.empty())
    return parse::Rejection{"malformed", "nothing there"};
  if (is_published()) return std::nullopt;
  if (!question.in_form) {
    return parse::Rejection{"malformed", "not in the form of the list"};
  }
  if (parse::Judgement judgement = profile_.judge_question(question.text)) {
    return judgement;
  }
  return judge_form(question.text, true);
}

parse::Judgement InstructionFilter::judge(const parse::ListedTask& task,
                                          const std::string& text,
                                          const Circumstances& circumstances) {
  if (parse::Judgement judgement = judge_alone(task, text)) return judgement;
  if (circumstances.contaminated) return circumstances.contaminated;
  if (auto like = dedup_.find(task.task))
    return parse::Rejection{"duplicate", *like};
  if (!profile_.compares_whole_run &&
      earlier_.contains(letters_and_digits(task.task))) {
    return parse::Rejection{"duplicate", "of another shard"};
  }
  if (parse::Judgement unlikely = judge_likelihood(circumstances))
    return unlikely;
  if (circumstances.surplus) return parse::Rejection{"surplus", ""};
  remember_task(task.task);
  return std::nullopt;
}

parse::Judgement InstructionFilter::judge(const parse::ListedQuestion& question,
                                          const Circumstances& circumstances) {
  if (parse::Judgement judgement = judge_alone(question)) return judgement;
  if (is_published()) {
    if (circumstances.contaminated) return circumstances.contaminated;
    if (!asked_.emplace(question.type, question.topic).second) {
      return parse::Rejection{"duplicate", "a second question for the topic"};
    }
    if (circumstances.surplus)
      return parse::Rejection{"surplus", "of its type"};
    return std::nullopt;
  }
  if (circumstances.contaminated) return circumstances.contaminated;
  if (auto like = dedup_.find(question.text)) {
    return parse::Rejection{"duplicate", *like};
  }
  if (parse::Judgement unlikely = judge_likelihood(circumstances))
    return unlikely;
  if (circumstances.surplus) return parse::Rejection{"surplus", "of its type"};
  dedup_.keep(question.text);
  return std::nullopt;
}

void InstructionFilter::remember_question(const parse::ListedQuestion& question,
                                          const store::Verdict& verdict) {
  if (is_published()) {
    // What is surplus, too, is the one question of its topic.
    if (verdict.kept || verdict.reason == "surplus") {
      asked_.emplace(question.type, question.topic);
    }
  } else if (verdict.kept) {
    dedup_.keep(question.text);
  }
}

parse::Judgement InstructionFilter::judge_form(const std::string& text,
                                               bool red_team) const {
  if (!options_.strict_form || is_published()) return std::nullopt;
  const auto wrong = wrong_form(text, red_team);
  return wrong ? parse::Judgement(parse::Rejection{"incoherent", *wrong})
               : std::nullopt;
}

parse::Judgement InstructionFilter::judge_likelihood(
    const Circumstances& circumstances) const {
  if (is_published() || !circumstances.unlikely) return std::nullopt;
  return circumstances.unlikely();
}

parse::Judgement InstructionFilter::judge(const parse::ListedTopic& topic) {
  if (parse::Judgement judgement = profile_.judge_topic(topic))
    return judgement;
  const std::string name = text::to_lower(parse::plain_topic(topic.text));
  if (!topics_.emplace(topic.type, name).second) {
    return parse::Rejection{"duplicate", "of a topic of this type"};
  }
  return std::nullopt;
}

InstructionFilters::InstructionFilters(const Run& run)
    : options_(run.recipe.instruct),
      before_(before_instruction(run.prompts.engraved)),
      guard_(run.recipe.contamination, run.prompts.held_out),
      own_(recipe::profile_named(run.recipe.profile), options_, run.prompts) {
  if (run.judging == Judging::kOwn) return;
  other_.emplace(other_profile(own_.profile()), options_, run.prompts);
}

template <typename Judge>
parse::Judgement InstructionFilters::judge_by_all(
    uint64_t key, std::string recipe::Profile::*name, const Judge& judge,
    Accepted& out) {
  if (other_) {
    out.verdicts.push_back(
        verdict_of(key, other_->profile().*name, judge(*other_)));
  }
  parse::Judgement judgement = judge(own_);
  out.verdicts.push_back(verdict_of(key, own_.profile().*name, judgement));
  return judgement;
}

parse::Judgement InstructionFilters::judge(uint64_t key,
                                           const parse::ListedTask& task,
                                           const std::string& text,
                                           bool surplus, Accepted& out) {
  const Circumstances circumstances{surplus, guard_.judge(text), [&] {
                                      return judge_likelihood(key, text, out);
                                    }};
  return judge_by_all(
      key, &recipe::Profile::instruct_filter,
      [&](InstructionFilter& filter) {
        return filter.judge(task, text, circumstances);
      },
      out);
}

parse::Judgement InstructionFilters::judge(
    uint64_t key, const parse::ListedQuestion& question, bool surplus,
    Accepted& out) {
  const Circumstances circumstances{
      surplus, guard_.judge(question.text),
      [&] { return judge_likelihood(key, question.text, out); }};
  return judge_by_all(
      key, &recipe::Profile::instruct_filter,
      [&](InstructionFilter& filter) {
        return filter.judge(question, circumstances);
      },
      out);
}

parse::Judgement InstructionFilters::judge(uint64_t key,
                                           const parse::ListedTopic& topic,
                                           Accepted& out) {
  return judge_by_all(
      key, &recipe::Profile::topic_filter,
      [&](InstructionFilter& filter) { return filter.judge(topic); }, out);
}

bool InstructionFilters::asks_scores() const {
  return options_.min_log_likelihood > recipe::kNoLikelihood;
}

void InstructionFilters::foresee(uint64_t key, const parse::ListedTask& task,
                                 const std::string& text,
                                 std::vector<ScoredText>& out) const {
  if (own_.is_published() || own_.judge_alone(task, text)) return;
  if (!guard_.judge(text)) out.push_back({key, "instruction", before_, text});
}

void InstructionFilters::foresee(uint64_t key,
                                 const parse::ListedQuestion& question,
                                 std::vector<ScoredText>& out) const {
  if (own_.is_published() || own_.judge_alone(question)) return;
  if (guard_.judge(question.text)) return;
  out.push_back({key, "instruction", before_, question.text});
}

parse::Judgement InstructionFilters::judge_likelihood(uint64_t key,
                                                      const std::string& text,
                                                      Accepted& out) {
  if (!asks_scores()) return std::nullopt;
  SELFALIGN_CHECK(likelihoods_ != nullptr);
  const Likelihood found =
      likelihoods_->of({key, "instruction", before_, text}, out);
  if (!generate::has_answer(found.finish)) {
    return parse::Rejection{generate::finish_name(found.finish), ""};
  }
  if (found.sum >= options_.min_log_likelihood) return std::nullopt;
  return parse::Rejection{"incoherent", str("log-likelihood ", found.sum)};
}

void InstructionFilters::recall_tasks(const store::Reader& store,
                                      const std::string& tasks) {
  const auto recall = [&](InstructionFilter& filter) {
    for (const store::Row& row :
         store.kept(tasks, filter.profile().instruct_filter)) {
      const std::string text = json_string(row.content, "instruction", tasks);
      filter.remember_task(text.substr(0, text.find("\n\n")));
    }
  };
  recall(own_);
  if (other_) recall(*other_);
}

void InstructionFilters::recall_question(const parse::ListedQuestion& question,
                                         const store::Verdict& verdict) {
  SELFALIGN_CHECK(!other_);
  own_.remember_question(question, verdict);
}

store::Verdict verdict_of(uint64_t key, const std::string& filter,
                          const parse::Judgement& judgement) {
  return {key, filter, !judgement, judgement ? judgement->reason : "",
          judgement ? judgement->detail : ""};
}

}  // namespace selfalign::stages
