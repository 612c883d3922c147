// SPDX-License-Identifier: Apache-2.0
#include "eval/evaluation.h"

#include "base/error.h"
#include "eval/item_log.h"
#include "recipe/decoding.h"

namespace selfalign::eval {
namespace {

Metric metric_from_json(const Json& json, const std::string& where) {
  Metric metric;
  metric.name = json_string(json, "name", where);
  metric.title = json_string(json, "title", where);
  metric.value = json_number(json, "value", where);
  metric.low = json_number_or(json, "low", where, metric.value);
  metric.high = json_number_or(json, "high", where, metric.value);
  metric.interval = json_string_or(json, "interval", where, "");
  metric.num_items = json_int(json, "num_items", where);
  if (json.contains("chance")) {
    metric.chance = json_number(json, "chance", where);
  }
  metric.higher_is_better = json_bool_or(json, "higher_is_better", where, true);
  metric.is_share = json_bool_or(json, "is_share", where, true);
  metric.note = json_string_or(json, "note", where, "");
  return metric;
}

SelfTest self_test_from_json(const Json& json, const std::string& where) {
  return {json_string(json, "name", where),
          json_string(json, "expected", where),
          json_string(json, "found", where), json_bool(json, "passed", where)};
}

const Json& list(const Json& json, const std::string& name,
                 const std::string& where) {
  if (!json.is_object() || !json.contains(name) || !json[name].is_array()) {
    throw Error(ErrorKind::kInput,
                str(where, ": there is no list '", name, "'; evaluate again"));
  }
  return json[name];
}

}  // namespace

std::string decoding_of(const Json& settings) {
  if (!settings.is_object()) return "";
  const auto how = settings.find("decoding");
  if (how == settings.end()) {
    return settings.contains("max_new_tokens") ? kOwnDecoding : "";
  }
  if (*how == "one") return dump_json(settings.value("sampling", Json()));
  return *how == kOwnDecoding ? kOwnDecoding : "";
}

std::string decoding_text(const Json& settings) {
  if (decoding_of(settings).empty()) return "";
  const auto sampling = settings.find("sampling");
  if (sampling == settings.end() || !sampling->is_object()) {
    return "not recorded";
  }
  return recipe::sampling_text(*sampling);
}

Json decoding_part(const Json& settings) {
  const std::string decoding = decoding_of(settings);
  if (decoding.empty()) return {{"decoding", "given"}};
  Json part{{"decoding", decoding == kOwnDecoding ? kOwnDecoding : "one"}};
  const auto sampling = settings.find("sampling");
  if (sampling != settings.end()) part["sampling"] = *sampling;
  return part;
}

std::vector<std::string> decoding_lines(
    const std::vector<TaskResult>& results) {
  std::vector<std::string> lines;
  for (const TaskResult& result : results) {
    const std::string text = decoding_text(result.settings);
    if (text.empty()) continue;
    if (decoding_of(result.settings) != kOwnDecoding) {
      return {"Decoding of all: " + text};
    }
    if (lines.empty()) {
      lines.emplace_back(
          "Each under the decoding of its stage, which is a part of what "
          "differs:");
    }
    lines.push_back(result.subject + ": " + text);
  }
  return lines;
}

std::string Form::context(const std::string& user) const {
  const generate::Request request = ask({}, user);
  return (request.prefix ? *request.prefix : "") + request.suffix;
}

std::string answer_start(const std::string& context) {
  const bool open =
      context.empty() || context.ends_with('\n') || context.ends_with(' ');
  return open ? "" : " ";
}

Json to_json(const Metric& metric) {
  Json json{{"name", metric.name},
            {"title", metric.title},
            {"value", metric.value},
            {"num_items", metric.num_items}};
  if (!metric.interval.empty()) {
    json["low"] = metric.low;
    json["high"] = metric.high;
    json["interval"] = metric.interval;
  }
  if (metric.chance) json["chance"] = *metric.chance;
  json["higher_is_better"] = metric.higher_is_better;
  json["is_share"] = metric.is_share;
  if (!metric.note.empty()) json["note"] = metric.note;
  return json;
}

Json to_json(const TaskResult& result) {
  Json metrics = Json::array();
  for (const Metric& metric : result.metrics)
    metrics.push_back(to_json(metric));
  Json self_tests = Json::array();
  for (const SelfTest& test : result.self_tests) {
    self_tests.push_back({{"name", test.name},
                          {"expected", test.expected},
                          {"found", test.found},
                          {"passed", test.passed}});
  }
  Json json{{"task", result.task},
            {"version", result.version},
            {"subject", result.subject},
            {"fingerprint", result.fingerprint},
            {"data", result.data},
            {"metrics", metrics},
            {"self_tests", self_tests},
            {"items", result.items},
            {"num_failures", result.num_failures},
            {"settings", result.settings}};
  if (!result.keys.empty()) json["keys"] = keys_to_json(result.keys);
  return json;
}

TaskResult task_result_from_json(const Json& json, const std::string& where) {
  TaskResult result;
  result.task = json_string(json, "task", where);
  result.version = json_string(json, "version", where);
  result.subject = json_string(json, "subject", where);
  result.fingerprint = json_string(json, "fingerprint", where);
  result.data = json_string(json, "data", where);
  for (const Json& metric : list(json, "metrics", where)) {
    result.metrics.push_back(metric_from_json(metric, where));
  }
  for (const Json& test : list(json, "self_tests", where)) {
    result.self_tests.push_back(self_test_from_json(test, where));
  }
  result.items = json_string(json, "items", where);
  result.num_failures = json_int(json, "num_failures", where);
  if (json.contains("keys")) {
    result.keys = keys_from_json(list(json, "keys", where), where);
  }
  if (json.contains("settings")) result.settings = json["settings"];
  return result;
}

}  // namespace selfalign::eval
