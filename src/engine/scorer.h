// SPDX-License-Identifier: Apache-2.0
// Log-probabilities of continuations: the context is computed once, as a
// shared prefix, and its continuations are rows beside each other. Of a text
// that is scored whole, what one before began with is not computed again.
#pragma once

#include <memory>
#include <vector>

#include "engine/decoder.h"
#include "engine/engine_options.h"
#include "generate/generator.h"
#include "text/tokenizer.h"

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

  // The same in parts: of a text that is scored whole a pass each, of all else
  // one. The scorer must live longer.
  std::unique_ptr<generate::Scoring> begin(generate::ScoreRequest request);

 private:
  // A context and what the next one that begins alike need not compute again.
  struct Context {
    std::vector<int> tokens;  // that `sequence` holds
    std::unique_ptr<Sequence> sequence;
    // Where it was a text scored whole: of its tokens from the second on, with
    // so many most probable ones.
    generate::ContinuationScore score;
    int num_top_logprobs = 0;
  };
  class Parts;
  class WholeText;

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

  void check_length(const text::TokenPair& pair) const;
  // Takes the continuations out of the pairs.
  std::vector<generate::ContinuationScore> score_pairs(
      std::vector<text::TokenPair>& pairs, size_t num_common,
      int num_top_logprobs);

  // Of the contexts that nobody uses the one that begins most like `tokens`, or
  // a new one. keep() gives it back.
  Context take(const std::vector<int>& tokens);
  void keep(Context context) { kept_.push_back(std::move(context)); }
  // Forgets all but a start that `tokens` begin with, too, at most `most` of
  // them. Returns its length.
  int64_t keep_common(Context& context, const std::vector<int>& tokens,
                      int64_t most) const;
  Context compute_context(const std::vector<int>& tokens);
  void score_rows(const Sequence& context, std::vector<Row>& rows);
  void read_logits(const Row& row, int64_t first, int64_t count,
                   const float* logits) const;
  void read_logits(generate::ContinuationScore& score, int num_top_logprobs,
                   int64_t first, int64_t count, const float* logits) const;

  Decoder& decoder_;
  const text::Tokenizer& tokenizer_;
  EngineOptions options_;
  int vocab_;
  std::vector<Context> kept_;  // as many as were in use at a time, at least one
};

}  // namespace selfalign::engine
