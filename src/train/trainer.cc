// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string_view>

#include "base/counted.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/profile.h"
#include "base/progress.h"
#include "base/ranges.h"
#include "model/device.h"
#include "train/backward.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/packing.h"
#include "train/split.h"

namespace selfalign::train {
namespace {

using Clock = std::chrono::steady_clock;

// A checkpoint is written at least this often, at the next pack.
constexpr std::chrono::seconds kCheckpointInterval(300);

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void check_options(const TrainOptions& o) {
  const auto need = [](bool ok, const char* name, const std::string& expected,
                       double found) {
    if (ok) return;
    throw Error(ErrorKind::kUsage,
                str("training setting ", name, ": expected ", expected,
                    ", found ", found, "; change it"));
  };
  RangeCheck check("training");
  TuneOptions::describe(check, o);
  need(o.adam_beta1 >= 0 && o.adam_beta1 < 1, "adam_beta1", "0 to below 1",
       o.adam_beta1);
  need(o.adam_beta2 >= 0 && o.adam_beta2 < 1, "adam_beta2", "0 to below 1",
       o.adam_beta2);
  need(o.adam_epsilon > 0, "adam_epsilon", "over 0", o.adam_epsilon);
}

// Adds the settings that came after trainings had been made, where they are
// other than their defaults.
class LaterSettings {
 public:
  LaterSettings(Hasher& hasher, bool is_full)
      : hasher_(hasher), is_full_(is_full) {}
  template <typename Value, typename Limits>
  void operator()(const Setting& of, const Value& value, const Limits&) {
    // The way to the result, not the result.
    if (of.key == std::string_view("gradient_checkpointing")) return;
    if (is_full_ && TuneOptions::is_of_lora(of.key)) return;
    hasher_.add(of.key).add(dump_json(Json(value)));
  }
  bool later(bool is_other) { return is_other; }

 private:
  Hasher& hasher_;
  const bool is_full_;
};

// Digest of everything that decides the adapter's bits.
std::string identity_of(const model::Weights& weights,
                        const std::vector<Sample>& samples,
                        const TrainOptions& o) {
  Hasher hasher;
  hasher.add("train_lora 3").add(weights.digest);
  hasher.add(model::describe({weights.device(), weights.dtype()}) +
             model::describe(weights.rounding));
  const TuneOptions none;  // LoRA's have no effect in a full tuning
  const TuneOptions& lora = o.is_full() ? none : o;
  for (double number :
       {lora.alpha, lora.dropout, o.learning_rate, o.weight_decay, o.adam_beta1,
        o.adam_beta2, o.adam_epsilon, o.max_grad_norm}) {
    hasher.add({reinterpret_cast<const char*>(&number), sizeof number});
  }
  hasher.add(uint64_t(lora.rank)).add(uint64_t(o.epochs));
  hasher.add(uint64_t(o.batch_size)).add(uint64_t(o.warmup_steps));
  hasher.add(uint64_t(o.pack_tokens)).add(o.seed);
  LaterSettings later(hasher, o.is_full());
  TuneOptions::describe_later(later, o);
  for (const Sample& sample : samples) {
    hasher.add({reinterpret_cast<const char*>(sample.inputs.data()),
                sample.inputs.size() * sizeof(int)});
    hasher.add({reinterpret_cast<const char*>(sample.loss_rows.data()),
                sample.loss_rows.size() * sizeof(int64_t)});
    hasher.add({reinterpret_cast<const char*>(sample.targets.data()),
                sample.targets.size() * sizeof(int)});
  }
  return hasher.digest();
}

int64_t input_tokens(const std::vector<Pack>& packs) {
  int64_t tokens = 0;
  for (const Pack& pack : packs) tokens += pack.num_tokens();
  return tokens;
}

// Input tokens of all epochs.
uint64_t total_tokens(const std::vector<Sample>& samples, int epochs) {
  int64_t tokens = 0;
  for (const Sample& sample : samples) {
    if (sample.targets.empty()) continue;
    tokens += int64_t(sample.inputs.size());
  }
  return uint64_t(tokens) * uint64_t(epochs);
}

uint64_t dropout_seed(uint64_t seed, int64_t step, size_t pack) {
  return Hasher()
      .add("lora dropout")
      .add(seed)
      .add(uint64_t(step))
      .add(uint64_t(pack))
      .key();
}

void warn_of_warm_up(const TrainOptions& options, int64_t num_steps) {
  if (options.warmup_steps < num_steps) return;
  const double rate = learning_rate_at(options, num_steps - 1, num_steps);
  log_warning(str("training of ", counted(num_steps, "step"),
                  " ends within its ",
                  counted(options.warmup_steps, "warm-up step"), ", at ",
                  std::lround(100.0 * rate / options.learning_rate),
                  " % of the learning rate: take fewer warm-up steps, or "
                  "more epochs"));
}

// Never lets a broken number into the adapter: the checkpoint on disk is from
// before it.
void check_finite(double value, const char* name, const std::string& folder,
                  int64_t step) {
  if (std::isfinite(value)) return;
  throw Error(ErrorKind::kFailed,
              str(folder, ": expected a finite ", name, " in step ", step + 1,
                  ", found ", value,
                  "; lower the learning rate or compute in float32"));
}

// That the checkpoint stands within the training.
void check_place(const TrainState& state, int64_t num_steps, int64_t packs,
                 const std::string& folder) {
  if (state.step <= num_steps && state.packs_done <= packs) return;
  throw Error(ErrorKind::kDamaged,
              str(folder, "/checkpoint.json: expected a step up to ", num_steps,
                  " and at most its ", packs, " packs, found step ", state.step,
                  " and ", state.packs_done,
                  "; restore the files, or move the folder away to train "
                  "anew"));
}

std::string step_note(int64_t step, int64_t num_steps,
                      std::optional<double> last_loss) {
  std::string note = str("step ", step + 1, "/", num_steps);
  if (last_loss) note += str(" loss ", *last_loss);
  return note;
}

model::Rope rope_for(const model::Weights& weights,
                     const std::vector<Sample>& samples,
                     const std::vector<Sample>& held_out) {
  return model::make_rope(
      weights.config, std::max(longest_input(samples), longest_input(held_out)),
      weights.device());
}

std::optional<double> validation_loss(const model::Weights& weights,
                                      const model::Lora* lora,
                                      const std::vector<Sample>& held_out,
                                      const TrainOptions& options) {
  if (held_out.empty()) return std::nullopt;
  return mean_loss(weights, lora, held_out, options.pack_tokens);
}

std::unique_ptr<Parameters> make_parameters(const model::Weights& weights,
                                            const TrainOptions& options) {
  if (options.is_full()) return std::make_unique<WeightParameters>(weights);
  return std::make_unique<LoraParameters>(weights,
                                          init_lora(weights.config, options));
}

class Trainer {
 public:
  Trainer(const model::Weights& weights, const std::vector<Sample>& samples,
          const std::vector<Sample>& held_out, const std::string& identity,
          const TrainOptions& options)
      : weights_(weights),
        samples_(samples),
        held_out_(held_out),
        options_(options),
        identity_(identity),
        rope_(rope_for(weights, samples, held_out)),
        parameters_(make_parameters(weights, options)),
        adam_(options, parameters_->values(), parameters_->num_decayed()),
        steps_(options, samples.size()),
        num_steps_(steps_.count()) {}

  TrainReport run() {
    start();
    if (!state_.loss_after) {
      MetricsLog metrics(options_.folder, state_.step);
      Progress progress("train", total_tokens(samples_, options_.epochs),
                        "tokens");
      progress.set_start(uint64_t(state_.tokens_done));
      while (state_.step < num_steps_) step(metrics, progress);
    }
    return finish();
  }

 private:
  // Takes up the checkpoint, or measures the base model and begins.
  void start() {
    auto found = load_checkpoint(options_.folder, identity_,
                                 parameters_->values().numel());
    last_checkpoint_ = Clock::now();
    if (!found) {
      warn_of_warm_up(options_, num_steps_);
      state_.loss_before = mean_loss(
          weights_, nullptr, report_samples(samples_), options_.pack_tokens);
      return;
    }
    state_ = std::move(*found);
    const size_t packs =
        state_.step < num_steps_ ? packs_of(state_.step).size() : 0;
    check_place(state_, num_steps_, int64_t(packs), options_.folder);
    const at::NoGradGuard no_graph;
    parameters_->values().copy_(state_.values);
    parameters_->gradients().copy_(state_.gradients);
    adam_.first_moment().copy_(state_.first_moment);
    adam_.second_moment().copy_(state_.second_moment);
    adam_.set_num_steps(state_.step);
    if (state_.loss_after) return;
    log_info(
        str("training goes on after step ", state_.step, " of ", num_steps_));
  }

  std::vector<Pack> packs_of(int64_t step) {
    const std::vector<uint32_t> chosen = steps_.of(step);
    return pack_samples(samples_, chosen, 0, chosen.size(),
                        options_.pack_tokens);
  }

  // One optimizer step: gradients of all packs, clipped, applied.
  void step(MetricsLog& metrics, Progress& progress) {
    const std::vector<Pack> packs = packs_of(state_.step);
    const ProfileStep profiled("training step");
    int64_t targets = 0;
    for (const Pack& pack : packs) targets += int64_t(pack.targets.size());
    const Clock::time_point began = Clock::now();
    const int64_t tokens_before = state_.tokens_done;
    for (size_t i = size_t(state_.packs_done); i < packs.size(); ++i) {
      pause_if_due(i);
      add_pack(packs[i], i, 1.0 / double(targets));
      progress.update(uint64_t(state_.tokens_done),
                      step_note(state_.step, num_steps_, last_loss_));
      if (options_.on_pack) options_.on_pack();
    }
    StepMetrics m;
    m.loss = targets > 0 ? state_.loss_sum / double(targets) : 0.0;
    m.grad_norm =
        clip_gradients(parameters_->gradients(), options_.max_grad_norm);
    check_finite(m.grad_norm, "gradient norm", options_.folder, state_.step);
    m.learning_rate = learning_rate_at(options_, state_.step, num_steps_);
    adam_.step(parameters_->values(), parameters_->gradients(),
               m.learning_rate);
    parameters_->gradients().zero_();
    m.epoch = steps_.epoch_of(state_.step);
    m.step = ++state_.step;
    m.num_tokens = input_tokens(packs);
    m.tokens_per_s =
        double(state_.tokens_done - tokens_before) / seconds_since(began);
    last_loss_ = m.loss;
    progress.update(
        uint64_t(state_.tokens_done),
        str("step ", state_.step, "/", num_steps_, " loss ", m.loss));
    state_.packs_done = 0;
    state_.loss_sum = 0.0;
    if (state_.step == num_steps_ || steps_.epoch_of(state_.step) != m.epoch) {
      m.validation_loss = validation_loss(
          parameters_->weights(), parameters_->lora(), held_out_, options_);
    }
    metrics.append(m);
    if (state_.step % options_.checkpoint_steps == 0) checkpoint();
  }

  void add_pack(const Pack& pack, size_t index, double scale) {
    std::optional<SeededDropout> dropout;
    if (options_.dropout > 0.0 && !options_.is_full()) {
      dropout.emplace(options_.dropout,
                      dropout_seed(options_.seed, state_.step, index),
                      weights_.device());
    }
    // A graph would hold a base in codes as values.
    const bool by_layers =
        options_.gradient_checkpointing || !weights_.keeps_layers();
    const double loss = backward_pack(rope_, *parameters_, pack, scale,
                                      dropout ? &*dropout : nullptr, by_layers);
    check_finite(loss, "loss", options_.folder, state_.step);
    state_.loss_sum += loss;
    state_.packs_done = int64_t(index) + 1;
    state_.tokens_done += pack.num_tokens();
  }

  // Between two packs: stops on request, and writes a checkpoint when the last
  // one is old.
  void pause_if_due(size_t next_pack) {
    const bool stop = interrupted();
    const bool old = Clock::now() - last_checkpoint_ >= kCheckpointInterval;
    if (stop || (old && (state_.step > 0 || next_pack > 0))) checkpoint();
    if (stop) stop_if_interrupted("the same command goes on from here");
  }

  void checkpoint() {
    state_.values = parameters_->values();
    state_.gradients = parameters_->gradients();
    state_.first_moment = adam_.first_moment();
    state_.second_moment = adam_.second_moment();
    save_checkpoint(options_.folder, identity_, state_);
    last_checkpoint_ = Clock::now();
  }

  void save(const model::Weights& tuned) const {
    if (options_.is_full()) return options_.save_model(tuned);
    model::save_lora(options_.folder + "/adapter", *parameters_->lora(),
                     weights_.config, adapter_config(options_));
  }

  TrainReport finish() {
    const at::NoGradGuard no_graph;
    const model::Weights tuned = parameters_->weights();
    const model::Lora* lora = parameters_->lora();
    if (!state_.loss_after) {
      checkpoint();
      const double loss = mean_loss(tuned, lora, report_samples(samples_),
                                    options_.pack_tokens);
      check_finite(loss, "loss after training", options_.folder, state_.step);
      save(tuned);
      state_.loss_after = loss;
      checkpoint();
    } else if (lora != nullptr ||
               (options_.has_model && !options_.has_model())) {
      save(tuned);  // in place of one that is damaged or gone
    }
    TrainReport report;
    report.num_steps = num_steps_;
    for (const Sample& sample : samples_) {
      report.num_tokens += int64_t(sample.targets.size());
    }
    report.loss_before = state_.loss_before;
    report.loss_after = *state_.loss_after;
    report.digest = parameters_->digest();
    report.validation_before =
        validation_loss(weights_, nullptr, held_out_, options_);
    report.validation_after = validation_loss(tuned, lora, held_out_, options_);
    return report;
  }

  const model::Weights& weights_;
  const std::vector<Sample>& samples_;
  const std::vector<Sample>& held_out_;
  const TrainOptions& options_;
  const std::string identity_;
  model::Rope rope_;
  std::unique_ptr<Parameters> parameters_;
  AdamW adam_;
  StepSamples steps_;
  const int64_t num_steps_;
  TrainState state_;
  std::optional<double> last_loss_;
  Clock::time_point last_checkpoint_;
};

}  // namespace

TrainReport train_model(const model::Weights& weights,
                        const std::vector<Sample>& samples,
                        const TrainOptions& options) {
  const c10::InferenceMode with_gradients(false);
  check_options(options);
  if (options.is_full() && !weights.is_held()) {
    throw Error(ErrorKind::kUsage,
                str(options.folder,
                    ": method full trains the weights themselves, and these "
                    "are in codes",
                    model::describe(weights.rounding),
                    "; leave out --weights (model.weights in a recipe), or "
                    "train with method lora"));
  }
  check_samples(samples, weights.config);
  const auto [learnt, held_out] =
      split_samples(samples, options.validation_share, options);
  return Trainer(weights, learnt, held_out,
                 identity_of(weights, samples, options), options)
      .run();
}

double mean_loss(const model::Weights& weights, const model::Lora* lora,
                 const std::vector<Sample>& samples, int64_t pack_tokens) {
  check_samples(samples, weights.config);
  std::vector<uint32_t> order(samples.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = uint32_t(i);
  const model::Rope rope = model::make_rope(
      weights.config, longest_input(samples), weights.device());
  double sum = 0.0;
  int64_t targets = 0;
  for (const Pack& pack :
       pack_samples(samples, order, 0, order.size(), pack_tokens)) {
    stop_if_interrupted("the same command goes on from here");
    sum += forward_pack(weights, rope, lora, pack);
    targets += int64_t(pack.targets.size());
  }
  return sum / double(targets);
}

}  // namespace selfalign::train
