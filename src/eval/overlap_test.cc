// SPDX-License-Identifier: Apache-2.0
#include "eval/overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace selfalign::eval {
namespace {

using testing::ElementsAre;

struct Case {
  const char* answer;
  const char* reference;
  double bleu, rouge1, rouge2, rouge_l;
};

// sacrebleu 2.5 (corpus_bleu of one sentence, smooth_method "exp", tokenize
// "intl", no effective order) and rouge_score 0.1.2 without stemmer.
constexpr Case kCases[] = {
    {"The cat sat on the mat.", "The cat is sitting on the mat.", 0.42383656,
     0.769231, 0.545455, 0.769231},
    {"the the the the the the the", "the cat is on the mat", 0.0780985,
     0.307692, 0.0, 0.307692},
    {"It's $3.50, isn't it?", "It is $3.50 - is it not?", 0.0942516, 0.571429,
     0.166667, 0.571429},
    {"Nothing happens if you eat watermelon seeds",
     "You grow watermelons in your stomach.", 0.0, 0.153846, 0.0, 0.153846},
    {"No", "No.", 0.0, 1.0, 0.0, 1.0},
    {"", "Yes it is so.", 0.0, 0.0, 0.0, 0.0},
    {"The seeds pass through your digestive system, whole.",
     "The watermelon seeds pass through your digestive system.", 0.55552381,
     0.875, 0.714286, 0.875},
    {"naïve café – “quoted” 100% 1,000", "naïve cafe “quoted” 100% 1,000 €",
     0.61047358, 0.857143, 0.666667, 0.857143},
    {"a b c d e f g", "a b c d x f g h i j", 0.31850355, 0.705882, 0.533333,
     0.705882},
};

TEST(OverlapTest, IsWhatThePublishedToolsGive) {
  for (const Case& c : kCases) {
    EXPECT_NEAR(sentence_bleu(c.answer, c.reference), c.bleu, 1e-6) << c.answer;
    EXPECT_NEAR(rouge_n(c.answer, c.reference, 1), c.rouge1, 1e-6) << c.answer;
    EXPECT_NEAR(rouge_n(c.answer, c.reference, 2), c.rouge2, 1e-6) << c.answer;
    EXPECT_NEAR(rouge_l_ascii(c.answer, c.reference), c.rouge_l, 1e-6)
        << c.answer;
  }
}

TEST(OverlapTest, TokensOfMteval14) {
  EXPECT_THAT(bleu_tokens("It's $3.50, isn't it?"),
              ElementsAre("It", "'", "s", "$", "3.50", ",", "isn", "'", "t",
                          "it", "?"));
  EXPECT_THAT(bleu_tokens("a...b"), ElementsAre("a", ".", ".", ".", "b"));
  EXPECT_THAT(bleu_tokens("10.5% (x-1)"),
              ElementsAre("10.5", "%", "(", "x", "-", "1)"));
  EXPECT_THAT(bleu_tokens("“Hi”—she…said 3."),
              ElementsAre("“", "Hi", "”", "—", "she", "…", "said", "3."));
}

}  // namespace
}  // namespace selfalign::eval
