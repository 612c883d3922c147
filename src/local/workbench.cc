// SPDX-License-Identifier: Apache-2.0
#include "local/workbench.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/own_file.h"
#include "base/profile.h"
#include "formats/load_tokenizer.h"
#include "formats/peft.h"
#include "generate/fleet.h"
#include "generate/prompt_tokens.h"
#include "generate/remote.h"
#include "generate/remote_key.h"
#include "local/handoff_training.h"
#include "local/local_engines.h"
#include "local/memory_needs.h"
#include "local/tuned_model.h"
#include "model/device.h"
#include "model/load_weights.h"
#include "stages/adapter_prompt.h"
#include "stages/served.h"
#include "train/frozen_base.h"

namespace selfalign::local {
namespace {

// Weights and tokenizer of a remote model stay where they are.
void require_local(const std::string& path) {
  if (!generate::is_remote_model(path)) return;
  throw Error(ErrorKind::kUsage,
              path +
                  ": expected a model on this machine, found a server's; give "
                  "the HF folder or GGUF file");
}

void require_fit(const std::string& path, const text::Tokenizer& words,
                 const formats::ModelConfig& config) {
  if (words.size() <= config.vocab_size) return;
  throw Error(ErrorKind::kInput,
              str(path, ": expected a tokenizer of at most ", config.vocab_size,
                  " tokens, as the model has, found ", words.size(),
                  "; use files that belong together"));
}

void require_end(const std::string& path, const text::Tokenizer& words) {
  if (words.eos() >= 0) return;
  throw Error(ErrorKind::kInput,
              str(path,
                  ": the tokenizer has no end-of-text token, without which no "
                  "answer learns to stop; use one with eos_token"));
}

// The same model in another file (a GGUF file of an HF folder) has another
// fingerprint, so this is no error.
void warn_of_other_base(const std::string& adapter,
                        const recipe::ModelOptions& model,
                        const model::Weights& base) {
  const std::string other = other_base(adapter, base.digest);
  if (other.empty()) return;
  log_warning(str(adapter, ": expected the base it was trained on (", other,
                  "), found ", model.path, " (local ", base.digest,
                  "); its answers mean little unless both are one model in two "
                  "forms"));
}

model::Rounding rounding_of(const recipe::ModelOptions& model,
                            const model::Compute& compute) {
  const model::Rounding rounding = model::rounding_named(model.weights);
  if (rounding == model::Rounding::kNone || compute.device.is_cpu()) {
    return rounding;
  }
  throw Error(ErrorKind::kUsage,
              str("--weights ", model.weights,
                  ": weights in few bits are computed with on a CPU alone; add "
                  "--device cpu, or leave it out"));
}

bool has_int8_prefix(const recipe::ModelOptions& model,
                     const model::Weights& weights) {
  if (model.prefix_cache == "full") return false;
  if (weights.device().is_cpu()) return true;
  throw Error(ErrorKind::kUsage,
              str("--prefix-cache ", model.prefix_cache,
                  ": whole numbers are computed with on a CPU alone; add "
                  "--device cpu, or leave it out"));
}

// The folder of a training is for one at a time: while this lives nobody else
// trains in it.
class TrainingLock {
 public:
  explicit TrainingLock(const std::string& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    // What cannot be locked, as on some network file systems, is not.
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) == 0 ||
        errno != EWOULDBLOCK) {
      return;
    }
    ::close(fd_);
    throw Error(ErrorKind::kUsage,
                folder +
                    ": another training is at work here; wait until it has "
                    "ended, or name another folder");
  }
  ~TrainingLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  TrainingLock(const TrainingLock&) = delete;
  TrainingLock& operator=(const TrainingLock&) = delete;

 private:
  int fd_;
};

// A whole model takes the place of what an earlier start of the same training
// left there, and of nothing else.
void require_free_place(const std::string& folder, const std::string& base) {
  const std::string place = folder + "/model";
  for (const std::string& name : {place, place + ".new"}) {
    const auto inside =
        std::filesystem::weakly_canonical(std::filesystem::absolute(base))
            .lexically_relative(std::filesystem::weakly_canonical(
                std::filesystem::absolute(name)));
    if (inside.empty() || inside.native().starts_with("..")) continue;
    throw Error(ErrorKind::kUsage,
                str(base,
                    ": the base model lies where the training would put "
                    "its result, ",
                    name, "; name another output folder"));
  }
  const bool is_begun = is_file(folder + "/checkpoint.json") ||
                        is_file(folder + "/handoff/handoff.json");
  const bool is_free = !std::filesystem::exists(place) &&
                       !std::filesystem::exists(place + ".new");
  if (is_begun || is_free) return;
  throw Error(ErrorKind::kUsage,
              place +
                  ": something is there already that no training of this "
                  "folder made; move it away, or name another output folder");
}

void warn_of_rate(const TuneOptions& options) {
  constexpr double kHigh = 1e-4;
  if (!options.is_full() || options.learning_rate <= kHigh) return;
  log_warning(str("a learning rate of ", options.learning_rate,
                  " is that of an adapter; where all weights are trained some "
                  "1e-5 are usual"));
}

// What a full tuning of the base would end with, told before.
void require_full(const recipe::ModelOptions& model, const TuneOptions& options,
                  const formats::ModelConfig& config,
                  const model::Compute& compute) {
  check_tuned_model(model.path, compute.dtype);
  const uint64_t bytes =
      memory_needs(config, compute.dtype, model::Rounding::kNone, options)
          .trained;
  const auto available = model::free_memory(compute.device);
  if (!available || bytes < *available) return;
  throw Error(ErrorKind::kResources,
              str(model.path, ": expected ", bytes >> 20,
                  " MiB of free memory to train all weights (16 bytes for "
                  "each), found ",
                  *available >> 20,
                  "; train with method lora, or a smaller "
                  "model"));
}

// Where weights and the first keys and values would not fit a device. A CPU
// takes pages of both as they are used.
void require_room(const recipe::ModelOptions& model,
                  const model::Compute& compute) {
  if (compute.device.is_cpu()) return;
  const formats::ModelConfig config =
      model::check_weights(model.path, at::kMeta, compute.dtype);
  require_device_memory(model.path,
                        device_needs(config, compute.dtype, model.num_slots),
                        model::free_memory(compute.device));
}

// The same for what an adapter changes, which stands beside the base.
void require_room(const std::string& adapter, const model::Weights& base,
                  const model::Lora& lora, int num_slots) {
  if (base.device().is_cpu()) return;
  DeviceNeeds needs = device_needs(base.config, base.dtype(), num_slots);
  needs.weights = 0;
  for (size_t i = 0; i < lora.layers.size(); ++i) {
    for (size_t j = 0; j < std::size(model::kProjections); ++j) {
      if (!(lora.layers[i].*model::kLoraPairs[j]).a.defined()) continue;
      needs.weights += (base.layers[i].*model::kProjections[j]).nbytes();
    }
  }
  require_device_memory(adapter, needs, model::free_memory(base.device()));
}

// Where engines of the model are to work.
std::vector<engine::EnginePlace> engine_places(
    const recipe::ModelOptions& model) {
  const model::Compute compute =
      model::choose_compute(model.device, model.dtype);
  EngineRoom room{.path = model.path,
                  .num_slots = model.num_slots,
                  .num_threads = at::get_num_threads()};
  if (!compute.device.is_cpu()) {
    return device_places(model::num_devices(), model.num_engines, room);
  }
  room.weights = [&] {
    return model::weight_bytes(
        model::check_weights(model.path, at::kMeta, compute.dtype),
        compute.dtype, rounding_of(model, compute));
  };
  room.available = model::free_memory(compute.device);
  return cpu_places(processor_nodes(), model.num_engines, room);
}

generate::RemoteAdapter served_adapter(const recipe::ModelOptions& model,
                                       const std::string& adapter) {
  if (adapter.empty()) return {};
  if (formats::is_tuned_model(adapter) && model.loads_adapters) {
    throw Error(
        ErrorKind::kUsage,
        str(model.place(),
            ": expected an adapter that servers load, found a model "
            "that was tuned whole, ",
            adapter, "; let a command restart them with it (serve.reload)"));
  }
  return {stages::served_name(adapter),
          std::filesystem::weakly_canonical(std::filesystem::absolute(adapter)),
          model.loads_adapters};
}

std::unique_ptr<generate::Generator> open_served(
    const recipe::ModelOptions& model, const std::string& adapter) {
  const auto options_at =
      [model, of = served_adapter(model, adapter)](const std::string& address) {
        generate::RemoteOptions options;
        options.model = address;
        options.api = model.api;
        options.adapter = of;
        options.http.num_in_flight = model.num_slots;
        const std::string base =
            generate::parse_remote_address(address, generate::RemoteApi::kAuto)
                .base;
        options.http.api_key =
            generate::key_for(*generate::origin_of(base), model.api_key_file);
        return options;
      };
  if (model.servers.empty()) {
    return generate::make_remote_generator(options_at(model.path));
  }
  generate::FleetOptions fleet;
  fleet.servers = model.servers;
  fleet.num_in_flight = model.num_slots;
  fleet.open = [options_at](const std::string& address,
                            const generate::LaneContext& lane) {
    // What one server does not do another may.
    constexpr int kTries = 3;
    generate::RemoteOptions options = options_at(address);
    options.http.num_in_flight = lane.max_in_flight;
    options.http.goes_on = lane.goes_on;
    options.http.max_tries = kTries;
    return generate::make_remote_generator(options);
  };
  return generate::make_fleet(fleet);
}

// What a training is on; `is_ours`: it is made by train_model().
model::Weights training_base(const model::Weights& weights,
                             const TuneOptions& options, bool is_ours) {
  return is_ours && !options.is_full() ? train::frozen_base(weights)
                                       : model::held_weights(weights);
}

}  // namespace

std::string other_base(const std::string& adapter, const std::string& digest) {
  std::string trained_on;
  try {
    const auto carried = stages::read_adapter_prompt(adapter);
    if (carried) trained_on = carried->base;
  } catch (const Error&) {
    return "";  // whoever asks under its prompt was told
  }
  // "local DIGEST, cpu float32, ...": the rest is how it was computed.
  trained_on = trained_on.substr(0, trained_on.find(','));
  return trained_on.ends_with(digest) ? "" : trained_on;
}

TokenizedSample tokenize_sample(const text::Tokenizer& tokenizer,
                                const stages::TrainingSample& sample,
                                int64_t max_length) {
  TokenizedSample result;
  std::vector<int>& inputs = result.sample.inputs;
  // The last target of max_length tokens is no input.
  const auto predict = [&](int token) {
    const int64_t row = static_cast<int64_t>(inputs.size()) - 1;
    if (row < 0) return;  // nothing predicts the first token
    if (row + 2 > max_length) {
      result.truncated = true;
      return;
    }
    result.sample.loss_rows.push_back(row);
    result.sample.targets.push_back(token);
  };
  if (tokenizer.adds_bos() && tokenizer.bos() >= 0) {
    inputs.push_back(tokenizer.bos());
  }
  generate::PieceTokenizer pieces(tokenizer);
  for (const stages::TrainingTurn& turn : sample.turns) {
    const std::vector<int> prompt = pieces.next(turn.prompt);
    inputs.insert(inputs.end(), prompt.begin(), prompt.end());
    for (const int token : pieces.next(turn.response)) {
      if (turn.learn) predict(token);
      inputs.push_back(token);
    }
    if (turn.learn && turn.ends) predict(tokenizer.eos());
  }
  const std::vector<int64_t>& rows = result.sample.loss_rows;
  inputs.resize(rows.empty() ? 0 : static_cast<size_t>(rows.back()) + 1);
  return result;
}

std::shared_ptr<const model::Weights> LocalWorkbench::weights(
    const recipe::ModelOptions& model) {
  require_local(model.path);
  const model::Compute compute =
      model::choose_compute(model.device, model.dtype);
  const model::Rounding rounding = rounding_of(model, compute);
  const std::string name =
      model.path + "\n" + model::describe(compute) + model::describe(rounding);
  if (!weights_ || weights_name_ != name) {
    const ProfileSlice slice("load weights");
    weights_.reset();
    copies_.clear();
    log_info(str("loading ", model.path, " (", model::describe(compute),
                 model::describe(rounding), ", ", at::get_num_threads(),
                 " threads)"));
    require_room(model, compute);
    weights_ = std::make_shared<const model::Weights>(
        compute.device.is_cpu()
            ? model::open_weights(model.path, compute.dtype, rounding)
            : model::load_weights(model.path, compute.device, compute.dtype));
    weights_name_ = name;
  }
  return weights_;
}

std::shared_ptr<const text::Tokenizer> LocalWorkbench::tokenizer(
    const std::string& path) {
  require_local(path);
  if (!tokenizer_ || tokenizer_path_ != path) {
    tokenizer_ = formats::load_tokenizer(path);
    tokenizer_path_ = path;
  }
  return tokenizer_;
}

void LocalWorkbench::check_full(const recipe::ModelOptions& model,
                                const TuneOptions& options) {
  const model::Compute compute =
      model::choose_compute(model.device, model.dtype);
  require_full(model, options,
               model::check_weights(model.path, at::kMeta, compute.dtype),
               compute);
}

void LocalWorkbench::check_model(const recipe::ModelOptions& model,
                                 const std::string& adapter, bool trains) {
  if (model.is_served()) {
    if (trains) require_local(model.place());
    open_served(model, adapter);
    return;
  }
  const model::Compute compute =
      model::choose_compute(model.device, model.dtype);
  const formats::ModelConfig config = model::check_weights(
      model.path, compute.device, compute.dtype, rounding_of(model, compute));
  if (!weights_) require_room(model, compute);
  const std::shared_ptr<const text::Tokenizer> words = tokenizer(model.path);
  require_fit(model.path, *words, config);
  if (trains) require_end(model.path, *words);
  if (formats::is_tuned_model(adapter)) {
    model::check_weights(adapter, compute.device, compute.dtype,
                         rounding_of(model, compute));
  } else if (!adapter.empty()) {
    model::load_lora(adapter, config, at::kCPU);
  }
}

stages::CheckModel LocalWorkbench::checks() {
  return [this](const recipe::ModelOptions& model, bool trains) {
    check_model(model, "", trains);
  };
}

std::unique_ptr<generate::Generator> LocalWorkbench::open_generator(
    const recipe::ModelOptions& model, const std::string& adapter) {
  if (model.is_served()) return open_served(model, adapter);
  const bool is_tuned = formats::is_tuned_model(adapter);
  recipe::ModelOptions loaded = model;
  if (is_tuned) loaded.path = adapter;
  const std::vector<engine::EnginePlace> at = engine_places(loaded);
  auto bases = all_weights(loaded, at.size());
  const std::shared_ptr<const text::Tokenizer> words = tokenizer(loaded.path);
  require_fit(loaded.path, *words, bases[0]->config);
  engine::EngineOptions options;
  options.num_slots = model.num_slots;
  options.max_context = model.max_context;
  options.int8_prefix = has_int8_prefix(model, *bases[0]);
  if (!adapter.empty() && !is_tuned) {
    warn_of_other_base(adapter, model, *bases[0]);
    for (auto& base : bases) {
      const model::Lora lora =
          model::load_lora(adapter, base->config, base->device());
      if (!lora.note.empty() && base == bases[0]) log_warning(lora.note);
      require_room(adapter, *base, lora, model.num_slots);
      auto merged = std::make_shared<model::Weights>(*base);
      model::merge_lora(*merged, lora);
      base = std::move(merged);
    }
  }
  const auto make = [&](size_t i) {
    return engine::make_engine(bases[i % bases.size()], words, options);
  };
  if (at.size() == 1) return make(0);
  log_info(str(loaded.path, ": ", at.size(), " engines, of ",
               counted(at[0].num_threads, "thread"), " each"));
  return engine::make_engine_team(at, make);
}

std::vector<std::shared_ptr<const model::Weights>> LocalWorkbench::all_weights(
    const recipe::ModelOptions& model, size_t num) {
  std::vector<std::shared_ptr<const model::Weights>> all = {weights(model)};
  // Engines on one CPU read the same, and pack them for each node.
  if (all[0]->device().is_cpu()) return all;
  for (size_t i = 1; i < num; ++i) {
    if (copies_.size() < i) {
      const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(i));
      require_device_memory(
          model.path,
          device_needs(all[0]->config, all[0]->dtype(), model.num_slots),
          model::free_memory(device));
      copies_.push_back(std::make_shared<const model::Weights>(
          model::load_weights(model.path, device, all[0]->dtype())));
    }
    all.push_back(copies_[i - 1]);
  }
  return all;
}

std::vector<bool> LocalWorkbench::fit(
    const recipe::ModelOptions& model, const TuneOptions& options,
    const std::vector<stages::TrainingSample>& samples) {
  const std::shared_ptr<const text::Tokenizer> words = tokenizer(model.path);
  std::vector<bool> fits;
  for (const stages::TrainingSample& sample : samples) {
    const TokenizedSample one =
        tokenize_sample(*words, sample, options.max_length);
    fits.push_back(!one.sample.targets.empty());
  }
  return fits;
}

stages::TuneReport LocalWorkbench::tune(
    const recipe::ModelOptions& model, const TuneOptions& options,
    const recipe::TrainerOptions& trainer,
    const std::vector<stages::TrainingSample>& samples,
    const std::string& folder) {
  const std::shared_ptr<const model::Weights> base = weights(model);
  const std::shared_ptr<const text::Tokenizer> words = tokenizer(model.path);
  require_end(model.path, *words);
  stages::TuneReport report;
  std::vector<train::Sample> tokenized;
  for (const stages::TrainingSample& sample : samples) {
    TokenizedSample one = tokenize_sample(*words, sample, options.max_length);
    // A prompt that fills max_length leaves nothing to learn from.
    if (one.sample.targets.empty()) continue;
    report.num_truncated += one.truncated ? 1 : 0;
    tokenized.push_back(std::move(one.sample));
  }
  if (tokenized.empty()) {
    throw Error(ErrorKind::kInput,
                str(folder, ": expected samples to train on, found ",
                    samples.size(), ", none with a response within ",
                    options.max_length, " tokens; raise max_length"));
  }
  if (const size_t num_left_out = samples.size() - tokenized.size()) {
    log_warning(str(folder, ": ", num_left_out, " of ",
                    counted(int64_t(samples.size()), "sample"),
                    num_left_out == 1 ? " is" : " are",
                    " left out: the prompt alone fills the ",
                    options.max_length,
                    " tokens of max_length; raise it to learn from them"));
  }
  if (options.is_full() && !trainer.is_command()) {
    check_full(model, options);
  }
  warn_of_rate(options);
  make_folder(folder);
  const TrainingLock lock(folder);
  require_plain_folder(str(folder, "/", options.result_folder()));
  if (options.is_full()) require_free_place(folder, model.path);
  train::TrainOptions settings;
  static_cast<TuneOptions&>(settings) = options;
  settings.folder = folder;
  settings.base_model = model.path;
  settings.save_model = [&](const model::Weights& tuned) {
    write_tuned_model(model.path, tuned, str(folder, "/model"));
  };
  settings.has_model = [&] {
    try {
      model::check_weights(str(folder, "/model"), at::kMeta, at::kFloat);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const std::string made = std::exchange(made_by_hand_, "");
  const bool is_ours = made.empty() && !trainer.is_command();
  const model::Weights held = training_base(*base, options, is_ours);
  train::TrainReport done;
  if (!made.empty()) {
    done = adopt_by_hand(made, model.path, held, tokenized, settings);
  } else if (trainer.is_command()) {
    done = train_by_command(trainer.command, model.path, held, tokenized,
                            settings);
    report.trained_by = "by command: " + trainer.command;
  } else {
    done = train::train_model(held, tokenized, settings);
  }
  if (!done.adopted_from.empty()) {  // now, or by an adoption that was killed
    report.trained_by = "by hand: " + done.adopted_from;
  }
  report.num_samples = static_cast<int64_t>(tokenized.size());
  report.num_tokens = done.num_tokens;
  report.num_steps = done.num_steps;
  report.loss_before = done.loss_before;
  report.loss_after = done.loss_after;
  report.validation_before = done.validation_before;
  report.validation_after = done.validation_after;
  report.digest = done.digest;
  return report;
}

}  // namespace selfalign::local
