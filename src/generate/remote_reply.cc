// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_reply.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/counted.h"
#include "base/error.h"
#include "base/json_parse.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr char kWhere[] = "a wrong answer";
constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr size_t kMaxMessage = 300;
constexpr int64_t kMaxTokenId = 1 << 30;

[[noreturn]] void throw_wrong(const std::string& text) {
  throw Error(ErrorKind::kInput, str(kWhere, ": ", text));
}

// Another try may bring an answer.
[[noreturn]] void throw_passing(const std::string& text) {
  throw Error(ErrorKind::kFailed, str(kWhere, ": ", text));
}

// One token of an answer; `logprob` and `best` are NaN where not told.
struct Token {
  std::string text;
  int id = -1;
  double logprob = std::numeric_limits<double>::quiet_NaN();
  double best = std::numeric_limits<double>::quiet_NaN();
  int64_t offset = -1;            // in characters of the echoed text
  std::vector<TokenLogprob> top;  // where ids are told
};

double logprob_value(const Json& value) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!value.is_number()) throw_wrong("a log-probability that is no number");
  const double number = value.get<double>();
  // Rounding lifts a certain token a little over 0.
  constexpr double kLeast = -1e30;  // that a float holds
  if (!std::isfinite(number) || number > 1e-3 || number < kLeast) {
    throw_wrong(str("the log-probability ", number));
  }
  return std::min(number, 0.0);
}

double max_of(double a, double b) { return std::isnan(a) ? b : std::max(a, b); }

// {"tokens": [], "token_logprobs": [], "top_logprobs": [{text: logprob}],
//  "text_offset": []}
std::vector<Token> read_lists(const Json& lists) {
  const Json& texts = lists.at("tokens");
  const Json logprobs = lists.value("token_logprobs", Json());
  if (!texts.is_array() || !logprobs.is_array() ||
      texts.size() != logprobs.size() || texts.size() > kMaxTokens) {
    throw_wrong("lists of tokens and log-probabilities that do not fit");
  }
  const Json top = lists.value("top_logprobs", Json());
  const Json offsets = lists.value("text_offset", Json());
  std::vector<Token> tokens(texts.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!texts[i].is_string()) throw_wrong("a token that is no text");
    tokens[i].text = texts[i].get<std::string>();
    tokens[i].logprob = logprob_value(logprobs[i]);
    if (top.is_array() && i < top.size() && top[i].is_object()) {
      for (const auto& [text, value] : top[i].items()) {
        tokens[i].best = max_of(tokens[i].best, logprob_value(value));
      }
    }
    if (offsets.is_array() && i < offsets.size() &&
        offsets[i].is_number_integer()) {
      tokens[i].offset = offsets[i].get<int64_t>();
    }
  }
  return tokens;
}

int id_of(const Json& item) {
  const int64_t id = json_int_or(item, "id", kWhere, -1);
  if (id < -1 || id > kMaxTokenId) throw_wrong(str("the token id ", id));
  return static_cast<int>(id);
}

// {"content": [{"id", "token", "logprob", "top_logprobs": [{"id",
// "logprob"}]}]}
std::vector<Token> read_content(const Json& content) {
  if (!content.is_array() || content.size() > kMaxTokens) {
    throw_wrong("'logprobs' without a list of tokens");
  }
  std::vector<Token> tokens;
  for (const Json& item : content) {
    Token token;
    token.text = json_string(item, "token", kWhere);
    token.id = id_of(item);
    token.logprob = logprob_value(item.value("logprob", Json()));
    const Json top = item.value("top_logprobs", Json());
    for (size_t i = 0; top.is_array() && i < top.size(); ++i) {
      if (!top[i].is_object()) throw_wrong("a choice that is no object");
      const double logprob = logprob_value(top[i].value("logprob", Json()));
      token.best = max_of(token.best, logprob);
      const int id = id_of(top[i]);
      if (id >= 0 && !std::isnan(logprob)) {
        token.top.push_back({id, static_cast<float>(logprob)});
      }
    }
    std::stable_sort(token.top.begin(), token.top.end(),
                     [](auto& a, auto& b) { return a.logprob > b.logprob; });
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// None where the answer has no log-probabilities.
std::vector<Token> read_tokens(const Json& choice) {
  const Json logprobs = choice.value("logprobs", Json());
  if (logprobs.is_null()) return {};
  if (!logprobs.is_object()) throw_wrong("'logprobs' that is no object");
  if (logprobs.contains("content")) return read_content(logprobs["content"]);
  if (logprobs.contains("tokens")) return read_lists(logprobs);
  return {};
}

Json first_choice(const Json& reply) {
  if (!reply.is_object()) throw_wrong("no JSON object");
  const Json error = reply.value("error", Json());
  if (!error.is_null()) throw_passing(error_text(dump_json(reply)));
  const Json choices = reply.value("choices", Json());
  if (!choices.is_array()) throw_wrong("no list 'choices'");
  if (choices.empty()) throw_passing("no choice in 'choices'");
  if (!choices[0].is_object()) throw_wrong("a choice that is no object");
  return choices[0];
}

std::string part_text(const Json& part) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) throw_wrong("a part of 'content' that is no object");
  // Others are what was thought before, which may be a text, too, or an image.
  constexpr std::array<const char*, 3> kAnswers = {"text", "output_text",
                                                   "refusal"};
  const Json type = part.value("type", Json());
  if (!type.is_null() &&
      std::find(kAnswers.begin(), kAnswers.end(), type) == kAnswers.end()) {
    return "";
  }
  for (const char* name : {"text", "refusal"}) {
    const Json text = part.value(name, Json());
    if (text.is_string()) return text.get<std::string>();
  }
  return "";
}

std::string content_text(const Json& content) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    throw_wrong("'content' that is neither a text nor a list of parts");
  }
  std::string text;
  for (const Json& part : content) text += part_text(part);
  return text;
}

std::string choice_text(const Json& choice) {
  if (choice.contains("message")) return message_text(choice["message"]);
  if (!choice.contains("text")) {
    throw_wrong("a choice with neither 'text' nor 'message'");
  }
  if (choice["text"].is_null()) return "";
  return json_string(choice, "text", kWhere);
}

Finish finish_of(const Json& choice) {
  constexpr std::array<const char*, 7> kEnds = {
      "stop",     "eos",        "eos_token",    "stop_sequence",
      "end_turn", "tool_calls", "function_call"};
  constexpr std::array<const char*, 4> kGivenUp = {"abort", "error",
                                                   "cancelled", "canceled"};
  const Json value = choice.value("finish_reason", Json());
  if (value.is_null()) return Finish::kLength;
  if (!value.is_string()) throw_wrong("a 'finish_reason' that is no text");
  const auto reason = value.get<std::string>();
  const auto is_one_of = [&](const auto& names) {
    return std::find(names.begin(), names.end(), reason) != names.end();
  };
  if (is_one_of(kGivenUp)) {
    throw_passing(str("the finish_reason \"", reason, "\""));
  }
  // What a server's filter cut is cut, too.
  return is_one_of(kEnds) ? Finish::kStop : Finish::kLength;
}

// None where the server does not say, or says what cannot be.
std::optional<int> count_of(const Json& reply, const char* name, size_t most) {
  const Json usage = reply.value("usage", Json());
  if (!usage.is_object()) return std::nullopt;
  const Json count = usage.value(name, Json());
  if (!count.is_number()) return std::nullopt;
  const double number = count.get<double>();
  if (!(number >= 0) || number > double(most)) return std::nullopt;
  return static_cast<int>(number);
}

int estimate_prompt(const Request& request) {
  if (!request.prompt_tokens.empty()) {
    return static_cast<int>(request.prompt_tokens.size());
  }
  return estimate_tokens((request.prefix ? *request.prefix : "") +
                         request.suffix);
}

// The `count` best of a place, where ids are told.
void add_top(const Token& token, int count,
             std::vector<std::vector<TokenLogprob>>& top_logprobs) {
  if (count == 0 || token.top.empty()) return;
  top_logprobs.push_back(token.top);
  top_logprobs.back().resize(
      std::min(token.top.size(), static_cast<size_t>(count)));
}

// Keeps the tokens that `text`, cut perhaps, still holds.
void add_tokens(const std::vector<Token>& tokens, int num_top,
                Completion& completion) {
  size_t length = 0;
  for (const Token& token : tokens) {
    if (length >= completion.text.size()) return;
    length += token.text.size();
    if (std::isnan(token.logprob)) throw_wrong("a token without a logprob");
    completion.logprob += token.logprob;
    completion.token_logprobs.push_back(static_cast<float>(token.logprob));
    if (token.id >= 0) completion.tokens.push_back(token.id);
    add_top(token, num_top, completion.top_logprobs);
  }
  // Parts of characters may say less than the text; a list that breaks off, or
  // is of another text, says much less.
  if (!tokens.empty() && 2 * length < completion.text.size()) {
    throw_wrong("log-probabilities of tokens that do not make the text");
  }
}

bool has_any(const std::string& body, std::initializer_list<const char*> all) {
  return std::any_of(all.begin(), all.end(), [&](const char* words) {
    return body.find(words) != std::string::npos;
  });
}

// First token of the last `num_bytes` bytes of tokens[0, end), where these end
// with `prompt`; else tokens.size().
size_t first_by_text(const std::vector<Token>& tokens, size_t end,
                     const std::string& prompt, size_t num_bytes) {
  std::string spelled;
  for (size_t i = 0; i < end; ++i) spelled += tokens[i].text;
  if (!spelled.ends_with(prompt)) return tokens.size();
  size_t first = end;
  for (size_t taken = 0; taken < num_bytes && first > 0;) {
    taken += tokens[--first].text.size();
  }
  return first;
}

// The same by the server's offsets, where tokens are parts of characters. A
// beginning-of-text token shifts them by its name.
size_t first_by_offset(const std::vector<Token>& tokens, size_t end,
                       const std::string& context) {
  const std::string& begin = tokens[0].text;
  const int64_t shift = context.starts_with(begin) ? 0 : num_code_points(begin);
  const int64_t border = num_code_points(context) + shift;
  size_t first = end;
  while (first > 0 && tokens[first - 1].offset >= border) --first;
  // One that begins in the context is the continuation's, too.
  if (first > 0 && first < end && tokens[first].offset > border) --first;
  return first;
}

// Whether the last token was generated behind the prompt, of which others may
// be parts of characters.
bool is_generated(const Token& last, const std::string& text,
                  const std::string& prompt) {
  const bool is_part = last.text.starts_with("bytes:") ||
                       last.text.find("\xef\xbf\xbd") != std::string::npos;
  return text.size() > prompt.size() ||
         (!is_part && !prompt.ends_with(last.text));
}

// What an answer says of its error: an object, a text or nothing.
Json error_of(const std::string& body) {
  JsonProblem problem;
  const Json reply =
      try_parse_json(body.substr(0, 1 << 16), problem).value_or(Json());
  if (!reply.is_object()) return {};
  return reply.contains("error") ? reply["error"] : reply;
}

// The member if it is a text.
const std::string* text_member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return nullptr;
  return &found->get_ref<const std::string&>();
}

// tokens[first, end)
ContinuationScore score_of_tokens(const std::vector<Token>& tokens,
                                  size_t first, size_t end) {
  ContinuationScore score;
  for (size_t i = first; i < end; ++i) {
    const Token& token = tokens[i];
    if (std::isnan(token.logprob)) {
      throw_wrong("no log-probability of the first token of the text");
    }
    score.logprobs.push_back(static_cast<float>(token.logprob));
    score.is_greedy.push_back(!(token.logprob < token.best - 1e-6));
    if (token.id >= 0) score.tokens.push_back(token.id);
    add_top(token, static_cast<int>(token.top.size()), score.top_logprobs);
  }
  if (score.top_logprobs.size() != score.logprobs.size()) {
    score.top_logprobs.clear();
  }
  return score;
}

}  // namespace

Json parse_reply(std::string_view body) {
  JsonProblem problem;
  std::optional<Json> reply = try_parse_json(text::fix_utf8(body), problem);
  if (reply) return *std::move(reply);
  throw_passing(str("no readable JSON (line ", problem.line, ", column ",
                    problem.column, ": ", problem.found, ")"));
}

int estimate_tokens(const std::string& text) {
  return static_cast<int>((text.size() + 2) / 3);
}

std::string message_text(const Json& message) {
  if (message.is_null()) return "";
  if (!message.is_object()) throw_wrong("a 'message' that is no object");
  const std::string text = content_text(message.value("content", Json()));
  return text.empty() ? content_text(message.value("refusal", Json())) : text;
}

Completion completion_of(const std::string& body, const Request& request) {
  const Json reply = parse_reply(body);
  const Json choice = first_choice(reply);
  Completion completion;
  completion.key = request.key;
  completion.text = choice_text(choice);
  completion.finish = finish_of(choice);
  // A chat's frame, and what ends a text, may be counted.
  constexpr size_t kFrame = size_t{1} << 16;
  constexpr size_t kEnds = 16;
  const size_t prompt = request.prompt_tokens.size() + request.suffix.size() +
                        (request.prefix ? request.prefix->size() : 0);
  const auto made =
      count_of(reply, "completion_tokens",
               static_cast<size_t>(request.sampling.max_new_tokens) + kEnds);
  const auto read = count_of(reply, "prompt_tokens", prompt + kFrame);
  completion.num_tokens = made.value_or(estimate_tokens(completion.text));
  completion.num_prompt_tokens = read.value_or(estimate_prompt(request));
  completion.is_estimated = !made || !read;
  size_t end = completion.text.size();
  for (const std::string& stop : request.sampling.stop) {
    end = std::min(end, completion.text.find(stop));
  }
  if (end < completion.text.size()) {
    completion.text.resize(end);
    completion.finish = Finish::kStop;
  }
  if (request.want_logprobs) {
    add_tokens(read_tokens(choice), request.num_top_logprobs, completion);
  }
  return completion;
}

ContinuationScore score_of(const std::string& body, const std::string& context,
                           const std::string& continuation) {
  const Json reply = parse_reply(body);
  const Json choice = first_choice(reply);
  const std::vector<Token> tokens = read_tokens(choice);
  const std::string prompt = context + continuation;
  const std::string text = json_string_or(choice, "text", kWhere, "");
  if (tokens.empty() || !text.starts_with(prompt)) {
    throw_wrong("an answer without the prompt and its log-probabilities");
  }
  // A token that was generated, if any, stands last.
  size_t end = tokens.size() - 1;
  size_t first = first_by_text(tokens, end, prompt, continuation.size());
  if (first == tokens.size()) {
    end = tokens.size();
    first = first_by_text(tokens, end, prompt, continuation.size());
  }
  if (first == tokens.size() && !continuation.empty()) {
    if (is_generated(tokens.back(), text, prompt)) --end;
    first = first_by_offset(tokens, end, context);
  }
  ContinuationScore score = score_of_tokens(tokens, first, end);
  if (score.logprobs.empty() != continuation.empty()) {
    throw_wrong("tokens that do not spell the prompt");
  }
  return score;
}

ContinuationScore score_of(const std::string& body, size_t num_context,
                           const std::vector<int>& continuation) {
  const std::vector<Token> tokens =
      read_tokens(first_choice(parse_reply(body)));
  const size_t end = num_context + continuation.size();
  // A token that was generated, if any, stands last.
  if (tokens.size() != end && tokens.size() != end + 1) {
    throw_wrong(str("log-probabilities of ", tokens.size(),
                    " tokens for a prompt of ", end));
  }
  ContinuationScore score = score_of_tokens(tokens, num_context, end);
  if (!score.tokens.empty() && score.tokens != continuation) {
    throw_wrong("other tokens than those of the prompt");
  }
  score.tokens = continuation;
  return score;
}

std::vector<ListedModel> models_of(const std::string& body) {
  const Json reply = parse_reply(body);
  if (!reply.is_object() || !reply.contains("data") ||
      !reply["data"].is_array()) {
    throw_wrong("no list of models");
  }
  std::vector<ListedModel> models;
  for (const Json& model : reply["data"]) {
    if (models.size() == 1000) break;
    models.push_back(
        {json_string(model, "id", kWhere),
         text_member(model, "parent") != nullptr,
         json_string_or(model, "owned_by", kWhere, "") == "llamacpp"});
  }
  return models;
}

std::string error_text(const std::string& body) {
  std::string text = body;
  const Json error = error_of(body);
  if (error.is_string()) text = error.get<std::string>();
  for (const char* name : {"message", "detail"}) {
    if (const std::string* found = text_member(error, name)) {
      text = *found;
      break;
    }
  }
  if (text.size() > kMaxMessage) text = text.substr(0, kMaxMessage) + " ...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

bool is_too_long(long status, const std::string& body) {
  if (status != 400 && status != 413 && status != 422) return false;
  return has_any(body, {"context length", "context size", "context window",
                        "exceed_context", "context_length_exceeded",
                        "prompt is too long"});
}

bool is_filtered(long status, const std::string& body) {
  if (status != 400 && status != 403 && status != 422) return false;
  return has_any(body, {"content_filter", "content_policy_violation",
                        "ResponsibleAIPolicyViolation"});
}

bool is_spent(long status, const std::string& body) {
  if (status < 400) return false;
  const Json error = error_of(body);
  for (const char* name : {"code", "type"}) {
    const std::string* found = text_member(error, name);
    if (found == nullptr) continue;
    for (const char* spent :
         {"insufficient_quota", "billing_hard_limit_reached",
          "billing_not_active"}) {
      if (*found == spent) return true;
    }
  }
  return false;
}

bool is_over_limit(long status, const std::string& body) {
  if (status != 429) return false;
  const std::string text = error_text(body);
  return text.starts_with("Request too large") &&
         text.find("per min") != std::string::npos &&
         text.find("Requested") != std::string::npos;
}

bool lacks_api(long status, const std::string& body) {
  if (status == 404 || status == 405 || status == 501) return true;
  if (status != 400 && status != 403 && status != 422) return false;
  return has_any(body, {"chat/completions", "chat model", "chat completion",
                        "completions endpoint", "completion operation"});
}

}  // namespace selfalign::generate
