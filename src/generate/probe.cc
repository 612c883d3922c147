// SPDX-License-Identifier: Apache-2.0
#include "generate/probe.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/joined.h"
#include "base/shown.h"

namespace selfalign::generate {
namespace {

// Prose, a question with its answer, figures and another script, so that
// tokenizers and tunings differ in it.
constexpr char kText[] =
    "The lighthouse keeper wrote in his log that the storm of 1903 had come "
    "from the north-west and lasted three days.\n\n"
    "Question: Why do we see the lightning before we hear the thunder?\n"
    "Answer: Because light travels much faster than sound, so the flash "
    "reaches us first. For every kilometre between us and the storm, the "
    "thunder comes about 3 seconds later.\n\n"
    "def area(width, height):\n    return width * height\n\n"
    "Привет, мир! 12 + 30 = 42. In the end, everybody went home";

// Every so many bytes at the next end of a word.
constexpr size_t kStep = 16;

std::vector<std::string> beginnings() {
  const std::string text = kText;
  std::vector<std::string> all;
  for (size_t at = text.find(' ', kStep); at != std::string::npos;
       at = text.find(' ', at + kStep)) {
    all.push_back(text.substr(0, at));
  }
  all.push_back(text);
  return all;
}

// Where both go on with a text: how likely its end is not all servers tell.
std::vector<size_t> told_places(const Probe& one, const Probe& other) {
  SELFALIGN_CHECK(one.logprobs.size() == other.logprobs.size());
  std::vector<size_t> places;
  for (size_t i = 0; i < one.logprobs.size(); ++i) {
    if (!one.tokens[i].empty() && !other.tokens[i].empty()) places.push_back(i);
  }
  return places;
}

// Where two lists part, "none" at their end.
std::string first_other(const std::vector<int>& one,
                        const std::vector<int>& other) {
  const auto [a, b] =
      std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  const auto shown = [](const auto& at, const auto& end) {
    return at == end ? std::string("none") : std::to_string(*at);
  };
  return str(shown(b, other.end()), " in place of ", shown(a, one.end()),
             " as number ", a - one.begin() + 1);
}

}  // namespace

std::optional<Probe> probe_model(Generator& generator) {
  if (generator.chats_only()) return std::nullopt;
  const std::vector<std::string> texts = beginnings();
  std::vector<Completion> found(texts.size());
  uint64_t num_asked = 0;
  generator.generate(
      [&]() -> std::optional<Request> {
        if (num_asked == texts.size()) return std::nullopt;
        Request request;
        request.key = num_asked;
        request.suffix = texts[num_asked++];
        request.sampling.temperature = 0;
        request.sampling.max_new_tokens = 1;
        request.want_logprobs = true;
        return request;
      },
      [&](Completion completion) {
        found.at(completion.key) = std::move(completion);
      });
  Probe probe;
  for (const Completion& completion : found) {
    if (!has_answer(completion.finish)) return std::nullopt;
    const bool is_told = !completion.token_logprobs.empty();
    if (!is_told && !completion.text.empty()) return std::nullopt;
    probe.num_prompt_tokens.push_back(completion.is_estimated ||
                                              completion.num_prompt_tokens == 0
                                          ? -1
                                          : completion.num_prompt_tokens);
    probe.tokens.push_back(completion.text);
    probe.logprobs.push_back(is_told ? double{completion.token_logprobs[0]}
                                     : 0.0);
  }
  probe.ids = generator.token_ids(kText);
  return probe;
}

double mean_difference(const Probe& one, const Probe& other) {
  double sum = 0;
  const std::vector<size_t> places = told_places(one, other);
  for (const size_t i : places) {
    sum += std::abs(one.logprobs[i] - other.logprobs[i]);
  }
  return sum / double(std::max<size_t>(1, places.size()));
}

std::string difference(const Probe& expected, const Probe& found) {
  if (expected.logprobs.size() != found.logprobs.size()) {
    return str("a probe of ", found.logprobs.size(), " places in place of ",
               expected.logprobs.size());
  }
  if (!expected.ids.empty() && !found.ids.empty() &&
      expected.ids != found.ids) {
    return str("another tokenizer: of a text of ", found.ids.size(),
               " tokens (expected ", expected.ids.size(), ") token ",
               first_other(expected.ids, found.ids));
  }
  for (size_t i = 0; i < found.num_prompt_tokens.size(); ++i) {
    const int was = expected.num_prompt_tokens[i];
    const int is = found.num_prompt_tokens[i];
    if (was < 0 || is < 0 || was == is) continue;
    return str("another tokenizer: a text of ", is, " tokens in place of ",
               was);
  }
  size_t num_ends = 0;  // where one of them alone goes on
  for (size_t i = 0; i < found.tokens.size(); ++i) {
    num_ends += expected.tokens[i].empty() != found.tokens[i].empty() ? 1 : 0;
  }
  if (2 * num_ends > found.tokens.size()) {
    return str("another end of the text at ", num_ends, " places of ",
               found.tokens.size());
  }
  const std::vector<size_t> places = told_places(expected, found);
  const double distance = mean_difference(expected, found);
  if (distance <= kSameModel) return "";
  size_t far = places[0];
  for (const size_t i : places) {
    if (std::abs(found.logprobs[i] - expected.logprobs[i]) >
        std::abs(found.logprobs[far] - expected.logprobs[far])) {
      far = i;
    }
  }
  return str("other log-probabilities: ", distance,
             " nats apart in the mean, where one model differs by ", kSameModel,
             " at most; the largest: \"", shown(found.tokens[far]), "\" with ",
             found.logprobs[far], " in place of \"",
             shown(expected.tokens[far]), "\" with ", expected.logprobs[far]);
}

}  // namespace selfalign::generate
