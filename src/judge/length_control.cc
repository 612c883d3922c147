// SPDX-License-Identifier: Apache-2.0
#include "judge/length_control.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace selfalign::judge {
namespace {

constexpr double kRidge = 0.01;
constexpr int kMaxSteps = 100;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// log(1 + e^x) without overflow.
double softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

struct Fit {
  double intercept = 0.0;
  double slope = 0.0;
};

double loss(const Fit& fit, const std::vector<double>& x,
            const std::vector<double>& y) {
  double sum =
      0.5 * kRidge * (fit.intercept * fit.intercept + fit.slope * fit.slope);
  for (size_t i = 0; i < x.size(); ++i) {
    const double logit = fit.intercept + fit.slope * x[i];
    sum += softplus(logit) - y[i] * logit;
  }
  return sum;
}

// Newton's method on the two coefficients; a step that does not descend is
// halved. The loss is strictly convex, so there is one minimum.
Fit fit_logistic(const std::vector<double>& x, const std::vector<double>& y) {
  Fit fit;
  double best = loss(fit, x, y);
  for (int step = 0; step < kMaxSteps; ++step) {
    double g0 = kRidge * fit.intercept;
    double g1 = kRidge * fit.slope;
    double h00 = kRidge;
    double h01 = 0.0;
    double h11 = kRidge;
    for (size_t i = 0; i < x.size(); ++i) {
      const double p = sigmoid(fit.intercept + fit.slope * x[i]);
      const double w = p * (1.0 - p);
      g0 += p - y[i];
      g1 += (p - y[i]) * x[i];
      h00 += w;
      h01 += w * x[i];
      h11 += w * x[i] * x[i];
    }
    const double determinant = h00 * h11 - h01 * h01;
    double d0 = (h11 * g0 - h01 * g1) / determinant;
    double d1 = (h00 * g1 - h01 * g0) / determinant;
    Fit next{fit.intercept - d0, fit.slope - d1};
    // So near the minimum that the loss no longer tells a better point: one
    // more step, which squares the error, and done.
    if (g0 * d0 + g1 * d1 < 1e-10 * (1.0 + best)) return next;
    double reached = loss(next, x, y);
    for (int half = 0; half < 50 && reached > best; ++half) {
      d0 /= 2;
      d1 /= 2;
      next = {fit.intercept - d0, fit.slope - d1};
      reached = loss(next, x, y);
    }
    if (reached > best) break;
    fit = next;
    best = reached;
  }
  return fit;
}

}  // namespace

LengthControl length_control(const std::vector<double>& wins,
                             const std::vector<double>& differences) {
  SELFALIGN_CHECK(wins.size() == differences.size());
  if (wins.empty()) return {};
  const double n = double(differences.size());
  double mean = 0.0;
  double largest = 0.0;
  for (const double d : differences) {
    mean += d / n;
    largest = std::max(largest, std::abs(d));
  }
  double squares = 0.0;
  for (const double d : differences) squares += (d - mean) * (d - mean);
  const double deviation = std::sqrt(squares / n);
  std::vector<double> x(differences.size(), 0.0);
  if (deviation > 1e-9 * largest) {  // else all alike but for rounding
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = std::tanh(differences[i] / deviation);
    }
  }
  const Fit fit = fit_logistic(x, wins);
  return {sigmoid(fit.intercept), fit.slope};
}

double linear_slope(const std::vector<double>& x,
                    const std::vector<double>& y) {
  SELFALIGN_CHECK(x.size() == y.size());
  if (x.empty()) return 0.0;
  double mean_x = 0.0;
  double mean_y = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    mean_x += x[i] / double(x.size());
    mean_y += y[i] / double(y.size());
  }
  double xx = 0.0;
  double xy = 0.0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xx > 0 ? xy / xx : 0.0;
}

}  // namespace selfalign::judge
