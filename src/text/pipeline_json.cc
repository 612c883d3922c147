// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline_json.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"
#include "base/shown.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

constexpr size_t kMaxSteps = 32;  // each goes through every text

std::string type_of(const Json& json, const std::string& where) {
  return json_string(json, "type", where);
}

// Calls visit for each step of `json`, that of a Sequence one by one.
template <typename Visit>
void for_each_step(const Json& json, const char* parts,
                   const std::string& where, size_t& count, Visit visit) {
  if (json.is_null()) return;
  if (type_of(json, where) == "Sequence") {
    for (const Json& part : array_of(json, parts, where)) {
      for_each_step(part, parts, where, count, visit);
    }
    return;
  }
  if (++count > kMaxSteps) {
    unknown_kind(where, str("at most ", kMaxSteps), parts, "more");
  }
  visit(json);
}

struct PatternText {
  std::string text;
  bool is_regex;
};
PatternText pattern_of(const Json& json, const std::string& where) {
  const Json pattern = json.value("pattern", Json::object());
  if (pattern.is_string()) return {json_string(json, "pattern", where), false};
  const bool is_regex = pattern.is_object() && pattern.contains("Regex");
  return {json_string(pattern, is_regex ? "Regex" : "String", where), is_regex};
}

std::string one_character(const Json& json, const char* name,
                          const std::string& where) {
  const std::string text = json_string(json, name, where);
  if (text.empty() || utf8_char(text, 0).code < 0 ||
      utf8_char(text, 0).length != text.size()) {
    unknown_kind(where, str("one character as '", name, "'"), "", shown(text));
  }
  return text;
}

size_t count_of(const Json& json, const char* name, const std::string& where) {
  const int64_t count = json_int(json, name, where);
  if (count < 0 || count > INT32_MAX) {
    unknown_kind(where, "a count as", name, str(count));
  }
  return static_cast<size_t>(count);
}

std::string from_base64(const std::string& text, const std::string& where) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<int, 256> values;
  values.fill(-1);
  for (size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<int>(i);
  }
  std::string_view digits = text;
  while (digits.ends_with('=')) digits.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : digits) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) {
      unknown_kind(where, "base64", "as precompiled_charsmap",
                   str("'", c, "'"));
    }
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xFFFFFF;
    num_bits += 6;
    if (num_bits < 8) continue;
    num_bits -= 8;
    bytes += static_cast<char>(bits >> num_bits & 0xFF);
  }
  return bytes;
}

NormalizerStep of_kind(NormalizerStep::Kind kind) {
  NormalizerStep step;
  step.kind = kind;
  return step;
}

void add_bert_normalizer(const Json& json, const std::string& where,
                         std::vector<NormalizerStep>& steps) {
  using Kind = NormalizerStep::Kind;
  const bool lower = json_bool_or(json, "lowercase", where, true);
  const bool states_accents =
      json.contains("strip_accents") && !json["strip_accents"].is_null();
  if (json_bool_or(json, "clean_text", where, true)) {
    steps.push_back(of_kind(Kind::kCleanText));
  }
  if (json_bool_or(json, "handle_chinese_chars", where, true)) {
    steps.push_back(of_kind(Kind::kChineseChars));
  }
  if (states_accents ? json_bool(json, "strip_accents", where) : lower) {
    steps.push_back(of_kind(Kind::kBertAccents));
  }
  if (lower) steps.emplace_back(TextForm::kLower);
}

void add_normalizer(const Json& json, const std::string& where,
                    std::vector<NormalizerStep>& steps) {
  using Kind = NormalizerStep::Kind;
  const std::string type = type_of(json, where);
  constexpr std::pair<const char*, TextForm> kForms[] = {
      {"NFC", TextForm::kNfc},
      {"NFD", TextForm::kNfd},
      {"NFKC", TextForm::kNfkc},
      {"NFKD", TextForm::kNfkd},
      {"Lowercase", TextForm::kLower}};
  for (const auto& [name, form] : kForms) {
    if (type == name) return steps.push_back(form);
  }
  if (type == "BertNormalizer") return add_bert_normalizer(json, where, steps);
  NormalizerStep step;
  if (type == "StripAccents") {
    step.kind = Kind::kStripAccents;
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.left = json_bool(json, "strip_left", where);
    step.right = json_bool(json, "strip_right", where);
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    const PatternText pattern = pattern_of(json, where);
    step.pattern = pattern.text;
    step.is_regex = pattern.is_regex;
    step.content = json_string(json, "content", where);
  } else if (type == "Prepend") {
    step.kind = Kind::kPrepend;
    step.content = json_string(json, "prepend", where);
  } else if (type == "Nmt") {
    step.kind = Kind::kNmt;
  } else if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "Precompiled") {
    step.kind = Kind::kCharsmap;
    step.charsmap = std::make_shared<const Charsmap>(
        from_base64(json_string(json, "precompiled_charsmap", where), where),
        where);
  } else {
    unknown_kind(where, "a normalizer out of",
                 "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, "
                 "Replace, Prepend, Nmt, Precompiled, ByteLevel, "
                 "BertNormalizer and Sequence",
                 type);
  }
  steps.push_back(std::move(step));
}

SplitBehavior split_behavior(const std::string& name,
                             const std::string& where) {
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  unknown_kind(where, "a split behavior", "", name);
}

// Old files say add_prefix_space, newer ones prepend_scheme.
PrependScheme prepend_scheme(const Json& json, const std::string& where) {
  const bool adds = json_bool_or(json, "add_prefix_space", where, true);
  const std::string scheme =
      json_string_or(json, "prepend_scheme", where, adds ? "always" : "never");
  if (scheme == "never") return PrependScheme::kNever;
  if (adds && scheme == "first") return PrependScheme::kFirst;
  if (adds && scheme == "always") return PrependScheme::kAlways;
  unknown_kind(where, "a prepend_scheme out of first, never and always",
               adds ? "" : "that agrees with add_prefix_space", scheme);
}

PreTokenizerStep metaspace_step(const Json& json, const std::string& where) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kMetaspace;
  step.text = one_character(json, "replacement", where);
  step.prepend = prepend_scheme(json, where);
  const bool states = json.contains("split") && !json["split"].is_null();
  step.cuts = !states || json_bool(json, "split", where);
  return step;
}

void add_byte_level(const Json& json, const std::string& where,
                    std::vector<PreTokenizerStep>& steps) {
  if (json_bool_or(json, "add_prefix_space", where, true)) {
    steps.emplace_back().kind = PreTokenizerStep::Kind::kPrefixSpace;
  }
  if (json_bool_or(json, "use_regex", where, true)) {
    steps.push_back(gpt2_step());
  }
  steps.emplace_back().kind = PreTokenizerStep::Kind::kByteLevel;
}

PreTokenizerStep split_of(const Json& json, const std::string& where) {
  const PatternText pattern = pattern_of(json, where);
  return split_step(
      pattern.is_regex ? pattern.text : quote_pattern(pattern.text),
      split_behavior(json_string(json, "behavior", where), where),
      json_bool_or(json, "invert", where, false));
}

void add_pre_tokenizer(const Json& json, const std::string& where,
                       std::vector<PreTokenizerStep>& steps) {
  const std::string type = type_of(json, where);
  constexpr auto kRemoved = SplitBehavior::kRemoved;
  if (type == "ByteLevel") {
    add_byte_level(json, where, steps);
  } else if (type == "Split") {
    steps.push_back(split_of(json, where));
  } else if (type == "Digits") {
    steps.push_back(
        digits_step(json_bool_or(json, "individual_digits", where, false)));
  } else if (type == "Metaspace") {
    steps.push_back(metaspace_step(json, where));
  } else if (type == "Punctuation") {
    steps.push_back(punctuation_step(split_behavior(
        json_string_or(json, "behavior", where, "Isolated"), where)));
  } else if (type == "Whitespace") {
    steps.push_back(whitespace_step());
  } else if (type == "WhitespaceSplit") {
    steps.push_back(split_step(R"(\s)", kRemoved));
  } else if (type == "CharDelimiterSplit") {
    steps.push_back(split_step(
        quote_pattern(one_character(json, "delimiter", where)), kRemoved));
  } else if (type == "BertPreTokenizer") {
    steps.push_back(split_step(R"(\s)", kRemoved));
    steps.push_back(punctuation_step(SplitBehavior::kIsolated));
  } else if (type == "FixedLength") {
    PreTokenizerStep& step = steps.emplace_back();
    step.kind = PreTokenizerStep::Kind::kFixedLength;
    step.length = std::max<size_t>(1, count_of(json, "length", where));
  } else {
    unknown_kind(where, "a pre-tokenizer out of",
                 "ByteLevel, Split, Digits, Metaspace, Punctuation, "
                 "Whitespace, WhitespaceSplit, CharDelimiterSplit, "
                 "BertPreTokenizer, FixedLength and Sequence",
                 type);
  }
}

void add_decoder(const Json& json, const std::string& where,
                 std::vector<DecoderStep>& steps) {
  using Kind = DecoderStep::Kind;
  const std::string type = type_of(json, where);
  DecoderStep& step = steps.emplace_back();
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    step.kind = Kind::kByteFallback;
  } else if (type == "Fuse") {
    step.kind = Kind::kFuse;
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    step.text = one_character(json, "replacement", where);
    step.prepend = prepend_scheme(json, where);
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.text = one_character(json, "content", where);
    step.start = count_of(json, "start", where);
    step.stop = count_of(json, "stop", where);
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    const PatternText pattern = pattern_of(json, where);
    step.text = pattern.text;
    step.is_regex = pattern.is_regex;
    step.content = json_string(json, "content", where);
  } else {
    unknown_kind(where, "a decoder out of",
                 "ByteLevel, ByteFallback, Fuse, Metaspace, Strip, Replace and "
                 "Sequence",
                 type);
  }
}

}  // namespace

void unknown_kind(const std::string& where, const std::string& what,
                  const std::string& expected, const std::string& found) {
  throw Error(
      ErrorKind::kInput,
      str(where, ": expected ", what, expected.empty() ? "" : " ", expected,
          ", found ", found, "; use a model whose tokenizer is supported"));
}

const Json& array_of(const Json& object, const char* name,
                     const std::string& where) {
  if (!object.is_object() || !object.contains(name) ||
      !object[name].is_array()) {
    unknown_kind(where, str("an array '", name, "'"), "", "none");
  }
  return object[name];
}

std::vector<NormalizerStep> read_normalizers(const Json& json,
                                             const std::string& where) {
  std::vector<NormalizerStep> steps;
  size_t count = 0;
  for_each_step(json, "normalizers", where, count,
                [&](const Json& step) { add_normalizer(step, where, steps); });
  return steps;
}

std::vector<PreTokenizerStep> read_pre_tokenizers(const Json& json,
                                                  const std::string& where,
                                                  bool& byte_level) {
  using Kind = PreTokenizerStep::Kind;
  std::vector<PreTokenizerStep> steps;
  size_t count = 0;
  for_each_step(json, "pretokenizers", where, count, [&](const Json& step) {
    add_pre_tokenizer(step, where, steps);
  });
  const auto num_byte_levels = std::count_if(
      steps.begin(), steps.end(),
      [](const auto& step) { return step.kind == Kind::kByteLevel; });
  if (num_byte_levels > 1) {
    unknown_kind(where, "one ByteLevel", "", str(num_byte_levels));
  }
  byte_level = !steps.empty() && steps.back().kind == Kind::kByteLevel;
  if (byte_level) steps.pop_back();
  return steps;
}

std::vector<DecoderStep> read_decoders(const Json& json,
                                       const std::string& where) {
  std::vector<DecoderStep> steps;
  size_t count = 0;
  for_each_step(json, "decoders", where, count,
                [&](const Json& step) { add_decoder(step, where, steps); });
  return steps;
}

std::string first_added_token(const Json& json, const std::string& where) {
  if (json.is_null()) return "";
  const std::string type = type_of(json, where);
  if (type == "ByteLevel") return "";  // offsets only
  if (type == "Sequence") {
    std::string first;
    for (const Json& part : array_of(json, "processors", where)) {
      const std::string token = first_added_token(part, where);
      if (!token.empty()) first = token;
    }
    return first;
  }
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    const Json& token = array_of(json, "cls", where);
    if (token.empty() || !token[0].is_string()) {
      unknown_kind(where, "a token as", "cls", token.dump());
    }
    return token[0].get<std::string>();
  }
  if (type != "TemplateProcessing") {
    unknown_kind(where, "a post-processor out of",
                 "ByteLevel, TemplateProcessing, RobertaProcessing, "
                 "BertProcessing and Sequence",
                 type);
  }
  const Json& parts = array_of(json, "single", where);
  if (parts.empty() || !parts[0].is_object() ||
      !parts[0].contains("SpecialToken")) {
    return "";
  }
  return json_string(parts[0]["SpecialToken"], "id", where);
}

}  // namespace selfalign::text
