#include "engine/generation.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/parallel.h"

namespace selfalign::engine {
namespace {

using generate::Finish;

bool same_prefix(const std::shared_ptr<Prefix>& a,
                 const std::shared_ptr<const std::string>& text) {
  if (a == nullptr || text == nullptr) return a == nullptr && text == nullptr;
  return a->text == text || *a->text == *text;
}

}  // namespace

Generation::Generation(const Parts& parts)
    : parts_(parts), scratch_(static_cast<size_t>(num_threads())) {
  if (parts_.options.show_progress) progress_.emplace("generate", 0, "tokens");
}

void Generation::run(const generate::NextRequest& next,
                     const generate::OnCompletion& done) {
  while (!interrupted()) {
    refill(next, done);
    if (rows_.empty()) return;
    if (!parts_.decoder.packs_texts()) prefill_alone();
    const float* logits = nullptr;
    const std::vector<Row*> ready = pass(&logits);
    sample(ready, logits, done);
    if (progress_) progress_->update(num_tokens_, str(num_rows_, " rows"));
  }
}

void Generation::refill(const generate::NextRequest& next,
                        const generate::OnCompletion& done) {
  while (static_cast<int>(rows_.size()) < parts_.options.num_slots) {
    if (!pending_) {
      if (exhausted_) return;
      pending_ = next();
      exhausted_ = !pending_;
      if (exhausted_) return;
      if (pending_->prefix != nullptr && pending_->prefix->empty()) {
        pending_->prefix = nullptr;
      }
    }
    if (!same_prefix(prefix_, pending_->prefix)) {
      if (!rows_.empty()) return;
      prefix_ = pending_->prefix == nullptr
                    ? nullptr
                    : parts_.prefixes.find_or_add(pending_->prefix);
    }
    generate::Request request = std::move(*pending_);
    pending_.reset();
    admit(std::move(request), done);
  }
}

// What the row feeds itself: with a shared prefix its last token and the
// suffix, else the whole prompt.
std::vector<int> Generation::prompt_tokens(const Row& row) const {
  const text::Tokenizer& tokenizer = parts_.tokenizer;
  std::vector<int> tokens;
  if (prefix_ == nullptr) {
    if (tokenizer.adds_bos()) tokens.push_back(tokenizer.bos());
  } else {
    if (prefix_->tokens.empty()) {
      prefix_->tokens = tokenizer.encode(*prefix_->text);
      if (tokenizer.adds_bos()) {
        prefix_->tokens.insert(prefix_->tokens.begin(), tokenizer.bos());
      }
    }
    tokens = prefix_->tokens;
    if (shared_prefix()) tokens.erase(tokens.begin(), tokens.end() - 1);
  }
  const std::vector<int> suffix = tokenizer.encode(row.request.suffix);
  tokens.insert(tokens.end(), suffix.begin(), suffix.end());
  if (tokens.empty()) {  // text from nothing goes on from a text's boundary
    tokens.push_back(tokenizer.bos() >= 0 ? tokenizer.bos()
                                          : std::max(tokenizer.eos(), 0));
  }
  return tokens;
}

Prefix* Generation::shared_prefix() const {
  const bool shared = prefix_ != nullptr && parts_.options.share_prefix &&
                      !prefix_->tokens.empty();
  return shared ? prefix_.get() : nullptr;
}

void Generation::admit(generate::Request request,
                       const generate::OnCompletion& done) {
  check_sampling(request.sampling, parts_.tokenizer.size());
  auto row = std::make_unique<Row>();
  row->request = std::move(request);
  row->text = CompletionText(row->request.sampling.stop);
  row->tokens = prompt_tokens(*row);
  Prefix* shared = shared_prefix();
  const int64_t before =
      shared ? static_cast<int64_t>(shared->tokens.size()) - 1 : 0;
  row->num_prompt_tokens =
      static_cast<int>(before) + static_cast<int>(row->tokens.size());
  const int64_t max_context = parts_.options.max_context;
  if (row->num_prompt_tokens >= max_context) {
    push(*row, Finish::kNoRoom, done);
    return;
  }
  for (int token : parts_.tokenizer.encode(row->request.suffix)) {
    row->history.add_prompt(token);
  }
  if (shared && shared->sequence == nullptr) {
    shared->sequence = parts_.decoder.new_sequence(max_context, true);
    fill_sequence(parts_.decoder, *shared->sequence, shared->tokens, before,
                  parts_.options.prefill_chunk);
  }
  row->sequence = parts_.decoder.new_sequence(max_context - before, false);
  rows_.push_back(std::move(row));
}

void Generation::prefill_alone() {
  const Prefix* shared = shared_prefix();
  const Sequence* prefix = shared ? shared->sequence.get() : nullptr;
  for (const auto& row : rows_) {
    while (row->unfed() > 1) {
      const Span span{
          row->sequence.get(), row->tokens.data() + row->sequence->length(),
          std::min<int64_t>(row->unfed() - 1, parts_.options.prefill_chunk)};
      parts_.decoder.forward(prefix, {span}, {});
    }
  }
}

// Rows that only go on with their last token always take part; new rows share
// what the chunk leaves for their prompts.
std::vector<Generation::Row*> Generation::pass(const float** logits) {
  std::vector<Span> spans;
  std::vector<int64_t> wanted;
  std::vector<Row*> ready;
  int64_t tokens = 0;
  int64_t left = parts_.options.prefill_chunk;
  for (const auto& row : rows_) {
    int64_t count = row->unfed();
    if (count > 1) {
      count = std::min(count, left);
      left -= count;
      if (count == 0) continue;
    }
    spans.push_back({row->sequence.get(),
                     row->tokens.data() + row->sequence->length(), count});
    tokens += count;
    if (count < row->unfed()) continue;
    wanted.push_back(tokens - 1);
    ready.push_back(row.get());
  }
  const Prefix* shared = shared_prefix();
  const Sequence* prefix = shared ? shared->sequence.get() : nullptr;
  *logits = parts_.decoder.forward(prefix, spans, wanted);
  return ready;
}

void Generation::sample(const std::vector<Row*>& rows, const float* logits,
                        const generate::OnCompletion& done) {
  std::vector<SampledToken> sampled(rows.size());
  parallel_for(static_cast<int64_t>(rows.size()), [&](int64_t i) {
    const Row& row = *rows[i];
    const SampleInput input{
        .logits = logits + i * parts_.vocab,
        .vocab = parts_.tokenizer.size(),
        .sampling = &row.request.sampling,
        .history = &row.history,
        .end_tokens = &parts_.tokenizer.end_tokens(),
        .key = row.request.key,
        .draw = row.history.completion().size(),
    };
    sampled[i] = sample_token(input, scratch_[this_thread()]);
  });
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::optional<Finish> finish = accept(*rows[i], sampled[i]);
    if (!finish) continue;
    const auto at = std::find_if(rows_.begin(), rows_.end(),
                                 [&](auto& r) { return r.get() == rows[i]; });
    const std::unique_ptr<Row> row = std::move(*at);
    rows_.erase(at);
    push(*row, *finish, done);
  }
}

std::optional<Finish> Generation::accept(Row& row, const SampledToken& token) {
  const std::vector<int>& ends = parts_.tokenizer.end_tokens();
  if (std::find(ends.begin(), ends.end(), token.id) != ends.end()) {
    return Finish::kStop;
  }
  ++num_tokens_;
  row.tokens.push_back(token.id);
  row.history.add(token.id);
  row.logprob += double{token.logprob};
  if (row.request.want_logprobs) row.logprobs.push_back(token.logprob);
  if (row.text.append(parts_.tokenizer.decode_token(token.id))) {
    return Finish::kStop;
  }
  const int said = static_cast<int>(row.history.completion().size());
  if (said >= row.request.sampling.max_new_tokens ||
      row.num_prompt_tokens + said >= parts_.options.max_context) {
    return Finish::kLength;
  }
  return std::nullopt;
}

void Generation::push(Row& row, Finish finish,
                      const generate::OnCompletion& done) {
  generate::Completion completion;
  completion.key = row.request.key;
  completion.text = row.text.text();
  completion.num_tokens = static_cast<int>(row.history.completion().size());
  completion.num_prompt_tokens = row.num_prompt_tokens;
  completion.finish = finish;
  completion.logprob = row.logprob;
  if (row.request.want_logprobs) {
    completion.tokens = row.history.completion();
    completion.token_logprobs = row.logprobs;
  }
  row.sequence.reset();
  ++num_rows_;
  exhausted_ = false;
  done(std::move(completion));
}

}  // namespace selfalign::engine
