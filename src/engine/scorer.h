// Log-probabilities of continuations: the context is computed once, as a
// shared prefix, and its continuations are rows beside each other.
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
    std::vector<int> fed;  // last token of the context, then the continuation
    std::unique_ptr<Sequence> sequence;
    std::vector<generate::ContinuationScore*> scores;
    int num_top_logprobs = 0;
  };

  std::vector<int> context_tokens(const generate::ScoreRequest& request) const;

  void compute_context(const std::vector<int>& tokens);
  void score_rows(std::vector<Row>& rows);
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
};

}  // namespace selfalign::engine
