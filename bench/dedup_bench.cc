// SPDX-License-Identifier: Apache-2.0
// Rates of the near-duplicate search: instructions looked up one after another
// and kept if they are like none before, as stage 1 does it. The instructions
// are made here: openings that many share, words by Zipf's law, 5 to 60 words,
// one in ten a near-copy of an earlier one. Then the search against all pairs.
// usage: dedup_bench [NUMBER BRUTE_FORCE_NUMBER]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/number.h"
#include "base/random.h"
#include "text/lcs.h"
#include "text/rouge.h"
#include "text/rouge_index.h"

namespace selfalign {
namespace {

constexpr double kThreshold = 0.7;
constexpr uint64_t kVocabulary = 40000;
constexpr const char* kOpenings[] = {
    "Write a short story about",
    "Explain how to",
    "What is the difference between",
    "Give three examples of",
    "List the steps needed to",
    "Summarize the following text",
    "How many",
    "Describe the role of",
    "Rewrite this sentence in the passive voice",
    "Create a list of",
    "Why is it that",
    "Find the mistake in the following"};
constexpr const char* kCommon[] = {
    "the", "of", "and",  "to",  "a",  "in",   "is",  "you", "that", "for",
    "it",  "on", "with", "are", "as", "this", "was", "be",  "at",   "your",
    "or",  "by", "from", "one", "an", "what", "if",  "can", "all",  "which"};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

// Zipf's law with exponent 1: word r has a share of about 1 / (r ln V).
std::string zipf_word(double u) {
  const auto rank =
      static_cast<size_t>(std::pow(static_cast<double>(kVocabulary), u) - 1.0);
  if (rank < std::size(kCommon)) return kCommon[rank];
  return "w" + std::to_string(rank);
}

std::vector<std::string> make_instructions(size_t number) {
  std::vector<std::vector<std::string>> all;
  std::vector<std::string> texts;
  for (uint64_t key = 0; key < number; ++key) {
    std::vector<std::string> words;
    if (key > 0 && draw_uniform(key, 0) < 0.1) {
      words = all[draw_index(key, 1, key)];
      for (uint64_t edit = 0; edit <= draw_index(key, 2, 4); ++edit) {
        words[draw_index(key, 3 + 2 * edit, words.size())] =
            zipf_word(draw_uniform(key, 4 + 2 * edit));
      }
    } else {
      words.push_back(kOpenings[draw_index(key, 11, std::size(kOpenings))]);
      // 3 to 56 more, 13 in the median.
      const double u = draw_uniform(key, 12);
      const auto length =
          static_cast<uint64_t>(3.0 + 10.0 * u + 43.0 * u * u * u * u * u);
      for (uint64_t t = 0; t < length; ++t) {
        words.push_back(zipf_word(draw_uniform(key, 20 + t)));
      }
    }
    std::string text;
    for (const std::string& word : words) {
      text += (text.empty() ? "" : " ") + word;
    }
    texts.push_back(text + ".");
    all.push_back(std::move(words));
  }
  return texts;
}

struct Found {
  double seconds = 0.0;
  std::vector<std::string> matches;  // "" or index and score, by text
};

std::string show(size_t index, double score) {
  return std::to_string(index) + " " + std::to_string(score);
}

Found with_index(const std::vector<std::string>& texts) {
  Found found;
  const auto begin = std::chrono::steady_clock::now();
  text::RougeIndex index(kThreshold);
  for (const std::string& text : texts) {
    const auto match = index.find_above(text);
    found.matches.push_back(match ? show(match->index, match->score) : "");
    if (!match) index.add(text);
  }
  found.seconds = seconds_since(begin);
  return found;
}

// All pairs, each with the same bit-parallel LCS.
Found by_brute_force(const std::vector<std::string>& texts) {
  Found found;
  const auto begin = std::chrono::steady_clock::now();
  std::unordered_map<std::string, uint32_t> words;
  std::vector<std::vector<uint32_t>> kept;
  for (const std::string& text : texts) {
    std::vector<uint32_t> ids;
    for (const std::string& word : text::rouge_words(text)) {
      ids.push_back(words.emplace(word, words.size()).first->second);
    }
    const text::LcsPattern pattern(ids);
    double best = kThreshold;
    std::string match;
    for (size_t j = 0; j < kept.size(); ++j) {
      const double score = text::f_measure(pattern.length_with(kept[j]),
                                           ids.size(), kept[j].size());
      if (score <= best) continue;
      best = score;
      match = show(j, score);
    }
    found.matches.push_back(match);
    if (match.empty()) kept.push_back(std::move(ids));
  }
  found.seconds = seconds_since(begin);
  return found;
}

size_t num_matches(const Found& found) {
  return found.matches.size() -
         static_cast<size_t>(std::count(found.matches.begin(),
                                        found.matches.end(), std::string()));
}

int run(size_t number, size_t brute_number) {
  std::vector<std::string> texts = make_instructions(number);
  std::printf("e.g. %s\n", texts[number / 2].c_str());
  const Found all = with_index(texts);
  std::printf("exact  %8zu texts %9.1f s %10.0f texts/s  %zu matches\n", number,
              all.seconds, static_cast<double>(number) / all.seconds,
              num_matches(all));
  texts.resize(std::min(number, brute_number));
  const Found some = with_index(texts);
  const Found plain = by_brute_force(texts);
  std::printf("exact  %8zu texts %9.3f s\n", texts.size(), some.seconds);
  std::printf(
      "plain  %8zu texts %9.3f s, %.0f times as long; %s\n", texts.size(),
      plain.seconds, plain.seconds / some.seconds,
      plain.matches == some.matches ? "the same matches" : "OTHER MATCHES");
  return plain.matches == some.matches ? 0 : 1;
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  const auto number = [&](int i, size_t fallback) {
    return argc > i ? selfalign::parse_number<size_t>(argv[i]).value()
                    : fallback;
  };
  return selfalign::run(std::max<size_t>(1, number(1, 100000)),
                        number(2, 20000));
}
