// SPDX-License-Identifier: Apache-2.0
#include "formats/hf_rope.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

namespace selfalign::formats {
namespace {

const Json& part(const Json& object, const char* layers) {
  const auto found = object.find(layers);
  return found != object.end() && found->is_object() ? *found : object;
}

double positions_ratio(const Members& config, const RopeConfig& rope) {
  return static_cast<double>(config.integer("max_position_embeddings")) /
         static_cast<double>(std::max<int64_t>(1, rope.original_positions));
}

// The length the model was first trained at.
int64_t original_positions(const Members& config, const Members& rope) {
  const char* name = "original_max_position_embeddings";
  if (config.has(name)) return config.integer(name);
  return rope.integer_or(name, config.integer("max_position_embeddings"));
}

// Peng et al. 2023 (YaRN), section 3.4.
double yarn_attention_factor(const Members& rope, double factor) {
  const auto scale = [factor](double m) {
    return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
  };
  if (rope.has("attention_factor")) return rope.number("attention_factor");
  const double some = rope.number_or("mscale", 0.0);
  const double all = rope.number_or("mscale_all_dim", 0.0);
  return some != 0.0 && all != 0.0 ? scale(some) / scale(all) : scale(1.0);
}

void read_yarn(const Members& config, const Members& members,
               RopeConfig& rope) {
  rope.original_positions = original_positions(config, members);
  rope.factor = members.number_or("factor", positions_ratio(config, rope));
  rope.beta_fast = members.number_or("beta_fast", 32.0);
  rope.beta_slow = members.number_or("beta_slow", 1.0);
  rope.truncate = members.flag_or("truncate", true);
  rope.attention_factor = yarn_attention_factor(members, rope.factor);
}

void read_longrope(const Members& config, const Members& members,
                   RopeConfig& rope) {
  rope.original_positions = original_positions(config, members);
  const double factor =
      members.number_or("factor", positions_ratio(config, rope));
  rope.factors = members.numbers("short_factor");
  rope.long_factors = members.numbers("long_factor");
  // Ding et al. 2024, equation 7.
  const double scaled =
      factor > 1.0 && rope.original_positions > 1
          ? std::sqrt(1.0 + std::log(factor) /
                                std::log(double(rope.original_positions)))
          : 1.0;
  rope.attention_factor = members.number_or("attention_factor", scaled);
}

void refuse_unknown(const Members& rope,
                    std::initializer_list<const char*> known) {
  constexpr const char* kAlways[] = {"rope_theta", "rope_type", "type",
                                     "partial_rotary_factor"};
  for (const auto& [name, value] : rope.json().items()) {
    if (std::find(known.begin(), known.end(), name) != known.end() ||
        std::find(std::begin(kAlways), std::end(kAlways), name) !=
            std::end(kAlways)) {
      continue;
    }
    rope.refuse("rope: member " + shown(name) +
                " is not known for this rope type; "
                "expected only members that this program applies");
  }
}

// What changes the frequencies, by rope.type.
void read_scaling(const Members& config, const Members& members,
                  RopeConfig& rope) {
  if (rope.type == "linear") {
    refuse_unknown(members, {"factor", "original_max_position_embeddings"});
    rope.factor = members.number("factor");
  } else if (rope.type == "llama3") {
    refuse_unknown(members, {"factor", "low_freq_factor", "high_freq_factor",
                             "original_max_position_embeddings"});
    rope.factor = members.number("factor");
    rope.low_freq_factor = members.number("low_freq_factor");
    rope.high_freq_factor = members.number("high_freq_factor");
    rope.original_positions =
        members.integer("original_max_position_embeddings");
  } else if (rope.type == "yarn") {
    refuse_unknown(members, {"factor", "beta_fast", "beta_slow",
                             "attention_factor", "mscale", "mscale_all_dim",
                             "truncate", "original_max_position_embeddings"});
    read_yarn(config, members, rope);
  } else if (rope.type == "longrope") {
    refuse_unknown(members,
                   {"factor", "short_factor", "long_factor", "attention_factor",
                    "original_max_position_embeddings"});
    read_longrope(config, members, rope);
  } else {
    members.refuse(
        "rope type: expected default, linear, dynamic, yarn, longrope or "
        "llama3, found \"" +
        rope.type + "\"; such models are not supported");
  }
}

}  // namespace

RopeConfig rope_from(const Members& config, const Members& members,
                     double theta, const RopeDefaults& defaults) {
  RopeConfig rope;
  rope.theta = members.number_or("rope_theta", theta);
  std::string type = members.text_or("type", "");
  type = members.text_or("rope_type", type);
  const size_t num_plain = size_t{members.has("rope_theta")} +
                           size_t{members.has("partial_rotary_factor")};
  if (type.empty() && members.json().size() == num_plain) type = "default";
  if (defaults.only_longrope && (type == "su" || type == "yarn")) {
    type = "longrope";
  }
  if (type == "default") {
    refuse_unknown(members, {"original_max_position_embeddings"});
    return rope;
  }
  if (type == "dynamic") {
    // Within max_position_embeddings, which no context here exceeds, the
    // frequencies are the plain ones.
    refuse_unknown(members, {"factor", "original_max_position_embeddings"});
    return rope;
  }
  rope.type = type;
  read_scaling(config, members, rope);
  return rope;
}

RopeObjects::RopeObjects(const Members& config, const RopeDefaults& defaults)
    : config_(config), defaults_(defaults) {
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(name)) continue;
    const Json& found = config.json()[name];
    if (!found.is_object()) {
      config.refuse(
          str(name, ": expected an object, found ", shown(dump_json(found))));
    }
    objects_.emplace_back(found);
  }
}

RopeConfig RopeObjects::read(const char* layers, const char* outer,
                             double theta) const {
  theta = theta_or(layers, outer, theta);
  const Json none = Json::object();
  RopeConfig rope =
      rope_from(config_, Members(none, config_.where()), theta, defaults_);
  for (size_t i = 0; i < objects_.size(); ++i) {
    const Members members(part(objects_[i], layers), config_.where());
    RopeConfig found = rope_from(config_, members, theta, defaults_);
    if (i > 0 && found != rope) {
      config_.refuse(
          "rope_scaling and rope_parameters contradict each other; "
          "remove the wrong one");
    }
    rope = std::move(found);
  }
  return rope;
}

bool RopeObjects::has_theta(const char* layers, const char* outer) const {
  return config_.has(outer) ||
         std::any_of(objects_.begin(), objects_.end(), [&](const Json& object) {
           return part(object, layers).contains("rope_theta");
         });
}

double RopeObjects::partial_or(double other) const {
  for (const Json& object : objects_) {
    const Members members(object, config_.where());
    if (members.has("partial_rotary_factor")) {
      return members.number("partial_rotary_factor");
    }
  }
  return other;
}

double RopeObjects::theta_or(const char* layers, const char* outer,
                             double other) const {
  std::optional<double> theta;
  const auto take = [&](double found) {
    if (theta && *theta != found) {
      config_.refuse(str(outer, " stands twice with different values, ", *theta,
                         " and ", found, "; remove the wrong one"));
    }
    theta = found;
  };
  if (config_.has(outer)) take(config_.number(outer));
  for (const Json& object : objects_) {
    const Members members(part(object, layers), config_.where());
    if (members.has("rope_theta")) take(members.number("rope_theta"));
  }
  return theta.value_or(other);
}

}  // namespace selfalign::formats
