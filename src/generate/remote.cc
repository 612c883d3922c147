// SPDX-License-Identifier: Apache-2.0
#include "generate/remote.h"

#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/remote_body.h"
#include "generate/remote_losses.h"
#include "generate/remote_reply.h"
#include "generate/remote_scorer.h"
#include "generate/remote_server.h"
#include "generate/remote_stream.h"

namespace selfalign::generate {
namespace {

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
      : http_(options.http),
        server_(parse_remote_address(options.model,
                                     remote_api_from_name(options.api)),
                options.adapter, options.http),
        work_(many_at_a_time(options.http)),
        scorer_(server_, options.http),
        body_(server_.model(), server_.api(), server_.members()) {}

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
          [&](HttpRequest& http, const HttpReply& reply) {
            return answered(http, reply, in_flight, push);
          });
      if (!interrupted()) unanswered_.throw_suspicion();
    } while (!held.empty() && !interrupted());
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    return scorer_.score(requests);
  }

  std::string fingerprint() const override {
    return kRemote + server_.answers_as() + (chats_only() ? ", chat" : "");
  }

  void check(const Request& request) const override {
    Generator::check(request);
    if (!chats_only() || request.prompt_tokens.empty()) return;
    throw Error(ErrorKind::kUsage,
                str(server_.url(),
                    ": expected a text or messages, which is all that a chat "
                    "takes, found token ids; give the text"));
  }

  bool chats_only() const override { return server_.chats_only(); }
  bool scores_together() const override { return true; }

  int count_part(const Completion& whole,
                 const std::string& part) const override {
    return share_of_count(whole, part);
  }

  int count_tokens(const std::string& text) const override {
    return server_.count_tokens(text);
  }
  std::vector<int> token_ids(const std::string& text) const override {
    return server_.tokenize(text).value_or(std::vector<int>());
  }

 private:
  HttpRequest http_request(Request&& request, uint64_t key,
                           std::map<uint64_t, InFlight>& in_flight) {
    HttpRequest http{server_.url(), body_.write(request), key};
    http.max_response_bytes = max_answer_bytes(
        static_cast<size_t>(request.sampling.max_new_tokens), http_);
    http.watcher =
        &in_flight.try_emplace(key, std::move(request), work_.secret())
             .first->second.streamed;
    return http;
  }

  // Rows are given up for good once the server answers another one: one that
  // answers nobody is to be asked again as soon as it is seen to.
  void hold(Completion completion, std::vector<Completion>& held) {
    unanswered_.lost(server_.url(), completion.finish, completion.problem);
    held.push_back(std::move(completion));
  }

  static void release(std::vector<Completion>& held, const OnCompletion& done) {
    for (Completion& completion : std::exchange(held, {})) {
      done(std::move(completion));
    }
  }

  std::optional<HttpClient::Again> answered(
      HttpRequest& http, const HttpReply& reply,
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
      server_.note_refusal(reply, unanswered_);
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
          body_.learn(http.body, reply.body)) {
        http.body = body_.write(asked.request);
        return HttpClient::Again{"a request refused", true};
      }
      server_.check_spent(reply);
      if (reply.status == 401) throw server_.wrong_key(reply);
      server_.note_refusal(reply, unanswered_);
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

  const HttpOptions http_;
  const RemoteServer server_;
  HttpClient work_;
  RemoteScorer scorer_;  // may be at work inside work_'s callbacks
  RemoteBody body_;
  RemoteLosses unanswered_;
};

}  // namespace

std::unique_ptr<Generator> make_remote_generator(const RemoteOptions& options) {
  return std::make_unique<RemoteGenerator>(options);
}

}  // namespace selfalign::generate
