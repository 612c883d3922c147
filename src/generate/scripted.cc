// SPDX-License-Identifier: Apache-2.0
#include "generate/scripted.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <iterator>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/random.h"

namespace selfalign::generate {
namespace {

constexpr std::array<const char*, 24> kWords = {
    "write", "a",     "short",   "story", "about", "the",    "river", "and",
    "why",   "do",    "birds",   "sing",  "in",    "spring", "how",   "is",
    "bread", "baked", "explain", "what",  "makes", "rain",   "fall",  "slowly"};

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }

// Words with the white space before them, so that they join to the text.
std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && is_space(text[end])) ++end;
    while (end < text.size() && !is_space(text[end])) ++end;
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

std::string words_from_key(const Request& request) {
  const uint64_t num_words = 8 + draw_index(request.key, 0, 8);
  std::string text;
  for (uint64_t t = 1; t <= num_words; ++t) {
    if (t > 1) text += ' ';
    text += kWords[draw_index(request.key, t, kWords.size())];
  }
  return text;
}

int token_of(const std::string& word) {
  return static_cast<int>(Hasher().add(word).key() % kScriptedVocab);
}

// In (-4, 0), the same for the same words in the same place.
float logprob_of(uint64_t context, const std::string& word, uint64_t place) {
  const uint64_t key = Hasher().add(context).add(word).key();
  return static_cast<float>(-4.0 * draw_uniform(key, place));
}

// Words of the table as candidates for a place.
std::vector<TokenLogprob> top_logprobs_of(uint64_t context, uint64_t place,
                                          int count) {
  std::vector<TokenLogprob> top;
  top.reserve(std::size(kWords));
  for (const char* word : kWords) {
    top.push_back({token_of(word), logprob_of(context, word, place)});
  }
  std::sort(top.begin(), top.end(), [](auto& a, auto& b) {
    return std::pair(-a.logprob, a.token) < std::pair(-b.logprob, b.token);
  });
  top.resize(std::min(top.size(), static_cast<size_t>(count)));
  return top;
}

ContinuationScore score_of(uint64_t context,
                           const std::vector<std::string>& words,
                           int num_top_logprobs) {
  ContinuationScore score;
  for (const std::string& word : words) {
    const uint64_t place = score.tokens.size();
    score.logprobs.push_back(logprob_of(context, word, place));
    score.is_greedy.push_back(score.logprobs.back() > -1.0f);
    score.tokens.push_back(token_of(word));
    if (num_top_logprobs == 0) continue;
    score.top_logprobs.push_back(
        top_logprobs_of(context, place, num_top_logprobs));
  }
  return score;
}

class ScriptedGenerator final : public Generator {
 public:
  explicit ScriptedGenerator(ScriptedOptions options)
      : options_(std::move(options)) {
    SELFALIGN_CHECK(options_.num_slots > 0);
    if (!options_.script) options_.script = words_from_key;
  }

  void generate(const NextRequest& next, const OnCompletion& done) override {
    std::vector<Request> slots;
    while (!interrupted()) {
      while (slots.size() < static_cast<size_t>(options_.num_slots)) {
        std::optional<Request> request = next();
        if (!request) break;
        check(*request);
        slots.push_back(std::move(*request));
      }
      cancel(slots, done);
      if (slots.empty()) return;
      const auto first = std::min_element(
          slots.begin(), slots.end(), [](const Request& a, const Request& b) {
            return draw_bits(a.key, 0) < draw_bits(b.key, 0);
          });
      Completion completion = complete(*first);
      slots.erase(first);
      done(std::move(completion));
      if (++num_done_ == options_.kill_after) std::raise(SIGKILL);
    }
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    if (options_.num_score_calls != nullptr) ++*options_.num_score_calls;
    std::vector<Scores> all;
    for (const ScoreRequest& request : requests) {
      check_request(request, kScriptedVocab);
      Hasher context;
      context.add(options_.fingerprint).add(request.context);
      Scores scores{.key = request.key};
      for (const std::string& text : request.continuations) {
        if (request.has_tokens()) break;
        scores.continuations.push_back(score_of(
            context.key(), split_words(text), request.num_top_logprobs));
      }
      if (request.has_tokens()) score_tokens(request, context, scores);
      all.push_back(std::move(scores));
    }
    return all;
  }

  void check(const Request& request) const override {
    check_request(request, kScriptedVocab);
  }

  std::string fingerprint() const override { return options_.fingerprint; }
  bool scores_together() const override {
    return options_.num_score_calls != nullptr;
  }

  int count_tokens(const std::string& text) const override {
    return static_cast<int>(split_words(text).size());
  }

 private:
  // Nobody wants these any more.
  static void cancel(std::vector<Request>& slots, const OnCompletion& done) {
    std::vector<uint64_t> keys;
    std::erase_if(slots, [&keys](const Request& request) {
      if (!request.on_text || request.on_text("")) return false;
      keys.push_back(request.key);
      return true;
    });
    for (const uint64_t key : keys) {
      done({.key = key, .finish = Finish::kCancelled});
    }
  }

  static void score_tokens(const ScoreRequest& request, Hasher& context,
                           Scores& scores) {
    if (request.context_tokens.empty()) {
      throw Error(ErrorKind::kInput,
                  "score: expected a context of at least one token, found an "
                  "empty one; put the first token into it");
    }
    for (const int id : request.context_tokens) context.add(str(id));
    for (const std::vector<int>& tokens : request.continuation_tokens) {
      std::vector<std::string> words;
      words.reserve(tokens.size());
      for (const int id : tokens) words.push_back(str(id));
      scores.continuations.push_back(
          score_of(context.key(), words, request.num_top_logprobs));
      scores.continuations.back().tokens = tokens;
    }
  }

  Completion complete(const Request& request) const {
    std::string text = options_.script(request);
    size_t end = text.size();
    for (const std::string& stop : request.sampling.stop) {
      end = std::min(end, text.find(stop));
    }
    text.resize(end);
    Completion completion;
    completion.key = request.key;
    completion.num_prompt_tokens =
        request.prompt_tokens.empty()
            ? count_tokens((request.prefix ? *request.prefix : "") +
                           request.suffix)
            : static_cast<int>(request.prompt_tokens.size());
    for (const std::string& word : split_words(text)) {
      if (completion.num_tokens == request.sampling.max_new_tokens) {
        completion.finish = Finish::kLength;
        break;
      }
      const auto place = static_cast<uint64_t>(completion.num_tokens);
      const float logprob = logprob_of(request.key, word, place);
      completion.text += word;
      completion.num_tokens += 1;
      completion.logprob += logprob;
      if (request.want_logprobs) {
        completion.tokens.push_back(token_of(word));
        completion.token_logprobs.push_back(logprob);
        if (request.num_top_logprobs > 0) {
          completion.top_logprobs.push_back(
              top_logprobs_of(request.key, place, request.num_top_logprobs));
        }
      }
      if (request.on_text && !request.on_text(word)) {
        completion.finish = Finish::kCancelled;
        break;
      }
    }
    return completion;
  }

  ScriptedOptions options_;
  int num_done_ = 0;
};

}  // namespace

std::unique_ptr<Generator> make_scripted_generator(ScriptedOptions options) {
  return std::make_unique<ScriptedGenerator>(std::move(options));
}

}  // namespace selfalign::generate
