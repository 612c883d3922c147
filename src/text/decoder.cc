// SPDX-License-Identifier: Apache-2.0
#include "text/decoder.h"

#include <algorithm>

#include "base/error.h"
#include "base/number.h"
#include "text/alphabet.h"
#include "text/replace.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

// A text of n bytes may become 64 n, and some more.
void check_growth(size_t before, size_t after) {
  constexpr size_t kMaxGrowth = 64;
  constexpr size_t kSome = 256;
  if (after <= kMaxGrowth * before + kSome) return;
  throw Error(ErrorKind::kInput,
              str("tokenizer.json: expected a decoder that makes at most ",
                  kMaxGrowth, " bytes of one, found ", after, " of ", before,
                  "; use a model whose tokenizer is supported"));
}

std::string strip(const std::string& text, const DecoderStep& step) {
  std::string_view left = text;
  for (size_t i = 0; i < step.start && left.starts_with(step.text); ++i) {
    left.remove_prefix(step.text.size());
  }
  for (size_t i = 0; i < step.stop && left.ends_with(step.text); ++i) {
    left.remove_suffix(step.text.size());
  }
  return std::string(left);
}

std::string byte_of(const std::string& text) {
  const bool framed =
      text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
  const auto byte = framed ? parse_hex_byte(text.substr(3, 2)) : std::nullopt;
  return byte ? std::string(1, static_cast<char>(*byte)) : text;
}

}  // namespace

Decoder::Decoder(std::vector<DecoderStep> steps, const std::string& where) {
  for (DecoderStep& options : steps) {
    Step step;
    if (options.kind == DecoderStep::Kind::kReplace &&
        (options.is_regex || options.text.empty())) {
      step.pattern = std::make_unique<const Pattern>(options.text, where);
    }
    step.options = std::move(options);
    steps_.push_back(std::move(step));
  }
  const auto fuse =
      std::find_if(steps_.begin(), steps_.end(), [](const Step& step) {
        return step.options.kind == DecoderStep::Kind::kFuse;
      });
  num_for_tokens_ = static_cast<size_t>(fuse - steps_.begin());
}

std::string Decoder::apply(const Step& step, const std::string& text,
                           bool first) {
  const DecoderStep& options = step.options;
  const auto check = [&](size_t size) { check_growth(text.size(), size); };
  switch (options.kind) {
    case DecoderStep::Kind::kByteLevel:
      return alphabet_to_bytes(text);
    case DecoderStep::Kind::kMetaspace:
      return replace_all(
          text, nullptr, options.text,
          first && options.prepend != PrependScheme::kNever ? "" : " ", check);
    case DecoderStep::Kind::kByteFallback:
      return byte_of(text);
    case DecoderStep::Kind::kFuse:
      return text;
    case DecoderStep::Kind::kStrip:
      return strip(text, options);
    case DecoderStep::Kind::kReplace:
      return replace_all(text, step.pattern.get(), options.text,
                         options.content, check);
  }
  return text;
}

std::string Decoder::token(const std::string& text, bool first) const {
  std::string out = text;
  for (size_t i = 0; i < num_for_tokens_; ++i) {
    out = apply(steps_[i], out, first);
    check_growth(text.size(), out.size());
  }
  return out;
}

std::string Decoder::whole(std::string text) const {
  const size_t before = text.size();
  for (size_t i = num_for_tokens_; i < steps_.size(); ++i) {
    text = apply(steps_[i], text, true);
    check_growth(before, text.size());
  }
  return text;
}

bool Decoder::is_byte_level() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return step.options.kind == DecoderStep::Kind::kByteLevel;
  });
}

}  // namespace selfalign::text
