// SPDX-License-Identifier: Apache-2.0
#include "generate/remote.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/remote_body.h"
#include "generate/remote_key.h"
#include "generate/remote_losses.h"
#include "generate/remote_reply.h"
#include "generate/remote_stream.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 10; ++i) {
    text += (i > 0 ? ", " : "") + names[i].substr(0, 100);
  }
  return names.size() > 10 ? text + ", ..." : text;
}

HttpOptions many_at_a_time(HttpOptions options) {
  options.stays = [](const HttpReply& reply) {
    return is_spent(reply.status, reply.body) ||
           is_over_limit(reply.status, reply.body);
  };
  return options;
}

// More than an answer of so many tokens takes, with twenty log-probabilities
// of each, or each as an event of its own.
size_t max_bytes(size_t num_tokens, const HttpOptions& options) {
  return std::min(options.max_response_bytes,
                  (size_t{1} << 20) + (num_tokens << 13));
}

// What needs little work of the server.
HttpOptions one_at_a_time(const HttpOptions& given) {
  HttpOptions options = many_at_a_time(given);
  options.num_in_flight = 1;
  options.timeout_s = std::min(options.timeout_s, 60.0);
  options.max_total_s = std::min(options.max_total_s, 180.0);
  return options;
}

// Of models, with what servers say of each, or of a text's tokens.
constexpr size_t kMaxListBytes = size_t{8} << 20;

HttpOptions for_questions(const HttpOptions& given) {
  HttpOptions options = one_at_a_time(given);
  options.max_tries = std::min(options.max_tries, 3);
  options.max_response_bytes =
      std::min(options.max_response_bytes, kMaxListBytes);
  return options;
}

Finish finish_of(HttpLoss loss) {
  switch (loss) {
    case HttpLoss::kTooLarge:
      return Finish::kTooLarge;
    case HttpLoss::kTimedOut:
      return Finish::kTimedOut;
    case HttpLoss::kBrokenOff:
      return Finish::kBrokenOff;
    case HttpLoss::kServerError:
      return Finish::kServerError;
    case HttpLoss::kRefused:
      return Finish::kRefused;
    case HttpLoss::kBadAnswer:
    case HttpLoss::kNone:
      break;
  }
  return Finish::kBadAnswer;
}

// What a server sent may stand in the words about it.
std::string shortened(std::string text) {
  constexpr size_t kMost = 500;
  if (text.size() <= kMost) return text;
  text.resize(kMost);
  text.resize(text::complete_utf8_prefix_length(text));
  return text + " ...";
}

// A request the server works on.
struct InFlight {
  InFlight(Request asked, const Secret& secret)
      : request(std::move(asked)), streamed(request, secret) {}
  Request request;
  StreamedText streamed;
};

class RemoteGenerator final : public Generator {
 public:
  explicit RemoteGenerator(const RemoteOptions& options)
      : address_(parse_remote_address(options.model,
                                      remote_api_from_name(options.api))),
        http_(options.http),
        work_(many_at_a_time(options.http)),
        scoring_(many_at_a_time(options.http)),
        questions_(for_questions(options.http)) {
    choose_model();
    choose_api();
    body_.emplace(address_.model, address_.api);
  }

  void generate(const NextRequest& next, const OnCompletion& done) override {
    std::map<uint64_t, InFlight> in_flight;
    std::vector<Completion> held;
    uint64_t num_asked = 0;
    const OnCompletion push = [&](Completion completion) {
      if (is_given_up(completion.finish)) {
        hold(std::move(completion), held);
        return;
      }
      if (completion.finish == Finish::kCancelled) {  // says nothing
        done(std::move(completion));
        return;
      }
      unanswered_.answered();
      release(held, done);
      done(std::move(completion));
    };
    do {
      release(held, done);  // no answer came after them
      work_.run(
          [&]() -> std::optional<HttpRequest> {
            std::optional<Request> request = next();
            if (!request) return std::nullopt;
            check(*request);
            return http_request(*std::move(request), num_asked++, in_flight);
          },
          [&](HttpRequest& http, HttpReply reply) {
            return answered(http, std::move(reply), in_flight, push);
          });
      if (!interrupted()) unanswered_.throw_suspicion();
    } while (!held.empty() && !interrupted());
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    if (chats_only()) throw cannot_score("an API of chats alone");
    std::vector<Scores> all;
    std::vector<std::pair<size_t, size_t>> places;  // request, continuation
    for (size_t i = 0; i < requests.size(); ++i) {
      check_request(requests[i], std::numeric_limits<int>::max());
      if (requests[i].has_tokens() && requests[i].context_tokens.empty()) {
        throw Error(ErrorKind::kInput,
                    "score: expected a context of at least one token, found "
                    "an empty one; put the first token into it");
      }
      const size_t count = requests[i].has_tokens()
                               ? requests[i].continuation_tokens.size()
                               : requests[i].continuations.size();
      all.push_back({requests[i].key, std::vector<ContinuationScore>(count)});
      for (size_t j = 0; j < count; ++j) places.emplace_back(i, j);
    }
    size_t num_asked = 0;
    scoring_.run(
        [&]() -> std::optional<HttpRequest> {
          if (num_asked == places.size()) return std::nullopt;
          const auto [i, j] = places[num_asked];
          HttpRequest http{address_.base + "/completions",
                           echo_body(requests[i], j), num_asked++};
          http.max_response_bytes = max_bytes(http.body.size(), http_);
          return http;
        },
        [&](HttpRequest& http, const HttpReply& reply) {
          const auto [i, j] = places[http.key];
          return scored(http, reply, requests[i], j, all[i].continuations[j]);
        });
    if (!interrupted()) unscored_.throw_suspicion();
    return all;
  }

  std::string fingerprint() const override {
    return "remote " + address_.model + (chats_only() ? ", chat" : "");
  }

  void check(const Request& request) const override {
    Generator::check(request);
    if (!chats_only() || request.prompt_tokens.empty()) return;
    throw Error(ErrorKind::kUsage,
                str(url(),
                    ": expected a text or messages, which is all that a chat "
                    "takes, found token ids; give the text"));
  }

  bool chats_only() const override { return address_.api == RemoteApi::kChat; }

  int count_part(const Completion& whole,
                 const std::string& part) const override {
    if (whole.text.empty()) return 0;
    const double share = double(part.size()) / double(whole.text.size());
    return static_cast<int>(std::ceil(share * whole.num_tokens - 1e-9));
  }

  int count_tokens(const std::string& text) const override {
    if (text.empty()) return 0;
    if (can_tokenize_) {
      if (const std::optional<int> count = ask_count(text)) return *count;
      can_tokenize_ = false;
    }
    return estimate_tokens(text);
  }

 private:
  static constexpr const char* kEchoOne = ",\"max_tokens\":1}";

  void choose_model() {
    const auto reply = questions_.fetch({address_.base + "/models", "", 0});
    if (!reply) return;  // interrupted: nothing will be asked
    throw_if_lost(address_.base + "/models", *reply);
    check_account(*reply);
    std::vector<std::string> names;
    if (reply->status < 400) {
      try {
        names = models_of(reply->body);
      } catch (const Error& error) {
        throw Error(ErrorKind::kFailed,
                    str(address_.base,
                        "/models: expected a list of models, "
                        "found ",
                        shortened(error.what()), "; check the address"));
      }
    }
    if (address_.model.empty() && names.size() == 1) address_.model = names[0];
    const bool known =
        std::find(names.begin(), names.end(), address_.model) != names.end();
    if (address_.model.empty() || (!known && !names.empty())) {
      throw Error(
          ErrorKind::kUsage,
          str(address_.base,
              ": expected #NAME of a model the server has, "
              "found ",
              address_.model.empty() ? "none" : address_.model, "; ",
              names.empty() ? "the server does not list its models (does the "
                              "address end in /v1?)"
                            : "it has: " + listed(names)));
    }
  }

  // Asks for one token, first of a text. A server that gives no answer at all
  // shows in the rows.
  void choose_api() {
    if (address_.api != RemoteApi::kAuto) return;
    HttpOptions for_one_token = one_at_a_time(http_);
    for_one_token.max_response_bytes = max_bytes(1, http_);
    HttpClient probe(for_one_token);
    const auto ask = [&](const char* end, const char* name,
                         const Json& prompt) {
      const Json body{
          {"model", address_.model}, {name, prompt}, {"max_tokens", 1}};
      const auto reply = probe.fetch({address_.base + end, dump_json(body), 0});
      if (reply) check_account(*reply);
      return !reply || !lacks_api(reply->status, reply->body);
    };
    address_.api = RemoteApi::kCompletions;
    const Json turn{{"role", "user"}, {"content", "Hi"}};
    if (!ask("/completions", "prompt", "Hi") &&
        ask("/chat/completions", "messages", Json::array({turn}))) {
      address_.api = RemoteApi::kChat;
    }
  }

  std::string url() const {
    return address_.base +
           (chats_only() ? "/chat/completions" : "/completions");
  }

  HttpRequest http_request(Request request, uint64_t key,
                           std::map<uint64_t, InFlight>& in_flight) {
    HttpRequest http{url(), body_->write(request), key};
    http.max_response_bytes =
        max_bytes(static_cast<size_t>(request.sampling.max_new_tokens), http_);
    StreamedText& streamed =
        in_flight.try_emplace(key, std::move(request), work_.secret())
            .first->second.streamed;
    http.wanted = [&streamed] { return streamed.wanted(); };
    http.on_body = [&streamed](const std::string& body, int num_try) {
      streamed.take(body, num_try);
    };
    return http;
  }

  // Rows are given up for good once the server answers another one: one that
  // answers nobody is to be asked again as soon as it is seen to.
  void hold(Completion completion, std::vector<Completion>& held) {
    unanswered_.lost(url(), completion.finish, completion.problem);
    held.push_back(std::move(completion));
  }

  static void release(std::vector<Completion>& held, const OnCompletion& done) {
    for (Completion& completion : std::exchange(held, {})) {
      done(std::move(completion));
    }
  }

  std::optional<HttpClient::Again> answered(
      HttpRequest& http, HttpReply reply,
      std::map<uint64_t, InFlight>& in_flight, const OnCompletion& done) {
    InFlight& asked = in_flight.at(http.key);
    Completion completion;
    completion.key = asked.request.key;
    const auto give_up = [&](Finish finish, std::string problem) {
      completion.text = asked.streamed.shown();
      completion.finish = finish;
      completion.problem = shortened(std::move(problem));
    };
    if (reply.loss != HttpLoss::kNone) {
      note_refusal(reply, unanswered_);
      give_up(finish_of(reply.loss), reply.problem);
    } else if (reply.status == 0 || asked.streamed.is_cancelled()) {
      completion.text = asked.streamed.shown();
      completion.finish = Finish::kCancelled;
    } else if (is_too_long(reply.status, reply.body)) {
      completion.finish = Finish::kNoRoom;
    } else if (is_filtered(reply.status, reply.body)) {
      completion.finish = Finish::kLength;
    } else if (reply.status >= 400) {
      if (reply.status != 429 && !is_spent(reply.status, reply.body) &&
          body_->learn(http.body, reply.body)) {
        http.body = body_->write(asked.request);
        return HttpClient::Again{"a request refused", true};
      }
      check_spent(reply);
      if (reply.status == 401) throw wrong_key(reply);
      note_refusal(reply, unanswered_);
      give_up(Finish::kRefused,
              str("status ", reply.status, ": ", error_text(reply.body)));
    } else {
      try {
        completion = completion_of(
            work_.secret().cut_from(whole_answer(reply.body)), asked.request);
        completion.text = work_.secret().cut_from(completion.text);
        asked.streamed.finish(completion.text);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kFailed) {
          return HttpClient::Again{shortened(error.what())};
        }
        completion = Completion{.key = asked.request.key};
        give_up(Finish::kBadAnswer, error.what());
      }
    }
    in_flight.erase(http.key);
    done(std::move(completion));
    return std::nullopt;
  }

  // Asks for the request's context and its continuation j.
  std::string echo_body(const ScoreRequest& request, size_t j) const {
    Json prompt;
    if (request.has_tokens()) {
      std::vector<int> tokens = request.context_tokens;
      tokens.insert(tokens.end(), request.continuation_tokens[j].begin(),
                    request.continuation_tokens[j].end());
      prompt = tokens;
    } else {
      prompt = request.context + request.continuations[j];
    }
    return dump_json(Json{{"model", address_.model},
                          {"prompt", prompt},
                          {"temperature", 0},
                          {"echo", true},
                          {"logprobs", std::max(1, request.num_top_logprobs)},
                          {"max_tokens", echo_tokens_}});
  }

  // Some servers generate at least one token: whether this one does, its first
  // refusals show.
  bool may_want_a_token(const HttpRequest& http, const HttpReply& reply) const {
    return (reply.status == 400 || reply.status == 422) &&
           !http.body.ends_with(kEchoOne) &&
           (echo_tokens_ == 1 || !unscored_.has_answered());
  }

  // The answer of a request that asked for continuation j, or what came in its
  // place, as with completions.
  std::optional<HttpClient::Again> scored(HttpRequest& http,
                                          const HttpReply& reply,
                                          const ScoreRequest& request, size_t j,
                                          ContinuationScore& out) {
    const auto give_up = [&](Finish finish, const std::string& problem) {
      out = {.finish = finish, .problem = shortened(problem)};
      unscored_.lost(http.url, finish, out.problem);
    };
    if (reply.loss != HttpLoss::kNone) {
      note_refusal(reply, unscored_);
      if (reply.loss == HttpLoss::kBadAnswer) {
        unscored_.suspect(cannot_score(reply.problem));
      }
      give_up(finish_of(reply.loss), reply.problem);
    } else if (is_too_long(reply.status, reply.body)) {
      out.finish = Finish::kNoRoom;
    } else if (may_want_a_token(http, reply)) {
      echo_tokens_ = 1;
      http.body = echo_body(request, j);
      return HttpClient::Again{"max_tokens 0 refused", true};
    } else if (reply.status >= 400) {
      check_spent(reply);
      if (reply.status == 401) throw wrong_key(reply);
      if (!is_filtered(reply.status, reply.body)) {
        note_refusal(reply, unscored_);
        if (reply.status == 400 || reply.status == 422) {
          unscored_.suspect(cannot_score(error_text(reply.body)));
        }
      }
      give_up(Finish::kRefused,
              str("status ", reply.status, ": ", error_text(reply.body)));
    } else {
      try {
        out = read_score(reply.body, request, j);
        unscored_.answered();
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kFailed) {
          return HttpClient::Again{shortened(error.what())};
        }
        unscored_.suspect(cannot_score(error.what()));
        give_up(Finish::kBadAnswer, error.what());
      }
    }
    return std::nullopt;
  }

  static ContinuationScore read_score(const std::string& body,
                                      const ScoreRequest& request, size_t j) {
    ContinuationScore score =
        request.has_tokens()
            ? score_of(body, request.context_tokens.size(),
                       request.continuation_tokens[j])
            : score_of(body, request.context, request.continuations[j]);
    for (auto& top : score.top_logprobs) {
      top.resize(
          std::min(top.size(), static_cast<size_t>(request.num_top_logprobs)));
    }
    if (request.num_top_logprobs == 0) score.top_logprobs.clear();
    return score;
  }

  void check_account(const HttpReply& reply) const {
    check_spent(reply);
    if (reply.status == 401 || reply.status == 403) throw wrong_key(reply);
  }

  void check_spent(const HttpReply& reply) const {
    if (is_spent(reply.status, reply.body)) {
      throw Error(ErrorKind::kFailed,
                  str(address_.base,
                      ": expected an account that may ask more, found status ",
                      reply.status, ": ", error_text(reply.body),
                      "; see to the account, then run the same command again"));
    }
  }

  Error wrong_key(const HttpReply& reply) const {
    return {ErrorKind::kUsage,
            str(address_.base,
                ": expected a key that the server accepts, found status ",
                reply.status, ": ", error_text(reply.body), "; ",
                key_advice(*origin_of(address_.base)))};
  }

  // What may be the address's fault, or the key's.
  void note_refusal(const HttpReply& reply, RemoteLosses& losses) const {
    if (reply.loss == HttpLoss::kRefused) {
      losses.suspect(
          {ErrorKind::kFailed,
           str(url(), ": expected an answer, found ", reply.problem)});
    } else if (reply.status == 403) {
      losses.suspect(wrong_key(reply));
    } else if (reply.status == 404 || reply.status == 405) {
      losses.suspect({ErrorKind::kFailed,
                      str(url(), ": expected a completion, found status ",
                          reply.status, ": ", error_text(reply.body),
                          "; correct the request or the server's settings")});
    }
  }

  static void throw_if_lost(const std::string& url, const HttpReply& reply) {
    if (reply.loss == HttpLoss::kNone) return;
    throw Error(ErrorKind::kFailed,
                str(url, ": expected an answer, found ", reply.problem,
                    "; see that the address is that of an OpenAI-compatible "
                    "server, and what it logs"));
  }

  Error cannot_score(const std::string& found) const {
    return {ErrorKind::kFailed,
            str(url(),
                ": expected log-probabilities of the prompt (echo with "
                "logprobs), found ",
                shortened(found),
                "; score with a server that gives them (vLLM) or with a "
                "model on this machine")};
  }

  // None where the server has no /tokenize, which lies beside /v1.
  std::optional<int> ask_count(const std::string& text) const {
    std::string root = address_.base;
    if (root.ends_with("/v1")) root.resize(root.size() - 3);
    // vLLM reads prompt and add_special_tokens, llama.cpp content.
    const Json body{{"model", address_.model},
                    {"prompt", text},
                    {"add_special_tokens", false},
                    {"content", text}};
    try {
      const auto reply =
          questions_.fetch({root + "/tokenize", dump_json(body), 0});
      if (!reply || reply->loss != HttpLoss::kNone || reply->status >= 400) {
        return std::nullopt;
      }
      const Json answer = parse_json(reply->body, "/tokenize");
      if (!answer.is_object() || !answer.contains("tokens") ||
          !answer["tokens"].is_array()) {
        return std::nullopt;
      }
      return static_cast<int>(answer["tokens"].size());
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  RemoteAddress address_;
  const HttpOptions http_;
  HttpClient work_;
  HttpClient scoring_;              // may be at work inside work_'s callbacks
  mutable HttpClient questions_;    // models and counts, one at a time
  std::optional<RemoteBody> body_;  // once the API is known
  int echo_tokens_ = 0;  // asked for with an echo; 1 where 0 is refused
  mutable bool can_tokenize_ = true;
  RemoteLosses unanswered_;
  RemoteLosses unscored_;
};

}  // namespace

std::unique_ptr<Generator> make_remote_generator(const RemoteOptions& options) {
  return std::make_unique<RemoteGenerator>(options);
}

}  // namespace selfalign::generate
