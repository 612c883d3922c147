// Log-probabilities of continuations: the context is computed once, as a
// shared prefix, and its continuations are rows beside each other. Of a text
// that is scored whole, what the one before began with is not computed again.
#pragma once

#include <memory>
#include <vector>

#include "engine/decoder.h"
#include "engine/engine.h"

namespace selfalign::engine {

class Scorer {
 public:
  Scorer(Decoder& decoder, const text::Tokenizer& tokenizer,
         const EngineOptions& options, int vocab)
      : decoder_(decoder),
        tokenizer_(tokenizer),
        options_(options),
        vocab_(vocab) {}

  // Error kInput if the context gives no token, or it and a continuation do
  // not fit the context length.
  generate::Scores score(const generate::ScoreRequest& request);

 private:
  // Continuations that differ in nothing but their last token, which is not
  // fed: all answers of one token are one row.
  struct Row {
    // Last token of the common context, what stands before the continuation
    // beyond it, then the continuation.
    std::vector<int> fed;
    int64_t num_skipped = 0;  // tokens of fed between the two
    std::unique_ptr<Sequence> sequence;
    std::vector<generate::ContinuationScore*> scores;
    int num_top_logprobs = 0;
  };

  // Context and continuation as tokens, for each continuation. Sets
  // num_common to the length of what the contexts begin with in common, which
  // is nearly always all of them.
  std::vector<text::TokenPair> tokenize(const generate::ScoreRequest& request,
                                        size_t& num_common) const;

  // Forgets all but a start of the last context that this one begins with, too,
  // at most `most` tokens of it. Returns its length.
  int64_t keep_common(const std::vector<int>& tokens, int64_t most);
  void compute_context(const std::vector<int>& tokens);
  void score_rows(std::vector<Row>& rows);
  // Of all tokens but the first.
  void score_text(const std::vector<int>& tokens, int num_top_logprobs,
                  generate::ContinuationScore& score);
  void read_logits(const Row& row, int64_t first, int64_t count,
                   const float* logits) const;
  void read_logits(generate::ContinuationScore& score, int num_top_logprobs,
                   int64_t first, int64_t count, const float* logits) const;

  Decoder& decoder_;
  const text::Tokenizer& tokenizer_;
  EngineOptions options_;
  int vocab_;
  // Of the last context: what the next one shares of it is not computed again.
  std::vector<int> context_;  // tokens that context_sequence_ holds
  std::unique_ptr<Sequence> context_sequence_;
  // Where it was a text scored whole: of its tokens from the second on, with
  // so many most probable ones.
  generate::ContinuationScore context_score_;
  int context_top_logprobs_ = 0;
};

}  // namespace selfalign::engine
