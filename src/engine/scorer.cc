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

std::vector<text::TokenPair> Scorer::tokenize(
    const generate::ScoreRequest& request, size_t& num_common) const {
  generate::check_request(request, tokenizer_.size());
  std::vector<text::TokenPair> pairs;
  std::vector<int> context = request.context_tokens;
  if (request.has_tokens()) {
    for (const std::vector<int>& tokens : request.continuation_tokens) {
      pairs.push_back({context, tokens});
    }
  } else {
    context = tokenizer_.encode(request.context);
    for (const std::string& text : request.continuations) {
      pairs.push_back(text::encode_pair(tokenizer_, request.context, text));
    }
    const auto add_bos = [this](std::vector<int>& tokens) {
      if (tokenizer_.adds_bos())
        tokens.insert(tokens.begin(), tokenizer_.bos());
    };
    add_bos(context);
    for (text::TokenPair& pair : pairs) add_bos(pair.head);
  }
  num_common = context.size();
  for (const text::TokenPair& pair : pairs) {
    num_common = std::min(num_common, pair.head.size());
  }
  if (num_common == 0) {
    throw Error(ErrorKind::kInput,
                "score: expected a context of at least one token, found an "
                "empty one; put the text before the continuation into it");
  }
  return pairs;
}

generate::Scores Scorer::score(const generate::ScoreRequest& request) {
  size_t num_common = 0;
  std::vector<text::TokenPair> pairs = tokenize(request, num_common);
  generate::Scores scores{.key = request.key};
  scores.continuations.resize(pairs.size());
  std::vector<Row> rows;
  for (size_t i = 0; i < pairs.size(); ++i) {
    generate::ContinuationScore& score = scores.continuations[i];
    score.tokens = std::move(pairs[i].tail);
    if (score.tokens.empty()) continue;
    const std::vector<int>& head = pairs[i].head;
    const size_t length = head.size() + score.tokens.size();
    if (length > static_cast<size_t>(options_.max_context)) {
      throw Error(ErrorKind::kInput,
                  str("score: expected context and continuation within ",
                      options_.max_context, " tokens, found ", length,
                      "; shorten them or raise the context length"));
    }
    const auto num_skipped = static_cast<int64_t>(head.size() - num_common);
    std::vector<int> fed(head.end() - num_skipped - 1, head.end());
    fed.insert(fed.end(), score.tokens.begin(), score.tokens.end() - 1);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& other) {
      return other.fed == fed && other.num_skipped == num_skipped;
    });
    if (row == rows.end()) {
      row = rows.insert(row, {.fed = std::move(fed),
                              .num_skipped = num_skipped,
                              .sequence = nullptr,
                              .scores = {},
                              .num_top_logprobs = request.num_top_logprobs});
    }
    row->scores.push_back(&score);
  }
  if (rows.empty()) return scores;
  const std::vector<int> context(
      pairs[0].head.begin(),
      pairs[0].head.begin() + static_cast<ptrdiff_t>(num_common));
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

// logits [count, vocab] stand behind tokens first .. first + count - 1 of the
// row.
void Scorer::read_logits(const Row& row, int64_t first, int64_t count,
                         const float* logits) const {
  const int64_t skipped =
      std::clamp<int64_t>(row.num_skipped - first, 0, count);
  logits += skipped * vocab_;
  first += skipped - row.num_skipped;  // now of the continuation
  count -= skipped;
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
