// SPDX-License-Identifier: Apache-2.0
// The rope of config.json, in the spellings of transformers 4 and 5.
#pragma once

#include "formats/config_members.h"
#include "formats/model_config.h"

namespace selfalign::formats {

// What a family's ropes have in common.
struct RopeDefaults {
  double theta = 10000.0;
  bool only_longrope = false;  // Phi-3: every scaling is longrope
};

// What one object says; `theta`: where it has none. Error kInput for a type or
// a member that is not known.
RopeConfig rope_from(const Members& config, const Members& members,
                     double theta, const RopeDefaults& defaults);

// The objects that describe the rope: "rope_parameters" since transformers 5,
// "rope_scaling" before. With both, each must mean the same.
class RopeObjects {
 public:
  RopeObjects(const Members& config, const RopeDefaults& defaults);

  // The rope of the layers called `layers` ("full_attention"), where there is
  // an object of its own for them, or of all. `outer`: the name that theta has
  // outside of the objects.
  RopeConfig read(const char* layers, const char* outer, double theta) const;
  // Whether theta stands anywhere.
  bool has_theta(const char* layers, const char* outer) const;
  // The share of a head that is rotated; `other` where no object has it.
  double partial_or(double other) const;

 private:
  // Wherever it stands; `other` if nowhere.
  double theta_or(const char* layers, const char* outer, double other) const;

  const Members& config_;
  const RopeDefaults& defaults_;
  std::vector<Json> objects_;
};

}  // namespace selfalign::formats
