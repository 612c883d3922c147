// SPDX-License-Identifier: Apache-2.0
#include "eval/evaluation.h"

#include "recipe/decoding.h"

namespace selfalign::eval {

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

}  // namespace selfalign::eval
