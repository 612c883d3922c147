// SPDX-License-Identifier: Apache-2.0
#include "recipe/decoding.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace selfalign::recipe {
namespace {

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

bool is_number(const Json& value, double number) {
  return value.is_number() && value.get<double>() == number;
}

// A member of a sampling; none where it is missing or another one's default.
const Json& member(const Json& sampling, const char* name) {
  static const Json kNone;
  const auto found = sampling.find(name);
  return found == sampling.end() ? kNone : *found;
}

std::string penalty_text(const Json& sampling) {
  std::string text;
  const Json& repetition = member(sampling, "repetition_penalty");
  if (!repetition.is_null() && !is_number(repetition, 1.0)) {
    text += ", repetition penalty " + value_text(repetition);
  }
  const Json& ngrams = member(sampling, "ngram_penalty");
  if (!ngrams.empty()) text += ", n-gram penalties " + value_text(ngrams);
  return text.empty() ? ", no penalty" : text;
}

// Reads settings from an object's members (base/settings.h).
struct MemberReader {
  const Json& json;
  const std::string& where;

  void operator()(const Setting& of, double& value, const auto& /*limits*/) {
    value = json_number_or(json, of.key, where, value);
  }
  void operator()(const Setting& of, int& value, const auto& /*limits*/) {
    value = static_cast<int>(
        std::min<int64_t>(json_int_or(json, of.key, where, value),
                          std::numeric_limits<int>::max()));
  }
  void operator()(const Setting& of, bool& value, const auto& /*limits*/) {
    value = json_bool_or(json, of.key, where, value);
  }
  void operator()(const Setting& of, std::vector<double>& values,
                  const auto& /*limits*/) {
    for (const Json& number : json.value(of.key, Json::array())) {
      if (!number.is_number()) {
        throw Error(ErrorKind::kInput,
                    str(where, ": expected ", of.key, " to be numbers, found ",
                        dump_json(number), "; correct it"));
      }
      values.push_back(number.get<double>());
    }
  }
};

}  // namespace

generate::Sampling comparison_sampling() {
  generate::Sampling sampling;
  sampling.temperature = 0.7;
  sampling.top_p = 0.95;
  sampling.max_new_tokens = 512;
  return sampling;
}

generate::Sampling greedy(generate::Sampling sampling) {
  sampling.temperature = 0.0;
  sampling.repetition_penalty = 1.0;
  sampling.ngram_penalty.clear();
  return sampling;
}

bool GivenSampling::any() const {
  return temperature || top_p || max_new_tokens || repetition_penalty;
}

void GivenSampling::put(generate::Sampling& sampling) const {
  if (temperature) sampling.temperature = *temperature;
  if (temperature && *temperature == 0.0) sampling = greedy(sampling);
  if (top_p) sampling.top_p = *top_p;
  if (max_new_tokens) sampling.max_new_tokens = *max_new_tokens;
  if (repetition_penalty) sampling.repetition_penalty = *repetition_penalty;
}

Json to_json(const generate::Sampling& sampling) {
  Json json;
  const auto put = [&json](const Setting& of, const auto& value,
                           const auto& /*limits*/) { json[of.key] = value; };
  generate::Sampling::describe(put, sampling);
  return json;
}

generate::Sampling sampling_from_json(const Json& json,
                                      const std::string& where) {
  generate::Sampling sampling;
  MemberReader reader{json, where};
  generate::Sampling::describe(reader, sampling);
  try {
    generate::check_request({.sampling = sampling},
                            std::numeric_limits<int>::max());
  } catch (const Error& error) {
    throw Error(ErrorKind::kInput, where + ": " + error.what());
  }
  return sampling;
}

std::string sampling_text(const Json& sampling) {
  const Json& temperature = member(sampling, "temperature");
  const Json& top_p = member(sampling, "top_p");
  std::string text;
  if (is_number(temperature, 0.0)) {
    text = "greedy";
  } else {
    text = "temperature " + value_text(temperature);
    if (!top_p.is_null()) text += ", top-p " + value_text(top_p);
  }
  text += str(", at most ", value_text(member(sampling, "max_new_tokens")),
              " tokens", penalty_text(sampling));
  if (member(sampling, "ban_eos") == true) text += ", no end-of-text";
  return text;
}

}  // namespace selfalign::recipe
