// SPDX-License-Identifier: Apache-2.0
// The win rate as it would be if both answers had the same length, because
// judges like long ones (Dubois et al. 2024, "Length-Controlled AlpacaEval").
// The logit of the win is an intercept plus a slope times tanh(d / s): d the
// difference of lengths, s the standard deviation of d. The intercept alone
// gives the controlled win rate. The paper's third term, how hard each
// instruction is, needs many models on the same set and is left out.
#pragma once

#include <vector>

namespace selfalign::judge {

struct LengthControl {
  double win_rate = 0.5;  // at equal length
  double slope = 0.0;     // log-odds at d = s take slope * tanh(1) more
};

// `wins`: 1 won, 0.5 tie, 0 lost; `differences`: length of the one that wins
// less the other's, any unit. A ridge of 0.01 on half the squared coefficients
// keeps them finite where all is won or length tells all. Swapping the two
// subjects mirrors both figures exactly. 0.5 and 0 without items.
LengthControl length_control(const std::vector<double>& wins,
                             const std::vector<double>& differences);

// Least-squares slope of y over x; 0 where x does not vary.
double linear_slope(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace selfalign::judge
