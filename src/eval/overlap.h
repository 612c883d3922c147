// SPDX-License-Identifier: Apache-2.0
// How much the words of an answer are those of a reference, by the measures
// that TruthfulQA publishes figures in. All in [0, 1].
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::eval {

// BLEU (Papineni et al. 2002) of one sentence as SacreBLEU defines it (Post
// 2018): 1- to 4-grams, tokens of mteval-v14 ("intl": punctuation apart from
// what is no digit, symbols alone), case kept, exponential smoothing (the k-th
// precision of no match counts as 1 / (2^k n)), brevity penalty. 0 for an
// answer of under four tokens.
double sentence_bleu(std::string_view answer, std::string_view reference);

// Tokens of mteval-v14.
std::vector<std::string> bleu_tokens(std::string_view text);

// F1 of ROUGE-N (Lin 2004, section 2) and ROUGE-L on lower-case runs of a-z
// and 0-9, without stemming.
double rouge_n(std::string_view answer, std::string_view reference, size_t n);
double rouge_l_ascii(std::string_view answer, std::string_view reference);

}  // namespace selfalign::eval
