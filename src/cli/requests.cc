// SPDX-License-Identifier: Apache-2.0
#include "cli/requests.h"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json_parse.h"
#include "base/number.h"
#include "base/ranges.h"
#include "base/shown.h"
#include "generate/row_key.h"
#include "recipe/chat.h"
#include "recipe/decoding.h"

namespace selfalign::cli {
namespace {

constexpr size_t kMaxNgram = 4;

[[noreturn]] void throw_member(const std::string& where, const char* name,
                               const std::string& expected, const Json& found) {
  std::string text = dump_json(found);
  if (text.size() > 60) text = str("a long ", found.type_name());
  throw Error(ErrorKind::kInput,
              str(where, ": expected '", name, "' to be ", expected, ", found ",
                  text, "; correct this member"));
}

void check_members(const Json& object, const std::string& where,
                   std::initializer_list<std::string_view> known) {
  if (!object.is_object()) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected a JSON object, found ",
                    object.type_name(), "; write one object per line"));
  }
  for (const auto& [name, value] : object.items()) {
    bool found = false;
    std::string all;
    for (const std::string_view one : known) {
      found = found || one == name;
      all += str(all.empty() ? "" : ", ", one);
    }
    if (!found) {
      throw Error(ErrorKind::kInput,
                  str(where, ": expected members among ", all, ", found '",
                      shown(name), "'; correct or remove it"));
    }
  }
}

std::vector<std::string> texts_of(const Json& object, const char* name,
                                  const std::string& where) {
  const Json& value = object.at(name);
  if (value.is_string()) return {value.get<std::string>()};
  std::vector<std::string> texts;
  if (value.is_array()) {
    for (const Json& one : value) {
      if (one.is_string()) texts.push_back(one.get<std::string>());
    }
  }
  if (!value.is_array() || texts.size() != value.size()) {
    throw_member(where, name, "a list of strings", value);
  }
  return texts;
}

double number_in(const Json& object, const char* name, const std::string& where,
                 double fallback, const Range<double>& range) {
  const double value = json_number_or(object, name, where, fallback);
  if (!range.holds(value)) {
    throw_member(where, name, str("in [", range.low, ", ", range.high, "]"),
                 object.at(name));
  }
  return value;
}

std::vector<std::string> stops_of(const Json& object,
                                  const std::string& where) {
  if (!object.contains("stop") || object.at("stop").is_null()) return {};
  std::vector<std::string> stops = texts_of(object, "stop", where);
  for (const std::string& stop : stops) {
    if (stop.empty()) {
      throw_member(where, "stop", "strings that are not empty",
                   object.at("stop"));
    }
  }
  return stops;
}

std::vector<double> ngram_penalty_of(const Json& object,
                                     const std::string& where) {
  const Range<double>& range = ranges::kNgramPenalty;
  std::vector<double> penalty;
  if (!object.contains("ngram_penalty")) return penalty;
  const Json& value = object.at("ngram_penalty");
  if (value.is_array()) {
    for (const Json& one : value) {
      if (one.is_number() && range.holds(one.get<double>())) {
        penalty.push_back(one.get<double>());
      }
    }
  }
  if (!value.is_array() || penalty.size() != value.size() ||
      penalty.size() > kMaxNgram) {
    throw_member(where, "ngram_penalty",
                 str("up to four numbers in [", range.low, ", ", range.high,
                     "], for n = 1..4"),
                 value);
  }
  return penalty;
}

std::map<int, double> logit_bias_of(const Json& object,
                                    const std::string& where, int vocab_size) {
  std::map<int, double> bias;
  if (!object.contains("logit_bias")) return bias;
  const Json& value = object.at("logit_bias");
  const std::string below =
      vocab_size > 0 ? " below " + std::to_string(vocab_size) : "";
  const std::string expected =
      str("an object from token ids", below, " to numbers or \"-inf\"");
  if (!value.is_object()) throw_member(where, "logit_bias", expected, value);
  for (const auto& [name, amount] : value.items()) {
    const int id = parse_number<int>(name, 0).value_or(-1);
    if (id < 0 || (vocab_size > 0 && id >= vocab_size)) {
      throw_member(where, "logit_bias", expected, Json(name));
    }
    if (amount.is_number()) {
      bias[id] = amount.get<double>();
    } else if (amount == "-inf") {
      bias[id] = -std::numeric_limits<double>::infinity();
    } else {
      throw_member(where, "logit_bias", expected, amount);
    }
  }
  return bias;
}

recipe::GivenSampling given_sampling(const Json& object,
                                     const std::string& where) {
  recipe::GivenSampling given;
  const auto number = [&](const char* name, std::optional<double>& out,
                          const Range<double>& range) {
    if (object.contains(name)) out = number_in(object, name, where, 1, range);
  };
  number("temperature", given.temperature, ranges::kTemperature);
  number("top_p", given.top_p, ranges::kTopP);
  number("repetition_penalty", given.repetition_penalty,
         ranges::kRepetitionPenalty);
  // The API's name and that of recipes.
  for (const char* name : {"max_tokens", "max_new_tokens"}) {
    if (!object.contains(name)) continue;
    if (given.max_new_tokens) {
      throw_member(where, name, "left out beside max_tokens", object.at(name));
    }
    const int64_t wanted = json_int_or(object, name, where, 1);
    const Range<int>& range = ranges::kMaxNewTokens;
    if (wanted < range.low || wanted > range.high) {
      throw_member(where, name, str("in [", range.low, ", ", range.high, "]"),
                   object.at(name));
    }
    given.max_new_tokens = static_cast<int>(wanted);
  }
  return given;
}

generate::Sampling sampling_of(const Json& object, const std::string& where,
                               int vocab_size,
                               const generate::Sampling& defaults) {
  generate::Sampling sampling = defaults;
  given_sampling(object, where).put(sampling);
  sampling.stop = stops_of(object, where);
  if (object.contains("ngram_penalty")) {
    sampling.ngram_penalty = ngram_penalty_of(object, where);
  }
  sampling.logit_bias = logit_bias_of(object, where, vocab_size);
  sampling.ban_eos = json_bool_or(object, "ban_eos", where, defaults.ban_eos);
  return sampling;
}

// Null where a number is not finite: JSON has no word for it.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

template <typename Value>
Json finite_list(const std::vector<Value>& values) {
  Json list = Json::array();
  for (const Value value : values) list.push_back(finite(value));
  return list;
}

}  // namespace

uint64_t key_of(const Json& key, const std::string& where) {
  if (key.is_number_integer()) return key.get<uint64_t>();
  if (!key.is_string()) {
    throw_member(where, "key", "a whole number or a string", key);
  }
  const auto& text = key.get_ref<const std::string&>();
  if (text.size() == 16 &&
      text.find_first_not_of("0123456789abcdef") == std::string::npos) {
    return key_from_hex(text);
  }
  return Hasher().add(text).key();
}

GenerateLine GenerateReader::parse(std::string_view line,
                                   const std::string& where) {
  const Json object = parse_json_line(line, where);
  check_members(object, where,
                {"prompt", "prefix", "key", "temperature", "top_p",
                 "max_tokens", "max_new_tokens", "stop", "repetition_penalty",
                 "ngram_penalty", "logit_bias", "ban_eos", "logprobs"});
  GenerateLine result;
  result.request.suffix = json_string(object, "prompt", where);
  const std::string prefix = json_string_or(object, "prefix", where, "");
  if (!prefix.empty()) {
    auto& shared = prefixes_[prefix];
    if (!shared) shared = std::make_shared<const std::string>(prefix);
    result.request.prefix = shared;
  }
  result.request.sampling = sampling_of(object, where, vocab_size_, defaults_);
  result.logprobs = json_bool_or(object, "logprobs", where, false);
  result.request.want_logprobs = result.logprobs || vocab_size_ > 0;
  if (object.contains("key") && !object.at("key").is_null()) {
    result.key = object.at("key");
    result.request.key = key_of(result.key, where);
  } else {
    const uint64_t content = Hasher().add(dump_json(object)).key();
    result.request.key =
        Hasher().add(content).add(times_seen_[content]++).key();
    result.key = key_to_hex(result.request.key);
  }
  if (!keys_.insert(result.request.key).second) {
    throw_member(where, "key", "another one in every line", result.key);
  }
  return result;
}

void put_under(const recipe::ChatPrompt& chat, const std::string& fingerprint,
               const std::string& where, generate::Request& request) {
  if (request.prefix) {
    throw Error(ErrorKind::kInput,
                where +
                    ": expected no 'prefix' where --form gives one, found "
                    "one; remove it, or leave out --form");
  }
  generate::Request asked = recipe::chat_request(chat, {}, 0, request.suffix);
  request.prefix = std::move(asked.prefix);
  request.suffix = std::move(asked.suffix);
  request.messages = std::move(asked.messages);
  request.sampling.stop.insert(request.sampling.stop.end(), chat.stop.begin(),
                               chat.stop.end());
  request.key = generate::row_key(fingerprint, request, request.key, 0);
}

Json completion_json(const generate::Completion& completion,
                     const GenerateLine& line) {
  Json out{{"key", line.key},
           {"text", completion.text},
           {"finish_reason", generate::finish_name(completion.finish)},
           {"num_tokens", completion.num_tokens},
           {"num_prompt_tokens", completion.num_prompt_tokens},
           {"logprob", finite(completion.logprob)},
           {"tokens", completion.tokens}};
  if (line.logprobs) {
    out["token_logprobs"] = finite_list(completion.token_logprobs);
  }
  if (!completion.problem.empty()) out["error"] = completion.problem;
  return out;
}

ScoreLine parse_score_line(std::string_view line, const std::string& where) {
  const Json object = parse_json_line(line, where);
  check_members(object, where, {"context", "continuations", "key"});
  ScoreLine result;
  result.request.context = json_string(object, "context", where);
  if (!object.contains("continuations")) {
    throw_member(where, "continuations", "a list of strings", Json());
  }
  result.request.continuations = texts_of(object, "continuations", where);
  if (object.contains("key")) result.key = object.at("key");
  return result;
}

Json scores_json(const generate::Scores& scores, const ScoreLine& line) {
  Json list = Json::array();
  for (size_t i = 0; i < scores.continuations.size(); ++i) {
    const generate::ContinuationScore& one = scores.continuations[i];
    if (!generate::has_answer(one.finish)) {
      list.push_back({{"text", line.request.continuations.at(i)},
                      {"finish_reason", generate::finish_name(one.finish)}});
      if (!one.problem.empty()) list.back()["error"] = one.problem;
      continue;
    }
    double sum = 0;
    for (const float logprob : one.logprobs) sum += logprob;
    bool all_greedy = true;
    Json greedy = Json::array();
    for (const bool is_greedy : one.is_greedy) {
      greedy.push_back(is_greedy);
      all_greedy = all_greedy && is_greedy;
    }
    list.push_back({{"text", line.request.continuations.at(i)},
                    {"tokens", one.tokens},
                    {"logprobs", finite_list(one.logprobs)},
                    {"sum", finite(sum)},
                    {"greedy", std::move(greedy)},
                    {"is_greedy", all_greedy}});
  }
  Json out = Json::object();
  if (!line.key.is_null()) out["key"] = line.key;
  out["continuations"] = std::move(list);
  return out;
}

}  // namespace selfalign::cli
