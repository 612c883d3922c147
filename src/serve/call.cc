// SPDX-License-Identifier: Apache-2.0
#include "serve/call.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <random>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "generate/row_key.h"
#include "parse/thoughts.h"

namespace selfalign::serve {
namespace {

using generate::Completion;

// Another number each time, in this process and the next.
uint64_t fresh_number() {
  static const uint64_t base =
      uint64_t{std::random_device()()} << 32 | std::random_device()();
  static std::atomic<uint64_t> count = 0;
  return Hasher().add(base).add(count++).key();
}

// Log-probabilities of an answer that is made where it holds up no model.
constexpr size_t kManyLogprobs = 4096;

class Call final : public Job, public std::enable_shared_from_this<Call> {
 public:
  Call(Plan plan, const Model& model, std::shared_ptr<Exchange> exchange,
       Metrics& metrics)
      : plan_(std::move(plan)),
        model_(model),
        exchange_(std::move(exchange)),
        metrics_(metrics),
        scores_(plan_.prompts.size()),
        choices_(plan_.num_choices()),
        num_open_(choices_.size()) {
    head_.id =
        (plan_.is_chat ? "chatcmpl-" : "cmpl-") + key_to_hex(fresh_number());
    head_.created = std::time(nullptr);
    head_.model = model_.id;
    head_.fingerprint =
        "fp_" + key_to_hex(Hasher().add(model_.worker->fingerprint()).key());
  }

  std::vector<QueuedRow> rows();
  void open();          // a stream begins
  void finish_empty();  // where there are no rows

  void on_text(size_t row, std::string_view text) override;
  void on_completion(size_t row, Completion completion) override;
  void on_scores(size_t row, generate::Scores scores) override;
  void on_failure(size_t row, const std::string& text) override;

 private:
  struct State {
    std::optional<Completion> completion;
    std::string said;     // of the model, as it came
    size_t num_sent = 0;  // bytes of the choice's text
    bool opened = false;  // a first event was sent
    bool finished = false;
  };

  size_t prompt_of(size_t choice) const {
    return choice / static_cast<size_t>(plan_.ask.n);
  }
  const text::Tokenizer& tokenizer() const { return *model_.tokenizer; }
  bool streams_text() const {
    return plan_.ask.stream && plan_.ask.num_top_logprobs < 0;
  }
  generate::ScoreRequest score_request(size_t prompt) const;
  std::string echoed(size_t choice) const;
  void send_text(size_t choice, const std::string& text);
  void send_choice(size_t choice, const Choice& part);
  void finish_if_ready(size_t choice);
  Choice make_choice(size_t choice);
  void add_next_token(size_t choice, Choice& made);
  void finish();
  HttpReply whole_reply() const;

  const Plan plan_;
  const Model& model_;
  const std::shared_ptr<Exchange> exchange_;
  Metrics& metrics_;
  ReplyHead head_;
  std::vector<std::optional<generate::Scores>> scores_;  // by prompt
  std::vector<State> choices_;
  std::vector<Choice> made_;
  size_t num_open_;
  Usage usage_;
  bool failed_ = false;
};

// BOS or else the first token is what the others stand after.
generate::ScoreRequest Call::score_request(size_t prompt) const {
  const PlannedPrompt& planned = plan_.prompts[prompt];
  std::vector<int> tokens = planned.tokens;
  if (planned.has_bos) tokens.insert(tokens.begin(), tokenizer().bos());
  generate::ScoreRequest request;
  request.key = prompt;
  request.context_tokens = {tokens.front()};
  tokens.erase(tokens.begin());
  // What is expected in place of one more token is the next token.
  if (plan_.scores_next) tokens.push_back(0);
  if (!tokens.empty()) request.continuation_tokens = {std::move(tokens)};
  request.num_top_logprobs =
      std::max(plan_.ask.num_top_logprobs, plan_.scores_next ? 1 : 0);
  return request;
}

std::vector<QueuedRow> Call::rows() {
  std::vector<QueuedRow> rows;
  const std::shared_ptr<Call> self = shared_from_this();
  const uint64_t client = exchange_->client();
  const uint64_t seed = plan_.ask.seed.value_or(fresh_number());
  for (size_t choice = 0; choice < choices_.size(); ++choice) {
    const size_t prompt = prompt_of(choice);
    if (!plan_.generates(prompt)) continue;
    generate::Request request = plan_.prompts[prompt].request;
    request.sampling = plan_.ask.sampling;
    request.sampling.max_new_tokens = plan_.max_tokens(prompt);
    request.want_logprobs = plan_.ask.num_top_logprobs >= 0;
    request.num_top_logprobs = std::max(0, plan_.ask.num_top_logprobs);
    // Prompts without a seed differ even where their text is the same.
    request.key = generate::row_key(model_.worker->fingerprint(), request,
                                    plan_.ask.seed ? seed : seed + prompt,
                                    choice % static_cast<size_t>(plan_.ask.n));
    rows.push_back({self, choice, std::move(request), client});
  }
  for (size_t p = 0; p < plan_.prompts.size() && plan_.scores_prompts(); ++p) {
    rows.push_back({self, choices_.size() + p, score_request(p), client});
  }
  return rows;
}

void Call::open() {
  if (plan_.ask.stream) exchange_->start_events();
}

void Call::finish_empty() {
  for (size_t choice = 0; choice < choices_.size(); ++choice) {
    finish_if_ready(choice);
  }
}

std::string Call::echoed(size_t choice) const {
  return plan_.echo ? plan_.prompts[prompt_of(choice)].text : "";
}

void Call::on_text(size_t row, std::string_view text) {
  if (!streams_text()) return;
  State& state = choices_[row];
  state.said += text;
  if (!plan_.is_chat) {
    send_text(row, echoed(row) + state.said);
    return;
  }
  // White space at the end may be the end, which is trimmed.
  const std::string so_far = parse::trim(state.said);
  if (!so_far.empty()) send_text(row, so_far);
}

// Sends what of the choice's text so far was not sent yet.
void Call::send_text(size_t choice, const std::string& text) {
  State& state = choices_[choice];
  if (text.size() <= state.num_sent) return;
  Choice part;
  part.text = text.substr(state.num_sent);
  state.num_sent = text.size();
  send_choice(choice, part);
}

void Call::send_choice(size_t choice, const Choice& part) {
  Choice numbered = part;
  numbered.index = static_cast<int>(choice);
  const bool first = !std::exchange(choices_[choice].opened, true);
  exchange_->send_event(dump_json(
      plan_.is_chat ? chat_event(head_, numbered, first, tokenizer())
                    : completion_event(head_, numbered, tokenizer())));
}

void Call::on_completion(size_t row, Completion completion) {
  if (is_cancelled()) return;
  if (!generate::has_answer(completion.finish)) {
    on_failure(row, str("the model ended the row with '",
                        generate::finish_name(completion.finish), "'"));
    return;
  }
  usage_.num_completion_tokens += completion.num_tokens;
  choices_[row].completion = std::move(completion);
  finish_if_ready(row);
}

void Call::on_scores(size_t row, generate::Scores scores) {
  if (is_cancelled()) return;
  const size_t prompt = row - choices_.size();
  scores_[prompt] = std::move(scores);
  for (size_t i = 0; i < static_cast<size_t>(plan_.ask.n); ++i) {
    finish_if_ready(prompt * static_cast<size_t>(plan_.ask.n) + i);
  }
}

void Call::on_failure(size_t, const std::string& text) {
  if (is_cancelled() || std::exchange(failed_, true)) return;
  cancel();
  const ApiError error(500, text, "model_failed");
  if (plan_.ask.stream) {
    exchange_->send_event(dump_json(error_json(error)));
    exchange_->end_events();
  } else {
    reply_error(*exchange_, error);
  }
}

void Call::finish_if_ready(size_t choice) {
  State& state = choices_[choice];
  const size_t prompt = prompt_of(choice);
  if (state.finished ||
      (plan_.generates(prompt) && !state.completion.has_value()) ||
      (plan_.scores_prompts() && !scores_[prompt].has_value())) {
    return;
  }
  state.finished = true;
  Choice made = make_choice(choice);
  if (plan_.ask.stream) {
    made.text.erase(0, state.num_sent);
    send_choice(choice, made);
  } else {
    made_.push_back(std::move(made));
  }
  if (--num_open_ == 0) finish();
}

Choice Call::make_choice(size_t choice) {
  const size_t prompt = prompt_of(choice);
  const PlannedPrompt& planned = plan_.prompts[prompt];
  const std::optional<Completion>& completion = choices_[choice].completion;
  Choice made;
  made.index = static_cast<int>(choice);
  made.text = echoed(choice);
  made.finish_reason = "length";
  made.has_logprobs = plan_.ask.num_top_logprobs >= 0;
  if (plan_.scores_prompts()) {
    const auto& scored = scores_[prompt]->continuations;
    made.entries = prompt_entries(
        planned.tokens, planned.has_bos ? 0 : 1,
        scored.empty() ? generate::ContinuationScore() : scored.front());
    if (plan_.scores_next) add_next_token(choice, made);
  }
  if (completion) {
    made.text +=
        plan_.is_chat ? parse::trim(completion->text) : completion->text;
    made.finish_reason = generate::finish_name(completion->finish);
    if (made.has_logprobs) {
      const auto entries = completion_entries(*completion, tokenizer());
      made.entries.insert(made.entries.end(), entries.begin(), entries.end());
    }
  }
  for (TokenEntry& entry : made.entries) {
    const auto most = static_cast<size_t>(plan_.ask.num_top_logprobs);
    if (entry.top.size() > most) entry.top.resize(most);
  }
  return made;
}

// The most probable token after the prompt, listed even where it ends the text.
void Call::add_next_token(size_t choice, Choice& made) {
  const generate::ContinuationScore& score =
      scores_[prompt_of(choice)]->continuations.at(0);
  TokenEntry entry;
  entry.top = score.top_logprobs.at(score.tokens.size() - 1);
  entry.id = entry.top.at(0).token;
  entry.logprob = entry.top.at(0).logprob;
  const std::vector<int>& ends = tokenizer().end_tokens();
  if (std::find(ends.begin(), ends.end(), entry.id) != ends.end()) {
    made.finish_reason = "stop";
  } else {
    made.text += tokenizer().decode_token(entry.id);
    ++usage_.num_completion_tokens;
  }
  made.entries.push_back(std::move(entry));
}

void Call::finish() {
  for (const PlannedPrompt& prompt : plan_.prompts) {
    usage_.num_prompt_tokens += prompt.num_tokens;
  }
  metrics_.tokens(model_.id, usage_.num_prompt_tokens,
                  usage_.num_completion_tokens);
  if (plan_.ask.stream) {
    if (plan_.ask.include_usage) {
      exchange_->send_event(
          dump_json(usage_event(head_, plan_.is_chat, usage_)));
    }
    exchange_->send_event("[DONE]");
    exchange_->end_events();
    return;
  }
  std::sort(made_.begin(), made_.end(),
            [](const Choice& a, const Choice& b) { return a.index < b.index; });
  size_t num_logprobs = 0;
  for (const Choice& choice : made_) {
    for (const TokenEntry& entry : choice.entries) {
      num_logprobs += 1 + entry.top.size();
    }
  }
  if (num_logprobs < kManyLogprobs) {
    exchange_->reply(whole_reply());
  } else {
    exchange_->reply_with(
        [call = shared_from_this()] { return call->whole_reply(); });
  }
}

HttpReply Call::whole_reply() const {
  return {200, "application/json",
          plan_.is_chat ? chat_text(head_, made_, usage_, tokenizer())
                        : completion_text(head_, made_, usage_, tokenizer())};
}

}  // namespace

void reply_error(Exchange& exchange, const ApiError& error) {
  exchange.reply({error.status(), "application/json",
                  dump_json(error_json(error)), error.allow()});
}

void start_call(Plan plan, const Model& model,
                const std::shared_ptr<Exchange>& exchange, Metrics& metrics) {
  const auto call =
      std::make_shared<Call>(std::move(plan), model, exchange, metrics);
  exchange->when_gone([weak = std::weak_ptr<Call>(call)] {
    if (const auto locked = weak.lock()) locked->cancel();
  });
  std::vector<QueuedRow> rows = call->rows();
  if (rows.empty()) {
    call->open();
    call->finish_empty();
    return;
  }
  if (!model.worker->add(std::move(rows), [&call] { call->open(); })) {
    throw ApiError(503, "the server's queue is full; try again later",
                   "overloaded");
  }
}

}  // namespace selfalign::serve
