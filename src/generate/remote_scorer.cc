// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_scorer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {
namespace {

constexpr const char* kEchoOne = ",\"max_tokens\":1}";

ContinuationScore read_score(const std::string& body,
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

}  // namespace

RemoteScorer::RemoteScorer(const RemoteServer& server,
                           const HttpOptions& options)
    : server_(server), options_(options), client_(many_at_a_time(options)) {}

std::vector<Scores> RemoteScorer::score(
    const std::vector<ScoreRequest>& requests) {
  if (server_.chats_only()) throw cannot_score("an API of chats alone");
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
  size_t num_scored = 0;
  client_.run(
      [&]() -> std::optional<HttpRequest> {
        if (num_asked == places.size()) return std::nullopt;
        const auto [i, j] = places[num_asked];
        HttpRequest http{server_.base() + "/completions",
                         body_of(requests[i], j), num_asked++};
        http.max_response_bytes = max_answer_bytes(http.body.size(), options_);
        return http;
      },
      [&](HttpRequest& http, const HttpReply& reply) {
        const auto [i, j] = places[http.key];
        auto again =
            scored(http, reply, requests[i], j, all[i].continuations[j]);
        if (!again) ++num_scored;
        return again;
      });
  if (num_scored < places.size()) {
    stop_if_interrupted("the same command goes on");
    throw Error(ErrorKind::kFailed,
                server_.base() + ": it is asked no more before all was scored");
  }
  unscored_.throw_suspicion();
  return all;
}

// Asks for the request's context and its continuation j.
std::string RemoteScorer::body_of(const ScoreRequest& request, size_t j) const {
  Json prompt;
  if (request.has_tokens()) {
    std::vector<int> tokens = request.context_tokens;
    tokens.insert(tokens.end(), request.continuation_tokens[j].begin(),
                  request.continuation_tokens[j].end());
    prompt = tokens;
  } else {
    prompt = request.context + request.continuations[j];
  }
  Json body = server_.members();
  body["model"] = server_.model();
  body["prompt"] = std::move(prompt);
  body["temperature"] = 0;
  body["echo"] = true;
  body["logprobs"] = std::max(1, request.num_top_logprobs);
  body["max_tokens"] = echo_tokens_;
  return dump_json(body);
}

// Some servers generate at least one token: whether this one does, its first
// refusals show.
bool RemoteScorer::may_want_a_token(const HttpRequest& http,
                                    const HttpReply& reply) const {
  return (reply.status == 400 || reply.status == 422) &&
         !http.body.ends_with(kEchoOne) &&
         (echo_tokens_ == 1 || !unscored_.has_answered());
}

// The answer of a request that asked for continuation j, or what came in its
// place, as with completions.
std::optional<HttpClient::Again> RemoteScorer::scored(
    HttpRequest& http, const HttpReply& reply, const ScoreRequest& request,
    size_t j, ContinuationScore& out) {
  const auto give_up = [&](Finish finish, const std::string& problem) {
    out = {.finish = finish, .problem = shortened(problem)};
    unscored_.lost(http.url, finish, out.problem);
  };
  if (reply.loss != HttpLoss::kNone) {
    server_.note_refusal(reply, unscored_);
    if (reply.loss == HttpLoss::kBadAnswer) {
      unscored_.suspect(cannot_score(reply.problem));
    }
    give_up(finish_of(reply.loss), reply.problem);
  } else if (is_too_long(reply.status, reply.body)) {
    out.finish = Finish::kNoRoom;
  } else if (may_want_a_token(http, reply)) {
    echo_tokens_ = 1;
    http.body = body_of(request, j);
    return HttpClient::Again{"max_tokens 0 refused", true};
  } else if (reply.status >= 400) {
    server_.check_spent(reply);
    if (reply.status == 401) throw server_.wrong_key(reply);
    if (!is_filtered(reply.status, reply.body)) {
      server_.note_refusal(reply, unscored_);
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

Error RemoteScorer::cannot_score(const std::string& found) const {
  return {ErrorKind::kFailed,
          str(server_.url(),
              ": expected log-probabilities of the prompt (echo with "
              "logprobs), found ",
              shortened(found),
              "; score with a server that gives them (vLLM) or with a "
              "model on this machine")};
}

}  // namespace selfalign::generate
