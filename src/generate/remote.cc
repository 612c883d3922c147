#include "generate/remote.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "generate/remote_reply.h"
#include "generate/remote_stream.h"

namespace selfalign::generate {
namespace {

constexpr size_t kMaxStops = 4;  // that the API takes
// Members beyond the API that vLLM or llama.cpp know.
constexpr std::array<const char*, 4> kExtensions = {
    "repetition_penalty", "repeat_penalty", "ignore_eos", "stream_options"};

struct Address {
  std::string base;   // "http://host:port/v1"
  std::string model;  // "" if not named
};

Address parse_address(const std::string& path) {
  Address address;
  const size_t mark = path.find('#');
  address.base = path.substr(0, mark);
  if (mark != std::string::npos) address.model = path.substr(mark + 1);
  const size_t host = address.base.find("//") + 2;
  while (address.base.size() > host && address.base.ends_with('/')) {
    address.base.pop_back();
  }
  const std::string authority =
      address.base.substr(host, address.base.find('/', host) - host);
  const bool has_control =
      std::any_of(address.base.begin(), address.base.end(),
                  [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
  if (authority.empty() || authority.find('@') != std::string::npos ||
      address.base.find('?') != std::string::npos || has_control) {
    throw Error(ErrorKind::kUsage,
                "model: expected http://host:port/v1#name, without user, "
                "password, query and spaces, found another address; a key "
                "goes into the environment variable SELFALIGN_API_KEY");
  }
  return address;
}

int estimate_tokens(const std::string& text) {
  return static_cast<int>((text.size() + 2) / 3);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 10; ++i) {
    text += (i > 0 ? ", " : "") + names[i].substr(0, 100);
  }
  return names.size() > 10 ? text + ", ..." : text;
}

HttpOptions one_at_a_time(HttpOptions options) {
  options.num_in_flight = 1;
  options.max_tries = std::min(options.max_tries, 3);
  return options;
}

// Whether a member beyond the API may still be sent.
class Extensions {
 public:
  // Puts `value` into the body unless the server refused it.
  void put(Json& body, const char* name, const Json& value) const {
    if (std::find(refused_.begin(), refused_.end(), name) == refused_.end()) {
      body[name] = value;
    }
  }
  // True if the server's refusal of `body` names one of those in it.
  bool learn(const std::string& body, const std::string& answer) {
    bool any = false;
    for (const char* name : kExtensions) {
      if (answer.find(name) == std::string::npos ||
          body.find(str('"', name, '"')) == std::string::npos) {
        continue;
      }
      any = true;
      if (std::find(refused_.begin(), refused_.end(), name) != refused_.end()) {
        continue;  // known from another answer
      }
      refused_.emplace_back(name);
      log_warning(str("the server does not know '", name,
                      "'; rows are made without it"));
    }
    return any;
  }

 private:
  std::vector<std::string> refused_;
};

// A request the server works on.
struct InFlight {
  explicit InFlight(Request asked) : request(std::move(asked)) {}
  Request request;
  StreamedText streamed{request};
};

class RemoteGenerator final : public Generator {
 public:
  explicit RemoteGenerator(const RemoteOptions& options)
      : address_(parse_address(options.model)),
        work_(options.http),
        scoring_(options.http),
        questions_(one_at_a_time(options.http)) {
    choose_model();
  }

  void generate(const NextRequest& next, const OnCompletion& done) override {
    std::map<uint64_t, InFlight> in_flight;
    uint64_t num_asked = 0;
    work_.run(
        [&]() -> std::optional<HttpRequest> {
          std::optional<Request> request = next();
          if (!request) return std::nullopt;
          check(*request);
          HttpRequest http{address_.base + "/completions", body_of(*request),
                           num_asked++};
          StreamedText& streamed =
              in_flight.try_emplace(http.key, std::move(*request))
                  .first->second.streamed;
          http.wanted = [&streamed] { return streamed.wanted(); };
          http.on_body = [&streamed](const std::string& body, int num_try) {
            streamed.take(body, num_try);
          };
          return http;
        },
        [&](HttpRequest& http, HttpReply reply) -> std::optional<std::string> {
          InFlight& asked = in_flight.at(http.key);
          Completion completion;
          completion.key = asked.request.key;
          if (reply.status == 0 || asked.streamed.is_cancelled()) {
            completion.text = asked.streamed.shown();
            completion.finish = Finish::kCancelled;
          } else if (is_too_long(reply.status, reply.body)) {
            completion.finish = Finish::kNoRoom;
          } else if (reply.status >= 400) {
            if (!extensions_.learn(http.body, reply.body)) refuse(reply);
            http.body = body_of(asked.request);
            return "members beyond the API refused";
          } else {
            try {
              completion = completion_of(whole_answer(reply.body),
                                         asked.request, estimate_tokens);
              asked.streamed.finish(completion.text);
            } catch (const Error& error) {
              return error.what();
            }
          }
          in_flight.erase(http.key);
          done(std::move(completion));
          return std::nullopt;
        });
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
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
          return HttpRequest{address_.base + "/completions",
                             echo_body(requests[i], j), num_asked++};
        },
        [&](HttpRequest& http, HttpReply reply) -> std::optional<std::string> {
          const auto [i, j] = places[http.key];
          if (reply.status >= 400) {
            check_key(reply);
            if (echo_tokens_ == 1 && http.body.ends_with(kEchoOne)) {
              cannot_score(error_text(reply.body));
            }
            echo_tokens_ = 1;  // some servers generate at least one
            http.body = echo_body(requests[i], j);
            return "max_tokens 0 refused";
          }
          try {
            all[i].continuations[j] = read_score(reply.body, requests[i], j);
          } catch (const Error& error) {
            cannot_score(error.what());
          }
          return std::nullopt;
        });
    return all;
  }

  std::string fingerprint() const override {
    return "remote " + address_.model;
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
    check_key(*reply);
    std::vector<std::string> names;
    if (reply->status < 400) {
      try {
        names = models_of(reply->body);
      } catch (const Error& error) {
        throw Error(ErrorKind::kFailed,
                    str(address_.base,
                        "/models: expected a list of models, "
                        "found ",
                        error.what(), "; check the address"));
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

  std::string body_of(const Request& request) {
    const Sampling& sampling = request.sampling;
    Json body{{"model", address_.model},
              {"prompt", prompt_of(request)},
              {"max_tokens", sampling.max_new_tokens},
              {"temperature", sampling.temperature},
              {"top_p", sampling.top_p},
              // 31 bits: every server takes them, none reads them as "random".
              {"seed", request.key & 0x7fffffff}};
    if (!sampling.stop.empty()) {
      const auto num = std::min(sampling.stop.size(), kMaxStops);
      body["stop"] = std::vector<std::string>(
          sampling.stop.begin(),
          sampling.stop.begin() + static_cast<long>(num));
    }
    if (request.want_logprobs) {
      body["logprobs"] = std::max(1, request.num_top_logprobs);
    }
    if (!sampling.ngram_penalty.empty()) {
      if (sampling.ngram_penalty[0] != 0) {
        body["frequency_penalty"] = sampling.ngram_penalty[0];
      }
      for (size_t n = 1; n < sampling.ngram_penalty.size(); ++n) {
        if (sampling.ngram_penalty[n] != 0) warn_of_ngrams();
      }
    }
    for (const auto& [token, bias] : sampling.logit_bias) {
      body["logit_bias"][std::to_string(token)] =
          std::clamp(bias, -100.0, 100.0);  // -100 is the API's ban
    }
    if (sampling.repetition_penalty != 1) {
      extensions_.put(body, "repetition_penalty", sampling.repetition_penalty);
      extensions_.put(body, "repeat_penalty", sampling.repetition_penalty);
    }
    if (request.on_text && !request.want_logprobs) {
      body["stream"] = true;
      extensions_.put(body, "stream_options", Json{{"include_usage", true}});
    }
    if (sampling.ban_eos) extensions_.put(body, "ignore_eos", true);
    return dump_json(body);
  }

  static Json prompt_of(const Request& request) {
    if (!request.prompt_tokens.empty()) return request.prompt_tokens;
    return (request.prefix ? *request.prefix : "") + request.suffix;
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

  void warn_of_ngrams() {
    if (std::exchange(warned_, true)) return;
    log_warning(
        "the API has no penalty for n-grams of two tokens and more; rows are "
        "made without it");
  }

  void check_key(const HttpReply& reply) const {
    if (reply.status != 401 && reply.status != 403) return;
    throw Error(ErrorKind::kUsage,
                str(address_.base,
                    ": expected a key that the server accepts, "
                    "found status ",
                    reply.status, ": ", error_text(reply.body),
                    "; set the environment variable SELFALIGN_API_KEY"));
  }

  [[noreturn]] void refuse(const HttpReply& reply) const {
    check_key(reply);
    throw Error(ErrorKind::kFailed,
                str(address_.base,
                    "/completions: expected a completion, found "
                    "status ",
                    reply.status, ": ", error_text(reply.body),
                    "; correct the request or the server's settings"));
  }

  [[noreturn]] void cannot_score(const std::string& found) const {
    throw Error(ErrorKind::kFailed,
                str(address_.base,
                    "/completions: expected log-probabilities "
                    "of the prompt (echo with logprobs), found ",
                    found,
                    "; score with a server that gives them (vLLM) or with a "
                    "model on this machine"));
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
      if (!reply || reply->status >= 400) return std::nullopt;
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

  Address address_;
  HttpClient work_;
  HttpClient scoring_;            // may be at work inside work_'s callbacks
  mutable HttpClient questions_;  // models and counts, one at a time
  Extensions extensions_;
  bool warned_ = false;
  int echo_tokens_ = 0;  // asked for with an echo; 1 where 0 is refused
  mutable bool can_tokenize_ = true;
};

}  // namespace

bool is_remote_model(const std::string& path) {
  return path.starts_with("http://") || path.starts_with("https://");
}

std::unique_ptr<Generator> make_remote_generator(const RemoteOptions& options) {
  return std::make_unique<RemoteGenerator>(options);
}

}  // namespace selfalign::generate
