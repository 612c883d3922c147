// SPDX-License-Identifier: Apache-2.0
#include "stages/likelihood.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "stages/funnel.h"

namespace selfalign::stages {
namespace {

// Sums are kept in these parts of a nat, so that a float holds them exactly.
constexpr double kParts = 128.0;
// More than any text that is scored has.
constexpr int64_t kMaxTokens = 1 << 20;
// As much of an answer as shows what it is about, in bytes.
constexpr size_t kMaxScored = 300;

double sum_of(const generate::ContinuationScore& score) {
  double sum = 0.0;
  for (const float logprob : score.logprobs) sum += double{logprob};
  return std::nearbyint(sum * kParts) / kParts;
}

// Up to the last white space within the first kMaxScored bytes.
std::string beginning(const std::string& answer) {
  if (answer.size() <= kMaxScored) return answer;
  const size_t end = answer.find_last_of(" \n\t", kMaxScored);
  const bool has_space = end != std::string::npos && end > 0;
  return has_space ? answer.substr(0, end) : answer;
}

}  // namespace

std::string scores_of(const std::string& judged) { return judged + ".scores"; }

generate::ScoreRequest Likelihoods::request_of(const ScoredText& scored) const {
  const uint64_t key = Hasher()
                           .add(stage_)
                           .add(scored.parent)
                           .add(scored.context)
                           .add(scored.text)
                           .add(fingerprint_)
                           .key();
  return {key, scored.context, {scored.text}};
}

void Likelihoods::foresee(const std::vector<ScoredText>& texts) {
  foreseen_.clear();
  std::vector<generate::ScoreRequest> requests;
  for (const ScoredText& text : texts) {
    generate::ScoreRequest request = request_of(text);
    if (!store_.row(request.key)) requests.push_back(std::move(request));
  }
  if (requests.empty()) return;
  for (generate::Scores& scores : generator_.score(requests)) {
    if (scores.continuations.size() != 1) continue;
    foreseen_[scores.key] = std::move(scores.continuations[0]);
  }
}

// None where the model gives none, or of a row that is there and holds none.
std::optional<generate::ContinuationScore> Likelihoods::score(
    const generate::ScoreRequest& request) {
  if (const auto row = store_.row(request.key)) return kept_score(row->content);
  if (auto known = foreseen_.extract(request.key)) return known.mapped();
  const auto scores = generator_.score({request});
  if (scores.size() != 1 || scores[0].continuations.size() != 1) return {};
  return scores[0].continuations[0];
}

Likelihood Likelihoods::of(const ScoredText& scored, Accepted& out) {
  const generate::ScoreRequest request = request_of(scored);
  const auto score = this->score(request);
  if (!score ||
      (score->logprobs.empty() && generate::has_answer(score->finish))) {
    throw Error(ErrorKind::kInput,
                stage_ +
                    ": expected log-probabilities of the model, found "
                    "none; use a model that gives them, or leave "
                    "min_log_likelihood and min_gain out of the recipe");
  }
  Likelihood found{.finish = score->finish};
  Json content{{"of", scored.of}};
  if (generate::has_answer(found.finish)) {
    content["logprob"] = found.sum = sum_of(*score);
    content["tokens"] = found.tokens = int64_t(score->logprobs.size());
  } else {
    content["finish"] = generate::finish_name(found.finish);
  }
  out.rows.push_back(
      {request.key, stage_, num_rows_++, {scored.parent}, std::move(content)});
  return found;
}

void Likelihoods::finish() { finish_stage(store_, stage_, "", num_rows_); }

std::optional<generate::ContinuationScore> kept_score(const Json& content) {
  if (content.contains("of") && content.contains("finish")) {
    return generate::ContinuationScore{
        .finish = generate::finish_from_name(
            json_string(content, "finish", "score"))};
  }
  if (!content.contains("of") || !content.contains("logprob")) {
    return std::nullopt;
  }
  const int64_t num_tokens = json_int_or(content, "tokens", "score", 0);
  if (num_tokens < 1 || num_tokens > kMaxTokens) return std::nullopt;
  generate::ContinuationScore score;
  score.tokens.assign(size_t(num_tokens), 0);
  score.logprobs.assign(size_t(num_tokens), 0.0F);
  score.is_greedy.assign(size_t(num_tokens), false);
  score.logprobs[0] = float(json_number(content, "logprob", "score"));
  return score;
}

std::vector<ScoredText> gain_texts(const store::Row& row,
                                   const std::string& instruction,
                                   const std::string& answer,
                                   const recipe::ChatPrompt& prompt) {
  const std::string text = beginning(answer);
  return {{row.key, "answer",
           prompt.prompt + recipe::chat_turn(prompt, instruction), text},
          {row.key, "answer alone", prompt.prompt + prompt.answer, text}};
}

Gain gain_of_instruction(const std::vector<ScoredText>& texts,
                         Likelihoods& likelihoods, Accepted& out) {
  const Likelihood given = likelihoods.of(texts.at(0), out);
  if (!generate::has_answer(given.finish)) return {.finish = given.finish};
  const Likelihood alone = likelihoods.of(texts.at(1), out);
  if (!generate::has_answer(alone.finish)) return {.finish = alone.finish};
  return {given.mean() - alone.mean()};
}

std::string before_instruction(const recipe::ChatPrompt& prompt) {
  return prompt.prompt +
         prompt.user.substr(0, prompt.user.find("{instruction}"));
}

}  // namespace selfalign::stages
