// SPDX-License-Identifier: Apache-2.0
#include "train/handoff.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/interrupt.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "base/sha256.h"
#include "formats/peft.h"
#include "formats/tensor_source.h"
#include "model/load_weights.h"
#include "train/handoff_configs.h"
#include "train/optimizer.h"
#include "train/packing.h"
#include "train/split.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;

constexpr char kFormat[] = "selfalign handoff 1";
constexpr char kResultFormat[] = "selfalign handoff result 1";
constexpr char kSamples[] = "samples.jsonl";
constexpr char kHeldBack[] = "held_back.jsonl";
constexpr char kSteps[] = "steps.jsonl";
constexpr char kInitial[] = "initial";
constexpr char kDescription[] = "/handoff.json";
constexpr char kResult[] = "/result.json";
constexpr char kMetrics[] = "/metrics.jsonl";
constexpr uint64_t kMaxMetrics = uint64_t{1} << 30;

constexpr char kScript[] =
#include "handoff_train.py.inc"
    ;

// A file of JSON lines that knows its digest; only that where the folder is "".
class LinesFile {
 public:
  LinesFile(const std::string& folder, const char* name) : name_(name) {
    if (!folder.empty()) file_.emplace(str(folder, "/", name), 0);
  }
  void add(const Json& line) {
    const std::string text = dump_json(line) + "\n";
    if (file_) file_->append(text);
    digest_.add(text);
    ++count_;
  }
  Json close() {
    if (file_) file_->sync();
    return {{"file", name_}, {"count", count_}, {"sha256", digest_.hex()}};
  }

 private:
  const char* const name_;
  std::optional<OwnFile> file_;
  Sha256 digest_;
  int64_t count_ = 0;
};

Json sample_json(const Sample& sample) {
  std::vector<int64_t> targets(sample.inputs.size(), -100);
  for (size_t i = 0; i < sample.targets.size(); ++i) {
    targets[size_t(sample.loss_rows[i])] = sample.targets[i];
  }
  return {{"tokens", sample.inputs}, {"targets", std::move(targets)}};
}

Json write_samples(const std::string& folder, const char* name,
                   const std::vector<Sample>& samples) {
  LinesFile file(folder, name);
  for (const Sample& sample : samples) file.add(sample_json(sample));
  return file.close();
}

Json write_steps(const std::string& folder, const TrainOptions& options,
                 size_t num_samples) {
  LinesFile file(folder, kSteps);
  StepSamples steps(options, num_samples);
  for (int64_t step = 0; step < steps.count(); ++step) {
    file.add(
        {{"samples", steps.of(step)},
         {"learning_rate", learning_rate_at(options, step, steps.count())}});
  }
  return file.close();
}

// The adapter that training begins from, as PEFT reads it.
void write_initial(const std::string& folder, const std::string& base,
                   const model::Weights& weights, const TrainOptions& options) {
  if (options.is_full()) return;
  formats::AdapterConfig settings = adapter_config(options);
  settings.base_model = base;
  model::save_lora(str(folder, "/", kInitial),
                   init_lora(weights.config, options), weights.config,
                   settings);
}

Json settings_json(const std::string& folder, const model::Weights& weights,
                   const TrainOptions& options) {
  Json json = {
      {"method", options.method},
      {"weight_decay", options.weight_decay},
      {"max_grad_norm", options.max_grad_norm},
      {"adam_beta1", options.adam_beta1},
      {"adam_beta2", options.adam_beta2},
      {"adam_epsilon", options.adam_epsilon},
      {"pack_tokens", options.pack_tokens},
      {"gradient_checkpointing", options.gradient_checkpointing},
      {"dtype", weights.dtype() == at::kFloat ? "float32" : "bfloat16"},
      {"seed", options.seed},
      {"checkpoint_steps", options.checkpoint_steps}};
  if (options.is_full()) return json;
  // In the words of the family's modules.
  const auto initial = formats::read_adapter_config(str(folder, "/", kInitial));
  json["rank"] = initial.rank;
  json["alpha"] = initial.alpha;
  json["dropout"] = initial.dropout;
  json["target_modules"] = initial.target_modules;
  json["use_rslora"] = initial.use_rslora;
  json["rank_pattern"] = initial.rank_pattern;
  json["alpha_pattern"] = initial.alpha_pattern;
  return json;
}

[[noreturn]] void refuse(const std::string& where, const std::string& expected,
                         const std::string& found, const std::string& advice) {
  throw Error(ErrorKind::kFailed, str(where, ": expected ", expected,
                                      ", found ", found, "; ", advice));
}

constexpr char kLook[] =
    "look into log.txt beside it, and run the command again";

// What the training says of itself, if it was made of what was handed on.
Json checked_result(const Handoff& handoff) {
  const std::string path = handoff.folder + kResult;
  if (!has_result(handoff)) {
    refuse(path, "what the training made", "no such file", kLook);
  }
  Json result = parse_json(read_file(path, 1 << 20), path);
  const std::string format = json_string(result, "format", path);
  if (format != kResultFormat) refuse(path, kResultFormat, format, kLook);
  const int64_t steps = json_int(result, "steps", path);
  if (steps != handoff.num_steps) {
    refuse(path, str(handoff.num_steps, " steps"), str(steps), kLook);
  }
  for (const auto& [key, want] :
       {std::pair("samples_sha256", handoff.samples_sha256),
        {"steps_sha256", handoff.steps_sha256}}) {
    const std::string found = json_string(result, key, path);
    if (found == want) continue;
    refuse(path, str(key, " ", want), found,
           "the result was made of other data; train on the files of this "
           "folder");
  }
  return result;
}

// Of a command that says what it found before it trained, that it was on this
// base.
void check_base(const Handoff& handoff, const Json& result, double before,
                bool is_exact) {
  int64_t num_targets = 0;
  for (const Sample& sample : handoff.held_back) {
    num_targets += int64_t(sample.targets.size());
  }
  // What other kernels, and half precision of few tokens, may make of it.
  const double most =
      0.02 * before + (is_exact ? 0.02 : 0.2) / std::sqrt(double(num_targets));
  const auto found = result.find("held_back_before");
  if (found == result.end() || !found->is_number()) return;
  const double theirs = found->get<double>();
  if (std::abs(theirs - before) <= most) return;
  refuse(handoff.folder + kResult,
         str("a loss of ", before,
             " on what was held back, before the "
             "training, as this base has"),
         str(theirs), "train the base that handoff.json names");
}

void check_gain(const Handoff& handoff, double before, double after) {
  if (!std::isfinite(after)) {
    refuse(handoff.folder, "finite values of what was trained",
           "some that are none: its loss is no number",
           "look at its metrics, and train with other settings");
  }
  if (after < before) return;
  refuse(handoff.folder,
         str("a loss below ", before, " on the ", handoff.held_back.size(),
             " samples that were held back"),
         str(after),
         "what was trained is no better than the base; look at its metrics, "
         "and train with other settings");
}

// The same modules, ranks and scales as what was to be trained.
void check_lora(const std::string& folder, const model::Lora& found,
                const model::Lora& wanted) {
  for (size_t i = 0; i < wanted.layers.size(); ++i) {
    for (size_t j = 0; j < formats::kNumProjections; ++j) {
      const model::LoraPair& want = wanted.layers[i].*model::kLoraPairs[j];
      const model::LoraPair& have = found.layers[i].*model::kLoraPairs[j];
      const auto described = [](const model::LoraPair& pair) {
        return pair.a.defined()
                   ? str("rank ", pair.a.size(0), ", scale ", pair.scale)
                   : std::string("no adapter");
      };
      if (described(want) == described(have)) continue;
      refuse(str(folder, ": layer ", i, ", ", formats::kProjectionNames[j]),
             described(want), described(have),
             "train with the settings of handoff.json");
    }
  }
}

// Not what a trainer leaves beside them, as the state of its optimizer.
bool is_of_model(const fs::path& file) {
  constexpr std::array kEndings = {".json",  ".safetensors", ".model",
                                   ".jinja", ".txt",         ".md"};
  return is_file(file) && (file.filename() == "LICENSE" ||
                           std::find(kEndings.begin(), kEndings.end(),
                                     file.extension()) != kEndings.end());
}

// A model's files, or an adapter's, in a folder that is made for them.
void copy_files(const std::string& from, const std::string& to) {
  constexpr size_t kPiece = size_t{64} << 20;
  fs::remove_all(to);
  make_folder(to);
  for (const fs::path file : list_folder(from)) {
    if (!is_of_model(file)) continue;
    const MappedFile map(file);
    OwnFile copy(str(to, "/", file.filename().string()), 0);
    for (size_t at = 0; at < map.bytes().size(); at += kPiece) {
      stop_if_interrupted("the same command begins anew");
      copy.append(map.bytes().substr(at, kPiece));
    }
    copy.sync();
    map.require_unchanged();
  }
}

bool is_same(const std::string& path, const std::string& other) {
  std::error_code ignored;
  return fs::equivalent(path, other, ignored);
}

// `path`, or it with the first number behind it that nothing has.
std::string unused_place(const std::string& path) {
  std::string place = path;
  for (int i = 2; fs::exists(fs::symlink_status(place)); ++i) {
    place = str(path, ".", i);
  }
  return place;
}

struct Losses {
  double before, after;
};
Losses losses_of(const std::vector<Sample>& samples, const model::Weights& base,
                 const model::Weights& tuned, const model::Lora* lora,
                 const TrainOptions& options) {
  return {mean_loss(base, nullptr, samples, options.pack_tokens),
          mean_loss(tuned, lora, samples, options.pack_tokens)};
}

}  // namespace

double held_back_share(const TrainOptions& options, size_t num_samples) {
  if (options.validation_share > 0.0) return options.validation_share;
  constexpr double kShare = 0.02, kMost = 16.0;
  return std::min(kShare, kMost / double(std::max<size_t>(num_samples, 1)));
}

Handoff write_handoff(const std::string& folder, const std::string& base,
                      const model::Weights& weights,
                      const std::vector<Sample>& samples,
                      const TrainOptions& options) {
  check_samples(samples, weights.config);
  Handoff handoff{folder, base, {}, {}, 0, "", ""};
  SplitSamples split =
      split_samples(samples, held_back_share(options, samples.size()), options);
  handoff.learnt = std::move(split.learnt);
  handoff.held_back = std::move(split.held_out);
  handoff.num_steps = StepSamples(options, handoff.learnt.size()).count();
  make_folder(folder);
  require_plain_folder(folder);
  const std::string path = folder + kDescription;
  const bool is_there = fs::exists(path);
  if (!is_there) write_initial(folder, base, weights, options);
  const std::string to = is_there ? "" : folder;
  const Json json = {
      {"format", kFormat},
      {"base", {{"path", base}, {"fingerprint", weights.digest}}},
      {"samples", write_samples(to, kSamples, handoff.learnt)},
      {"held_back", write_samples(to, kHeldBack, handoff.held_back)},
      {"steps", write_steps(to, options, handoff.learnt.size())},
      {"initial", options.is_full() ? Json() : Json(kInitial)},
      {"training", settings_json(folder, weights, options)}};
  handoff.samples_sha256 = json.at("samples").at("sha256");
  handoff.steps_sha256 = json.at("steps").at("sha256");
  if (!is_there) {
    LinesFile tokenized(folder, kTokenized);
    for (const Sample& sample : handoff.learnt) {
      tokenized.add(tokenized_sample(sample));
    }
    tokenized.close();
    write_file_atomic(folder + "/axolotl.yaml",
                      axolotl_config(base, options, json["training"]));
    write_file_atomic(folder + "/llama_factory.yaml",
                      llama_factory_config(base, options, json["training"]));
    write_file_atomic(folder + "/train.py", kScript);
    write_json_file(path, json, 1);  // the last: then all is there
    return handoff;
  }
  if (parse_json(read_file(path, 1 << 20), path) == json) return handoff;
  throw Error(ErrorKind::kDamaged,
              str(path,
                  ": expected the hand-off of these samples, settings "
                  "and base, found that of others; move the folder away "
                  "to train anew"));
}

bool has_result(const Handoff& handoff) {
  return is_file(handoff.folder + kResult);
}

std::vector<StepMetrics> new_metrics(const Handoff& handoff, uint64_t& done) {
  std::vector<StepMetrics> metrics;
  const std::string path = handoff.folder + kMetrics;
  if (!is_file(path)) return metrics;
  std::error_code ignored;
  if (fs::file_size(path, ignored) == done) return metrics;  // nothing came
  const std::string text = read_file(path, kMaxMetrics);
  if (text.size() < done) done = 0;  // written anew
  for (size_t end = text.find('\n', done); end != std::string::npos;
       end = text.find('\n', done)) {
    const std::string line = text.substr(done, end - done);
    done = end + 1;
    try {
      metrics.push_back(metrics_from_line(line, path));
    } catch (const Error&) {
      continue;  // a person's, or another program's
    }
  }
  return metrics;
}

Placed place_result(const Handoff& handoff, const std::string& made,
                    const TrainOptions& options) {
  if (options.is_full()) {
    model::check_weights(made, at::kMeta, at::kFloat);
  } else {
    // Also that the file is as long as its header says, before it is copied.
    formats::require_adapter(made);
    formats::open_safetensors(made + "/adapter_model.safetensors");
  }
  const std::string to = str(handoff.folder, "/", options.result_folder());
  Placed placed;
  if (!is_same(made, to)) {
    // What a killed adoption left there may be what is adopted now.
    const std::string copy =
        to + (is_same(made, to + ".new") ? ".new.2" : ".new");
    for (const std::string& place : {to, copy}) require_plain_folder(place);
    copy_files(made, copy);
    if (fs::exists(to)) {
      placed.replaced = unused_place(to + ".replaced");
      fs::rename(to, placed.replaced);
    }
    fs::rename(copy, to);
    placed.is_copy = true;
  }
  write_json_file(handoff.folder + kResult,
                  {{"format", kResultFormat},
                   {"steps", handoff.num_steps},
                   {"samples_sha256", handoff.samples_sha256},
                   {"steps_sha256", handoff.steps_sha256},
                   {"adopted_from", made}},
                  1);
  return placed;
}

void withdraw_result(const Handoff& handoff, const Placed& placed,
                     const TrainOptions& options) {
  if (!placed.is_copy) return;
  const std::string to = str(handoff.folder, "/", options.result_folder());
  fs::remove_all(to);
  if (!placed.replaced.empty()) fs::rename(placed.replaced, to);
}

TrainReport adopt_result(const Handoff& handoff, const model::Weights& weights,
                         const TrainOptions& options) {
  const at::NoGradGuard no_graph;
  const Json result = checked_result(handoff);
  model::Weights tuned = weights;
  model::Lora lora;
  const std::string made = str(handoff.folder, "/", options.result_folder());
  if (options.is_full()) {
    tuned = model::load_weights(made, weights.device(), weights.dtype());
  } else {
    lora = model::load_lora(made, weights.config, weights.device());
    check_lora(made, lora, init_lora(weights.config, options));
  }
  const model::Lora* const pairs = options.is_full() ? nullptr : &lora;
  const Losses held_back =
      losses_of(handoff.held_back, weights, tuned, pairs, options);
  check_base(handoff, result, held_back.before, weights.dtype() == at::kFloat);
  check_gain(handoff, held_back.before, held_back.after);
  const Losses report =
      losses_of(report_samples(handoff.learnt), weights, tuned, pairs, options);
  if (options.is_full()) {
    options.save_model(tuned);
  } else {
    model::save_lora(options.folder + "/adapter", lora, weights.config,
                     adapter_config(options));
  }
  TrainReport out;
  out.adopted_from = json_string_or(result, "adopted_from", "result.json", "");
  out.num_steps = handoff.num_steps;
  for (const Sample& sample : handoff.learnt) {
    out.num_tokens += int64_t(sample.targets.size());
  }
  out.loss_before = report.before;
  out.loss_after = report.after;
  out.digest =
      options.is_full() ? weights_digest(tuned) : model::lora_digest(lora);
  out.validation_before = held_back.before;
  out.validation_after = held_back.after;
  return out;
}

}  // namespace selfalign::train
