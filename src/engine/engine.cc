// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <algorithm>
#include <functional>
#include <new>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/ranges.h"
#include "base/settings.h"
#include "engine/aten_decoder.h"
#include "engine/cpu_decoder.h"
#include "engine/generation.h"
#include "engine/prefix_cache.h"
#include "engine/scorer.h"
#include "engine/sequence_cache.h"

namespace selfalign::engine {
namespace {

// So many of the longest are kept while no row needs them.
constexpr int64_t kKeptPrefixes = 4;

class Engine : public generate::Generator {
 public:
  Engine(std::shared_ptr<const model::Weights> weights,
         std::shared_ptr<const text::Tokenizer> tokenizer,
         const EngineOptions& options)
      : tokenizer_(std::move(tokenizer)),
        options_(options),
        vocab_(static_cast<int>(weights->config.vocab_size)),
        kept_(options.max_context) {
    const bool on_cpu = weights->device().is_cpu();
    name_ = str("local ", weights->digest, ", ",
                model::describe({weights->device(), weights->dtype()}),
                model::describe(weights->rounding), ", context ",
                options.max_context);
    const DecoderOptions sizes{.num_slots = options.num_slots,
                               .prefill_chunk = options.prefill_chunk,
                               .max_context = options.max_context,
                               .int8_prefix = options.int8_prefix};
    if (on_cpu) {
      // Slots and chunk change no bit here.
      name_ += str(", kernels ", kernels().name);
      decoder_ = make_cpu_decoder(*weights, sizes);
    } else {
      name_ += str(", slots ", options.num_slots, ", chunk ",
                   options.prefill_chunk, ", pages of ", kAtenPageKeys);
      decoder_ = make_aten_decoder(std::move(weights), sizes);
    }
    if (options.int8_prefix) name_ += ", prefix int8";
    if (!options.share_prefix) name_ += ", prefix not shared";
    prefixes_.emplace(*decoder_, kKeptPrefixes * options.max_context);
    scorer_ = std::make_unique<Scorer>(*decoder_, *tokenizer_, options, vocab_);
  }

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    Generation(
        {*decoder_, *prefixes_, kept_, *tokenizer_, options_, vocab_, stepped_})
        .run(next, done);
  }

  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> scores;
    std::optional<Progress> progress;
    if (options_.show_progress) {
      progress.emplace("score", requests.size(), "contexts");
    }
    for (const generate::ScoreRequest& request : requests) {
      stop_if_interrupted("run the same command again");
      scores.push_back(scorer_->score(request));
      if (progress) progress->update(scores.size());
    }
    return scores;
  }

  std::unique_ptr<generate::Scoring> begin_score(
      generate::ScoreRequest request) override {
    return scorer_->begin(std::move(request));
  }

  void when_stepped(std::function<void()> callback) override {
    stepped_ = std::move(callback);
  }

  void check(const generate::Request& request) const override {
    Generation::check(request, *tokenizer_);
  }

  std::string fingerprint() const override { return name_; }

  std::vector<int> token_ids(const std::string& text) const override {
    return tokenizer_->encode_continuation(text);
  }
  int count_tokens(const std::string& text) const override {
    return static_cast<int>(tokenizer_->encode_continuation(text).size());
  }

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  EngineOptions options_;
  int vocab_;
  std::string name_;
  std::unique_ptr<Decoder> decoder_;
  std::optional<PrefixCache> prefixes_;
  SequenceCache kept_;
  std::unique_ptr<Scorer> scorer_;
  std::function<void()> stepped_;
};

}  // namespace

std::unique_ptr<generate::Generator> make_engine(
    std::shared_ptr<const model::Weights> weights,
    std::shared_ptr<const text::Tokenizer> tokenizer,
    const EngineOptions& options) {
  RangeCheck check("engine");
  check({"num_slots", ""}, options.num_slots, ranges::kNumSlots);
  check({"prefill_chunk", ""}, options.prefill_chunk, Range<int>{1, 8192});
  check({"max_context", ""}, options.max_context, ranges::kMaxContext);
  if (tokenizer->size() > weights->config.vocab_size) {
    throw Error(
        ErrorKind::kInput,
        str("engine: expected a tokenizer of at most ",
            weights->config.vocab_size, " tokens, found ", tokenizer->size(),
            "; tokenizer and weights do not belong together"));
  }
  EngineOptions fitted = options;
  fitted.max_context = static_cast<int>(
      std::min<int64_t>(options.max_context, weights->config.max_positions));
  try {
    return std::make_unique<Engine>(std::move(weights), std::move(tokenizer),
                                    fitted);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kResources,
                "engine: expected memory for the packed weights and the "
                "activations, found less; use a smaller model, bfloat16 or "
                "fewer slots");
  }
}

}  // namespace selfalign::engine
