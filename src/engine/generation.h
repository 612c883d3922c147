// SPDX-License-Identifier: Apache-2.0
// One call of Generator::generate: rows come into free slots, go through the
// decoder token by token, and leave as completions.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "engine/engine_options.h"
#include "engine/prefix_cache.h"
#include "engine/sampler.h"
#include "engine/sequence_cache.h"
#include "generate/completion_text.h"
#include "generate/prompt_tokens.h"

namespace selfalign::engine {

class Generation {
 public:
  struct Parts {
    Decoder& decoder;
    PrefixCache& prefixes;
    SequenceCache& kept;
    const text::Tokenizer& tokenizer;
    EngineOptions options;
    int vocab = 0;  // of the model, which may pad the tokenizer's
    std::function<void()> stepped = {};  // called after every step
  };
  explicit Generation(const Parts& parts);

  void run(const generate::NextRequest& next,
           const generate::OnCompletion& done);

  // See generate::Generator::check.
  static void check(const generate::Request& request,
                    const text::Tokenizer& tokenizer);

 private:
  struct Row {
    generate::Request request;
    // That it sees through the decoder; null: none, or it is part of the row's
    // own tokens.
    std::shared_ptr<Prefix> prefix;
    std::vector<int> tokens;  // own part of the prompt, then the completion
    int num_prompt_tokens = 0;
    std::unique_ptr<Sequence> sequence;
    History history;
    generate::CompletionText text;
    std::vector<float> logprobs;
    std::vector<std::vector<generate::TokenLogprob>> top_logprobs;
    double logprob = 0;

    int64_t unfed() const {
      return static_cast<int64_t>(tokens.size()) - sequence->length();
    }
  };

  // Fills free slots. Where each prefix costs a pass of its own, a row of one
  // too many waits until one is done.
  void refill(const generate::NextRequest& next,
              const generate::OnCompletion& done);
  void admit(generate::Request request, std::shared_ptr<Prefix> prefix,
             const generate::OnCompletion& done);
  // Of the prompt's shared tokens but their last; null: it has none.
  std::shared_ptr<Prefix> find_prefix(const generate::PromptTokens& prompt);
  // Those of the rows at work, each once, perhaps null.
  std::vector<Prefix*> prefixes() const;
  // What the row feeds itself of the prompt that waits: all behind the prefix.
  std::vector<int> own_tokens(const Row& row) const;

  // A pass over these rows and over prefixes that they wait for; returns those
  // that have logits now, in order of the logits.
  std::vector<Row*> pass(const std::vector<Row*>& rows, const float** logits);
  // A decoder that does not pack texts takes the prefix, and all but the last
  // token of a new row behind it, in passes of their own. Returns its rows;
  // none while it is not computed.
  std::vector<Row*> read_alone(Prefix* prefix);
  void sample(const std::vector<Row*>& rows, const float* logits,
              const generate::OnCompletion& done);
  // The reason why the row ends with this token, if it does.
  std::optional<generate::Finish> accept(Row& row, const SampledToken& token);
  // Rows whose prompt is still being read may be cancelled, too.
  void cancel_unread(const generate::OnCompletion& done);
  void end(Row* row, generate::Finish finish,
           const generate::OnCompletion& done);
  void push(Row& row, generate::Finish finish,
            const generate::OnCompletion& done);

  Parts parts_;
  std::vector<std::unique_ptr<Row>> rows_;
  std::optional<generate::Request> pending_;  // waits for a prefix to end
  generate::PromptTokens prompt_;             // of pending_
  bool exhausted_ = false;                    // `next` gave none in this step
  std::vector<SamplerScratch> scratch_;       // one for each thread
  std::optional<Progress> progress_;
  uint64_t num_tokens_ = 0;
  uint64_t num_rows_ = 0;
};

}  // namespace selfalign::engine
