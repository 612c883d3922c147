// SPDX-License-Identifier: Apache-2.0
#include "engine/generation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/profile.h"
#include "engine/parallel.h"

// How it works. Continuous batching over shared prefixes. A step is
//
//   refill   free slots take requests, until there are none or all are full
//   pass     one pass through the decoder over all rows
//   sample   every row that has logits draws a token, or ends and leaves
//
// A row's tokens are its own part of the prompt, then its completion; `unfed`
// of them are not in its keys and values yet. One that decodes has exactly one
// of these, a new one its prompt. So a pass needs no modes: it takes the one
// token of each decoding row, and of new rows what the chunk has room for. Long
// prompts thus spread over several steps, and nobody's stream waits for them.
//
// The prefix (16 principles, 5 exemplars: some 1,700 tokens) is computed once
// and is read-only; the decoder lets each row see it before its own keys. Its
// last token belongs to the rows, since a row must feed something to have
// logits. Prefixes that begin alike are a tree (prefix_cache.h), and the rows
// of a pass stand in the order of that tree, so that those which share keys
// read them together. A prefix that is not there yet is read as a row's prompt
// is, in what the chunk has room for.
//
// Elsewhere than on a CPU a pass has one text, or one token of each row behind
// one prefix: each further prefix costs a pass of its own in every step, hence
// kMaxPrefixes, beyond which a request waits.
//
// Invariant: a row's bits depend on its tokens alone. The decoder gives the
// same logits whatever else is in the pass, and draw t of a row is a function
// of its key and t. Slots, order of arrival and cancelled neighbours change
// when a row is done, never what it says.
//
// Cost of a step: the weights are read once, prefixes' keys once, and each
// row's own keys once.

namespace selfalign::engine {
namespace {

using generate::Finish;

// Where each costs a pass of its own in every step.
constexpr size_t kMaxPrefixes = 4;

// Places in the tree of prefixes, from the text's beginning on; each prefix is
// known by when it was seen first.
class TreeOrder {
 public:
  // Those that stand behind the same one stand beside each other.
  std::vector<size_t> place(const Prefix* prefix) {
    if (prefix == nullptr) return {};
    std::vector<size_t> all = place(prefix->before.get());
    all.push_back(seen_.emplace(prefix, seen_.size()).first->second);
    return all;
  }

 private:
  std::map<const Prefix*, size_t> seen_;
};

}  // namespace

Generation::Generation(const Parts& parts)
    : parts_(parts), scratch_(static_cast<size_t>(num_threads())) {
  if (parts_.options.show_progress) progress_.emplace("generate", 0, "tokens");
}

void Generation::run(const generate::NextRequest& next,
                     const generate::OnCompletion& done) {
  while (!interrupted()) {
    ProfileStep step("step");
    refill(next, done);
    if (rows_.empty()) return;
    step.note("rows", int64_t(rows_.size()));
    const uint64_t num_tokens = num_tokens_;
    const auto pass_and_sample = [&](const std::vector<Row*>& rows) {
      if (rows.empty()) return;
      const float* logits = nullptr;
      const std::vector<Row*> ready = pass(rows, &logits);
      sample(ready, logits, done);
    };
    if (parts_.decoder.packs_texts()) {
      std::vector<Row*> all;
      for (const auto& row : rows_) all.push_back(row.get());
      pass_and_sample(all);
    } else {
      for (Prefix* prefix : prefixes()) pass_and_sample(read_alone(prefix));
    }
    cancel_unread(done);
    exhausted_ = false;
    step.note("tokens", int64_t(num_tokens_ - num_tokens));
    if (parts_.stepped) {
      const ProfilePart part("caller");
      parts_.stepped();
    }
    if (progress_) progress_->update(num_tokens_, str(num_rows_, " rows"));
  }
}

void Generation::refill(const generate::NextRequest& next,
                        const generate::OnCompletion& done) {
  while (static_cast<int>(rows_.size()) < parts_.options.num_slots) {
    if (!pending_) {
      if (exhausted_) return;
      {
        const ProfilePart part("caller");
        pending_ = next();
      }
      exhausted_ = !pending_;
      if (exhausted_) return;
      const ProfilePart part("tokenize");
      prompt_ = generate::tokenize_prompt(*pending_, parts_.tokenizer);
    }
    std::shared_ptr<Prefix> prefix = find_prefix(prompt_);
    if (!parts_.decoder.packs_texts()) {
      const std::vector<Prefix*> at_work = prefixes();
      if (at_work.size() >= kMaxPrefixes &&
          std::find(at_work.begin(), at_work.end(), prefix.get()) ==
              at_work.end()) {
        return;
      }
    }
    generate::Request request = std::move(*pending_);
    pending_.reset();
    admit(std::move(request), std::move(prefix), done);
  }
}

std::shared_ptr<Prefix> Generation::find_prefix(
    const generate::PromptTokens& prompt) {
  if (!prompt.has_prefix || !parts_.options.share_prefix) return nullptr;
  const auto count = static_cast<ptrdiff_t>(prompt.suffix_begin) - 1;
  if (count <= 0 || count >= parts_.options.max_context) return nullptr;
  return parts_.prefixes.find_or_add(
      {prompt.ids.begin(), prompt.ids.begin() + count});
}

std::vector<Prefix*> Generation::prefixes() const {
  std::vector<Prefix*> all;
  for (const auto& row : rows_) {
    if (std::find(all.begin(), all.end(), row->prefix.get()) == all.end()) {
      all.push_back(row->prefix.get());
    }
  }
  return all;
}

std::vector<int> Generation::own_tokens(const Row& row) const {
  const size_t before = row.prefix ? row.prefix->tokens.size() : 0;
  std::vector<int> tokens(prompt_.ids.begin() + static_cast<ptrdiff_t>(before),
                          prompt_.ids.end());
  if (tokens.empty()) {  // text from nothing goes on from a text's boundary
    const text::Tokenizer& tokenizer = parts_.tokenizer;
    tokens.push_back(tokenizer.bos() >= 0 ? tokenizer.bos()
                                          : std::max(tokenizer.eos(), 0));
  }
  return tokens;
}

void Generation::check(const generate::Request& request,
                       const text::Tokenizer& tokenizer) {
  generate::check_request(request, tokenizer.size());
  const generate::Sampling& sampling = request.sampling;
  std::set<int> banned;
  for (const auto& [id, bias] : sampling.logit_bias) {
    if (std::isinf(bias)) banned.insert(id);
  }
  if (sampling.ban_eos) {
    banned.insert(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end());
  }
  if (static_cast<int>(banned.size()) < tokenizer.size()) return;
  throw Error(ErrorKind::kUsage,
              "sampling: expected a token to choose from, found all banned; "
              "relax logit_bias");
}

void Generation::admit(generate::Request request,
                       std::shared_ptr<Prefix> prefix,
                       const generate::OnCompletion& done) {
  check(request, parts_.tokenizer);
  auto row = std::make_unique<Row>();
  row->request = std::move(request);
  row->text = generate::CompletionText(row->request.sampling.stop);
  row->prefix = std::move(prefix);
  row->tokens = own_tokens(*row);
  Prefix* shared = row->prefix.get();
  const int64_t before =
      shared ? static_cast<int64_t>(shared->tokens.size()) : 0;
  row->num_prompt_tokens =
      static_cast<int>(before) + static_cast<int>(row->tokens.size());
  const int64_t max_context = parts_.options.max_context;
  if (row->num_prompt_tokens >= max_context) {
    push(*row, Finish::kNoRoom, done);
    return;
  }
  for (size_t i = prompt_.suffix_begin; i < prompt_.ids.size(); ++i) {
    row->history.add_prompt(prompt_.ids[i]);
  }
  row->sequence = parts_.kept.take(row->prefix, row->tokens);
  if (!row->sequence) {
    row->sequence = parts_.decoder.new_sequence(
        max_context - before, false, shared ? shared->sequence.get() : nullptr);
  }
  rows_.push_back(std::move(row));
}

// A long prefix takes several steps, as a long prompt does, so that the other
// rows go on meanwhile.
std::vector<Generation::Row*> Generation::read_alone(Prefix* prefix) {
  const int64_t chunk = parts_.options.prefill_chunk;
  if (prefix != nullptr) {
    Sequence& sequence = *prefix->sequence;
    fill_sequence(parts_.decoder, sequence, prefix->tokens,
                  std::min(prefix->num_own(), sequence.length() + chunk),
                  chunk);
    if (prefix->num_missing() > 0) return {};
  }
  std::vector<Row*> rows;
  for (const auto& row : rows_) {
    if (row->prefix.get() != prefix) continue;
    fill_sequence(parts_.decoder, *row->sequence, row->tokens,
                  static_cast<int64_t>(row->tokens.size()) - 1, chunk);
    rows.push_back(row.get());
  }
  return rows;
}

// Rows that only go on with their last token always take part; new rows, and
// prefixes that rows wait for, share what the chunk leaves, first come first
// served.
std::vector<Generation::Row*> Generation::pass(const std::vector<Row*>& rows,
                                               const float** logits) {
  struct Part {
    std::vector<size_t> place;
    Row* row;
    int64_t count;
  };
  std::vector<Part> parts;
  std::vector<Span> spans;
  TreeOrder order;
  int64_t left = parts_.options.prefill_chunk;
  int64_t tokens = 0;
  for (Row* row : rows) {
    if (Prefix* missing = first_missing(row->prefix.get())) {
      const int64_t count = std::min(left, missing->num_missing());
      Sequence* sequence = missing->sequence.get();
      const bool is_read =
          std::any_of(spans.begin(), spans.end(),
                      [&](const Span& span) { return span.own == sequence; });
      if (count == 0 || is_read) continue;
      const int64_t done = missing->num_before() + sequence->length();
      spans.push_back({sequence, missing->tokens.data() + done, count});
      left -= count;
      tokens += count;
      continue;
    }
    int64_t count = row->unfed();
    if (count > 1) {
      count = std::min(count, left);
      left -= count;
      if (count == 0) continue;
    }
    parts.push_back({order.place(row->prefix.get()), row, count});
  }
  std::stable_sort(
      parts.begin(), parts.end(),
      [](const Part& a, const Part& b) { return a.place < b.place; });
  std::vector<int64_t> wanted;
  std::vector<Row*> ready;
  for (const Part& part : parts) {
    Row& row = *part.row;
    spans.push_back({row.sequence.get(),
                     row.tokens.data() + row.sequence->length(), part.count});
    tokens += part.count;
    if (part.count < row.unfed()) continue;
    wanted.push_back(tokens - 1);
    ready.push_back(&row);
  }
  *logits = parts_.decoder.forward(spans, wanted);
  return ready;
}

void Generation::sample(const std::vector<Row*>& rows, const float* logits,
                        const generate::OnCompletion& done) {
  const ProfilePart part("sampling");
  std::vector<SampledToken> sampled(rows.size());
  parallel_for(static_cast<int64_t>(rows.size()), [&](int64_t i) {
    Row& row = *rows[i];
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
    const int num_top = row.request.num_top_logprobs;
    if (!row.request.want_logprobs || num_top == 0) return;
    row.top_logprobs.push_back(
        most_probable(input.logits, input.vocab, num_top,
                      log_sum_exp(input.logits, input.vocab)));
  });
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::optional<Finish> finish = accept(*rows[i], sampled[i]);
    if (finish) end(rows[i], *finish, done);
  }
}

void Generation::cancel_unread(const generate::OnCompletion& done) {
  std::vector<Row*> cancelled;
  for (const auto& row : rows_) {
    if (row->history.completion().empty() && row->request.on_text &&
        !row->request.on_text("")) {
      cancelled.push_back(row.get());
    }
  }
  for (Row* row : cancelled) end(row, Finish::kCancelled, done);
}

void Generation::end(Row* row, Finish finish,
                     const generate::OnCompletion& done) {
  const auto at = std::find_if(rows_.begin(), rows_.end(),
                               [&](auto& r) { return r.get() == row; });
  const std::unique_ptr<Row> ended = std::move(*at);
  rows_.erase(at);
  push(*ended, finish, done);
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
  if (row.request.on_text && !row.request.on_text(row.text.take_certain())) {
    return Finish::kCancelled;
  }
  return std::nullopt;
}

void Generation::push(Row& row, Finish finish,
                      const generate::OnCompletion& done) {
  if (finish == Finish::kCancelled) {
    row.text.drop_rest();
  } else if (row.request.on_text) {
    const std::string rest = row.text.take_rest();
    if (!rest.empty()) row.request.on_text(rest);
  }
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
    completion.top_logprobs = row.top_logprobs;
    // An end-of-text token has candidates, too, but no place in the text.
    completion.top_logprobs.resize(
        std::min(completion.top_logprobs.size(), completion.tokens.size()));
  }
  if (row.sequence && parts_.decoder.packs_texts()) {
    parts_.kept.keep(row.prefix, std::move(row.tokens),
                     std::move(row.sequence));
  }
  row.sequence.reset();
  ++num_rows_;
  exhausted_ = false;
  const ProfilePart part("caller");
  done(std::move(completion));
}

}  // namespace selfalign::engine
