// One call of Generator::generate: rows come into free slots, go through the
// decoder token by token, and leave as completions.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "engine/completion_text.h"
#include "engine/engine.h"
#include "engine/prefix_cache.h"
#include "engine/sampler.h"

namespace selfalign::engine {

class Generation {
 public:
  struct Parts {
    Decoder& decoder;
    PrefixCache& prefixes;
    const text::Tokenizer& tokenizer;
    EngineOptions options;
    int vocab = 0;  // of the model, which may pad the tokenizer's
  };
  explicit Generation(const Parts& parts);

  void run(const generate::NextRequest& next,
           const generate::OnCompletion& done);

 private:
  struct Row {
    generate::Request request;
    std::vector<int> tokens;  // own part of the prompt, then the completion
    int num_prompt_tokens = 0;
    std::unique_ptr<Sequence> sequence;
    History history;
    CompletionText text;
    std::vector<float> logprobs;
    double logprob = 0;

    int64_t unfed() const {
      return static_cast<int64_t>(tokens.size()) - sequence->length();
    }
  };

  // Fills free slots. Rows of one prefix at a time: at a change of prefix the
  // rows at work are finished first.
  void refill(const generate::NextRequest& next,
              const generate::OnCompletion& done);
  void admit(generate::Request request, const generate::OnCompletion& done);
  std::vector<int> prompt_tokens(const Row& row) const;
  // The prefix that rows see through the decoder; null: it is part of each
  // row's own tokens, or there is none.
  Prefix* shared_prefix() const;

  // One pass; returns the rows that have logits now, in order of the logits.
  std::vector<Row*> pass(const float** logits);
  // A decoder that does not pack texts takes all but the last token of a new
  // row in passes of their own.
  void prefill_alone();
  void sample(const std::vector<Row*>& rows, const float* logits,
              const generate::OnCompletion& done);
  // The reason why the row ends with this token, if it does.
  std::optional<generate::Finish> accept(Row& row, const SampledToken& token);
  void push(Row& row, generate::Finish finish,
            const generate::OnCompletion& done);

  Parts parts_;
  std::shared_ptr<Prefix> prefix_;  // of the rows at work; null: none
  std::vector<std::unique_ptr<Row>> rows_;
  std::optional<generate::Request> pending_;  // waits for a change of prefix
  bool exhausted_ = false;  // `next` gave none since the last completion
  std::vector<SamplerScratch> scratch_;  // one for each thread
  std::optional<Progress> progress_;
  uint64_t num_tokens_ = 0;
  uint64_t num_rows_ = 0;
};

}  // namespace selfalign::engine
