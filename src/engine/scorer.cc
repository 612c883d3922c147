// SPDX-License-Identifier: Apache-2.0
#include "engine/scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/profile.h"
#include "engine/parallel.h"
#include "engine/prefix_cache.h"
#include "engine/sampler.h"

// How it works. Scoring is a pass with all tokens known, so a token's
// log-probability costs what a token of a prompt does. Two shapes come up:
//
// - Pairs: one context, several continuations (a question and its choices). The
//   context is computed once as a shared prefix; what each continuation feeds
//   is a row beside the others. The last token of a continuation is never fed,
//   so continuations that differ in it alone are one row: ten choices of a
//   letter each cost one token in all.
// - A whole text (a context of one token): its own keys are the context, and it
//   goes through in chunks, so that a server can serve others between them.
//
// What is asked next mostly begins like what was asked before: the next
// question of a few-shot task, a text with another end. So contexts are kept
// with the tokens they hold, the one with the longest common start is taken,
// cut there, and only the rest is computed. Of a whole text the scores of that
// start are kept, too.
//
// Invariant: kept or computed, the bits are the same. On a CPU no pass changes
// them; elsewhere a pass has one text and a start is cut to whole chunks, so
// that the same passes are made as if nothing had been kept.
//
// Memory: a context for each request under way at the same time, of at most
// max_context tokens.

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

// A text of which all tokens but the first are scored.
class Scorer::WholeText {
 public:
  WholeText(Scorer& scorer, std::vector<int> tokens, int num_top_logprobs)
      : scorer_(scorer),
        tokens_(std::move(tokens)),
        context_(scorer.take(tokens_)),
        num_top_logprobs_(num_top_logprobs) {
    score_.tokens.assign(tokens_.begin() + 1, tokens_.end());
    begin();
  }
  // What was begun is worth as much as what was ended.
  ~WholeText() {
    const size_t num_scored = score_.logprobs.size();
    context_.sequence->truncate(static_cast<int64_t>(num_scored));
    context_.tokens.resize(num_scored);
    context_.score = std::move(score_);
    context_.score.tokens.resize(num_scored);
    context_.num_top_logprobs = num_top_logprobs_;
    scorer_.keep(std::move(context_));
  }
  WholeText(const WholeText&) = delete;
  WholeText& operator=(const WholeText&) = delete;

  // A pass; true after the last.
  bool advance() {
    const int64_t done = context_.sequence->length();
    const int64_t length =
        std::min<int64_t>(scorer_.options_.prefill_chunk, count() - done);
    if (length > 0) {
      std::vector<int64_t> wanted(length);
      std::iota(wanted.begin(), wanted.end(), int64_t{0});
      const float* logits = scorer_.decoder_.forward(
          {{context_.sequence.get(), tokens_.data() + done, length}}, wanted);
      scorer_.read_logits(score_, num_top_logprobs_, done, length, logits);
    }
    return done + length == count();
  }

  const generate::ContinuationScore& score() const { return score_; }

 private:
  int64_t count() const { return static_cast<int64_t>(tokens_.size()) - 1; }

  // Takes over what is known of the text's start. A token was scored if the one
  // after it was the same, too.
  void begin() {
    const generate::ContinuationScore& before = context_.score;
    const auto num_scored = static_cast<int64_t>(before.tokens.size());
    const auto same =
        std::mismatch(before.tokens.begin(),
                      before.tokens.begin() + std::min(num_scored, count()),
                      score_.tokens.begin());
    const int64_t known = num_top_logprobs_ <= context_.num_top_logprobs
                              ? same.first - before.tokens.begin()
                              : 0;
    const int64_t kept = scorer_.keep_common(context_, tokens_, known);
    keep_first(before.logprobs, kept, score_.logprobs);
    keep_first(before.is_greedy, kept, score_.is_greedy);
    if (num_top_logprobs_ > 0) {
      keep_first(before.top_logprobs, kept, score_.top_logprobs);
    }
    for (std::vector<generate::TokenLogprob>& top : score_.top_logprobs) {
      top.resize(std::min<size_t>(top.size(), num_top_logprobs_));
    }
    context_.tokens = tokens_;
  }

  Scorer& scorer_;
  const std::vector<int> tokens_;
  Context context_;
  const int num_top_logprobs_;
  generate::ContinuationScore score_;
};

class Scorer::Parts final : public generate::Scoring {
 public:
  Parts(Scorer& scorer, generate::ScoreRequest request)
      : scorer_(scorer), request_(std::move(request)) {
    scores.key = request_.key;
    pairs_ = scorer.tokenize(request_, num_common_);
    for (const text::TokenPair& pair : pairs_) scorer.check_length(pair);
  }

  bool advance() override {
    if (!text_ && num_common_ == 1 && pairs_.size() == 1 &&
        !pairs_[0].tail.empty()) {
      std::vector<int> tokens = pairs_[0].head;
      tokens.insert(tokens.end(), pairs_[0].tail.begin(), pairs_[0].tail.end());
      text_.emplace(scorer_, std::move(tokens), request_.num_top_logprobs);
    }
    if (!text_) {
      scores.continuations =
          scorer_.score_pairs(pairs_, num_common_, request_.num_top_logprobs);
      return true;
    }
    if (!text_->advance()) return false;
    scores.continuations.push_back(text_->score());
    return true;
  }

 private:
  Scorer& scorer_;
  const generate::ScoreRequest request_;
  size_t num_common_ = 0;
  std::vector<text::TokenPair> pairs_;
  std::optional<WholeText> text_;
};

std::unique_ptr<generate::Scoring> Scorer::begin(
    generate::ScoreRequest request) {
  return std::make_unique<Parts>(*this, std::move(request));
}

generate::Scores Scorer::score(const generate::ScoreRequest& request) {
  const ProfileStep step("score");
  Parts parts(*this, request);
  while (!parts.advance()) {
  }
  return std::move(parts.scores);
}

void Scorer::check_length(const text::TokenPair& pair) const {
  const size_t length = pair.head.size() + pair.tail.size();
  if (pair.tail.empty() ||
      length <= static_cast<size_t>(options_.max_context)) {
    return;
  }
  throw Error(ErrorKind::kInput,
              str("score: expected context and continuation within ",
                  options_.max_context, " tokens, found ", length,
                  "; shorten them or raise the context length"));
}

std::vector<generate::ContinuationScore> Scorer::score_pairs(
    std::vector<text::TokenPair>& pairs, size_t num_common,
    int num_top_logprobs) {
  std::vector<generate::ContinuationScore> scores(pairs.size());
  std::vector<Row> rows;
  for (size_t i = 0; i < pairs.size(); ++i) {
    generate::ContinuationScore& score = scores[i];
    score.tokens = std::move(pairs[i].tail);
    if (score.tokens.empty()) continue;
    const std::vector<int>& head = pairs[i].head;
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
                              .num_top_logprobs = num_top_logprobs});
    }
    row->scores.push_back(&score);
  }
  if (rows.empty()) return scores;
  Context context = compute_context(std::vector<int>(
      pairs[0].head.begin(),
      pairs[0].head.begin() + static_cast<ptrdiff_t>(num_common)));
  score_rows(*context.sequence, rows);
  keep(std::move(context));
  return scores;
}

Scorer::Context Scorer::take(const std::vector<int>& tokens) {
  if (kept_.empty()) {
    Context made;
    made.sequence = decoder_.new_sequence(options_.max_context, true, nullptr);
    return made;
  }
  const auto best = std::max_element(
      kept_.begin(), kept_.end(), [&](const Context& a, const Context& b) {
        return num_common(a.tokens, tokens) < num_common(b.tokens, tokens);
      });
  Context taken = std::move(*best);
  kept_.erase(best);
  return taken;
}

// Where a pass holds one text only, what is kept ends with a whole chunk, so
// that the others go through the same passes as if nothing had been kept;
// elsewhere the passes change no bit.
int64_t Scorer::keep_common(Context& context, const std::vector<int>& tokens,
                            int64_t most) const {
  int64_t kept = std::min(most, num_common(context.tokens, tokens));
  if (!decoder_.packs_texts()) kept -= kept % options_.prefill_chunk;
  context.sequence->truncate(kept);
  return kept;
}

// Of all tokens but the last.
Scorer::Context Scorer::compute_context(const std::vector<int>& tokens) {
  const int64_t count = static_cast<int64_t>(tokens.size()) - 1;
  Context context = take(tokens);
  keep_common(context, tokens, count);
  fill_sequence(decoder_, *context.sequence, tokens, count,
                options_.prefill_chunk);
  context.tokens.assign(tokens.begin(), tokens.begin() + count);
  context.score = {};
  return context;
}

void Scorer::score_rows(const Sequence& sequence, std::vector<Row>& rows) {
  const Sequence* context = sequence.length() > 0 ? &sequence : nullptr;
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
        row.sequence =
            decoder_.new_sequence(options_.max_context, false, context);
      }
      const int64_t done = row.sequence->length();
      const int64_t count = std::min(left, targets - done);
      spans.push_back({row.sequence.get(), row.fed.data() + done, count});
      for (int64_t i = 0; i < count; ++i) {
        wanted.push_back(static_cast<int64_t>(wanted.size()));
      }
      left -= count;
    }
    const float* logits = decoder_.forward(spans, wanted);
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
  if (!std::all_of(logprobs.begin(), logprobs.end(),
                   [](float x) { return std::isfinite(x); })) {
    refuse_logits();
  }
  score.logprobs.insert(score.logprobs.end(), logprobs.begin(), logprobs.end());
  score.is_greedy.insert(score.is_greedy.end(), greedy.begin(), greedy.end());
  score.top_logprobs.insert(score.top_logprobs.end(), tops.begin(), tops.end());
}

}  // namespace selfalign::engine
