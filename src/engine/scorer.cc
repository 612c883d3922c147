#include "engine/scorer.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "engine/parallel.h"
#include "engine/prefix_cache.h"
#include "engine/sampler.h"

namespace selfalign::engine {
namespace {

template <typename T>
void keep_first(const std::vector<T>& from, size_t count, std::vector<T>& to) {
  to.assign(from.begin(), from.begin() + std::min(count, from.size()));
}

}  // namespace

std::vector<int> Scorer::context_tokens(
    const generate::ScoreRequest& request) const {
  generate::check_request(request, tokenizer_.size());
  std::vector<int> context = request.context_tokens;
  if (!request.has_tokens()) {
    context = tokenizer_.encode(request.context);
    if (tokenizer_.adds_bos()) {
      context.insert(context.begin(), tokenizer_.bos());
    }
  }
  if (context.empty()) {
    throw Error(ErrorKind::kInput,
                "score: expected a context of at least one token, found an "
                "empty one; put the text before the continuation into it");
  }
  return context;
}

generate::Scores Scorer::score(const generate::ScoreRequest& request) {
  const std::vector<int> context = context_tokens(request);
  const bool by_tokens = request.has_tokens();
  generate::Scores scores{.key = request.key};
  scores.continuations.resize(by_tokens ? request.continuation_tokens.size()
                                        : request.continuations.size());
  std::vector<Row> rows;
  for (size_t i = 0; i < scores.continuations.size(); ++i) {
    generate::ContinuationScore& score = scores.continuations[i];
    score.tokens = by_tokens ? request.continuation_tokens[i]
                             : tokenizer_.encode(request.continuations[i]);
    if (score.tokens.empty()) continue;
    const size_t length = context.size() + score.tokens.size();
    if (length > static_cast<size_t>(options_.max_context)) {
      throw Error(ErrorKind::kInput,
                  str("score: expected context and continuation within ",
                      options_.max_context, " tokens, found ", length,
                      "; shorten them or raise the context length"));
    }
    std::vector<int> fed = {context.back()};
    fed.insert(fed.end(), score.tokens.begin(), score.tokens.end() - 1);
    auto row = std::find_if(rows.begin(), rows.end(),
                            [&](const Row& other) { return other.fed == fed; });
    if (row == rows.end()) {
      row = rows.insert(row, {.fed = std::move(fed),
                              .sequence = nullptr,
                              .scores = {},
                              .num_top_logprobs = request.num_top_logprobs});
    }
    row->scores.push_back(&score);
  }
  if (rows.empty()) return scores;
  if (context.size() == 1 && scores.continuations.size() == 1) {
    std::vector<int> text = context;
    generate::ContinuationScore& score = scores.continuations[0];
    text.insert(text.end(), score.tokens.begin(), score.tokens.end());
    score_text(text, request.num_top_logprobs, score);
    return scores;
  }
  compute_context(context);
  score_rows(rows);
  return scores;
}

// Where a pass holds one text only, what is kept ends with a whole chunk, so
// that the others go through the same passes as if nothing had been kept;
// elsewhere the passes change no bit.
int64_t Scorer::keep_common(const std::vector<int>& tokens, int64_t most) {
  if (context_sequence_ == nullptr) {
    context_sequence_ = decoder_.new_sequence(options_.max_context, true);
  }
  most = std::min(most, static_cast<int64_t>(context_.size()));
  const auto same =
      std::mismatch(context_.begin(), context_.begin() + most, tokens.begin());
  int64_t kept = same.first - context_.begin();
  if (!decoder_.packs_texts()) kept -= kept % options_.prefill_chunk;
  context_sequence_->truncate(kept);
  context_.resize(kept);  // should memory not suffice for more
  return kept;
}

// All tokens but the last.
void Scorer::compute_context(const std::vector<int>& tokens) {
  const int64_t count = static_cast<int64_t>(tokens.size()) - 1;
  keep_common(tokens, count);
  context_score_ = {};
  fill_sequence(decoder_, *context_sequence_, tokens, count,
                options_.prefill_chunk);
  context_.assign(tokens.begin(), tokens.begin() + count);
}

void Scorer::score_text(const std::vector<int>& tokens, int num_top_logprobs,
                        generate::ContinuationScore& score) {
  const int64_t count = static_cast<int64_t>(tokens.size()) - 1;
  // A token was scored if the one after it was the same, too.
  const auto num_scored = static_cast<int64_t>(context_score_.tokens.size());
  const auto same =
      std::mismatch(context_score_.tokens.begin(),
                    context_score_.tokens.begin() + std::min(num_scored, count),
                    score.tokens.begin());
  const int64_t known = num_top_logprobs <= context_top_logprobs_
                            ? same.first - context_score_.tokens.begin()
                            : 0;
  const int64_t kept = keep_common(tokens, known);
  keep_first(context_score_.logprobs, kept, score.logprobs);
  keep_first(context_score_.is_greedy, kept, score.is_greedy);
  if (num_top_logprobs > 0) {
    keep_first(context_score_.top_logprobs, kept, score.top_logprobs);
  }
  for (std::vector<generate::TokenLogprob>& top : score.top_logprobs) {
    top.resize(std::min<size_t>(top.size(), num_top_logprobs));
  }
  context_score_ = {};
  for (int64_t done = kept; done < count;) {
    const int64_t length =
        std::min<int64_t>(options_.prefill_chunk, count - done);
    std::vector<int64_t> wanted(length);
    std::iota(wanted.begin(), wanted.end(), int64_t{0});
    const float* logits = decoder_.forward(
        nullptr, {{context_sequence_.get(), tokens.data() + done, length}},
        wanted);
    read_logits(score, num_top_logprobs, done, length, logits);
    done += length;
  }
  context_.assign(tokens.begin(), tokens.begin() + count);
  context_score_ = score;
  context_top_logprobs_ = num_top_logprobs;
}

void Scorer::score_rows(std::vector<Row>& rows) {
  const Sequence* context =
      context_sequence_->length() > 0 ? context_sequence_.get() : nullptr;
  size_t first = 0;  // row not yet done
  while (first < rows.size()) {
    std::vector<Span> spans;
    std::vector<int64_t> wanted;
    int64_t left = options_.prefill_chunk;
    const size_t most = decoder_.packs_texts() ? options_.num_slots : 1;
    for (size_t r = first; r < rows.size() && left > 0; ++r) {
      if (spans.size() == most) break;
      Row& row = rows[r];
      const int64_t targets = static_cast<int64_t>(row.fed.size());
      if (!row.sequence) {
        row.sequence = decoder_.new_sequence(options_.max_context, false);
      }
      const int64_t done = row.sequence->length();
      const int64_t count = std::min(left, targets - done);
      spans.push_back({row.sequence.get(), row.fed.data() + done, count});
      for (int64_t i = 0; i < count; ++i) {
        wanted.push_back(static_cast<int64_t>(wanted.size()));
      }
      left -= count;
    }
    const float* logits = decoder_.forward(context, spans, wanted);
    for (const Span& span : spans) {
      Row& row = rows[first];
      const int64_t done = span.own->length();
      read_logits(row, done - span.count, span.count, logits);
      logits += span.count * vocab_;
      if (done < static_cast<int64_t>(row.fed.size())) break;
      row.sequence.reset();
      ++first;
    }
  }
}

// logits [count, vocab] predict tokens first .. first + count - 1 of the row.
void Scorer::read_logits(const Row& row, int64_t first, int64_t count,
                         const float* logits) const {
  for (generate::ContinuationScore* score : row.scores) {
    read_logits(*score, row.num_top_logprobs, first, count, logits);
  }
}

void Scorer::read_logits(generate::ContinuationScore& score,
                         int num_top_logprobs, int64_t first, int64_t count,
                         const float* logits) const {
  std::vector<char> greedy(count);
  std::vector<float> logprobs(count);
  std::vector<std::vector<generate::TokenLogprob>> tops(
      num_top_logprobs > 0 ? count : 0);
  parallel_for(count, [&](int64_t i) {
    const float* at = logits + i * vocab_;
    const int token = score.tokens[first + i];
    greedy[i] = most_probable(at, vocab_) == token;
    const double log_sum = log_sum_exp(at, vocab_);
    logprobs[i] = static_cast<float>(double{at[token]} - log_sum);
    if (tops.empty()) return;
    tops[i] = most_probable(at, tokenizer_.size(), num_top_logprobs, log_sum);
  });
  score.logprobs.insert(score.logprobs.end(), logprobs.begin(), logprobs.end());
  score.is_greedy.insert(score.is_greedy.end(), greedy.begin(), greedy.end());
  score.top_logprobs.insert(score.top_logprobs.end(), tops.begin(), tops.end());
}

}  // namespace selfalign::engine
