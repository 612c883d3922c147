// SPDX-License-Identifier: Apache-2.0
#include "train/handoff_configs.h"

#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/joined.h"

namespace selfalign::train {
namespace {

constexpr int kUnlearnt = -100;

// A text as YAML and JSON both have it.
std::string quoted(const std::string& text) { return dump_json(Json(text)); }

std::string boolean(bool value) { return value ? "true" : "false"; }

// transformers' warm-up is linear.
std::string scheduler(const TrainOptions& options) {
  return options.lr_scheduler == "constant" ? "constant_with_warmup"
                                            : options.lr_scheduler;
}

std::vector<std::string> targets_of(const Json& settings) {
  return settings["target_modules"].get<std::vector<std::string>>();
}

}  // namespace

Json tokenized_sample(const Sample& sample) {
  std::vector<int> ids = sample.inputs;
  const auto end = int64_t(ids.size());
  if (!sample.loss_rows.empty() && sample.loss_rows.back() + 1 == end) {
    ids.push_back(sample.targets.back());
  }
  std::vector<int> labels(ids.size(), kUnlearnt);
  for (size_t i = 0; i < sample.targets.size(); ++i) {
    const auto place = size_t(sample.loss_rows[i]) + 1;
    if (ids.at(place) == sample.targets[i]) labels[place] = ids[place];
  }
  return {{"input_ids", ids},
          {"attention_mask", std::vector<int>(ids.size(), 1)},
          {"labels", labels}};
}

std::string axolotl_config(const std::string& base, const TrainOptions& options,
                           const Json& settings) {
  std::ostringstream out;
  out << "# The same training for axolotl: axolotl train axolotl.yaml\n"
         "# Its warm-up is linear and its order of samples its own, so the "
         "result is\n# another; take it with: selfalign adopt RUN "
         "axolotl-output\n"
      << "base_model: " << quoted(base)
      << "\ndatasets:\n  - path: " << kTokenized
      << "\n    ds_type: json\noutput_dir: axolotl-output\n";
  if (!options.is_full()) {
    out << "adapter: lora\nlora_r: " << settings["rank"]
        << "\nlora_alpha: " << settings["alpha"]
        << "\nlora_dropout: " << settings["dropout"]
        << "\npeft_use_rslora: " << boolean(options.use_rslora)
        << "\nlora_target_modules:\n";
    for (const std::string& name : targets_of(settings)) {
      out << "  - " << name << "\n";
    }
  }
  out << "sequence_len: " << options.max_length
      << "\nsample_packing: true\nmicro_batch_size: 1\n"
         "gradient_accumulation_steps: "
      << options.batch_size << "  # divided by the number of GPUs\n"
      << "num_epochs: " << options.epochs
      << "\noptimizer: adamw_torch\nlearning_rate: " << options.learning_rate
      << "\nlr_scheduler: " << scheduler(options)
      << "\nwarmup_steps: " << options.warmup_steps
      << "\nweight_decay: " << options.weight_decay
      << "\nmax_grad_norm: " << options.max_grad_norm
      << "\nbf16: " << boolean(settings["dtype"] == "bfloat16")
      << "\ngradient_checkpointing: " << boolean(options.gradient_checkpointing)
      << "\nseed: " << options.seed << "\n";
  return out.str();
}

std::string llama_factory_config(const std::string& base,
                                 const TrainOptions& options,
                                 const Json& settings) {
  std::ostringstream out;
  out << "# The same training for LLaMA-Factory. Once, with `datasets`:\n"
         "#   python -c \"from datasets import load_dataset as l; l('json', "
         "data_files='"
      << kTokenized
      << "').save_to_disk('tokenized')\"\n"
         "# then: llamafactory-cli train llama_factory.yaml\n"
         "# Its warm-up is linear and its order of samples its own, so the "
         "result is\n# another; take it with: selfalign adopt RUN "
         "llama-factory-output\n"
      << "model_name_or_path: " << quoted(base)
      << "\nstage: sft\ndo_train: true\ntokenized_path: tokenized\n"
         "template: empty\noutput_dir: llama-factory-output\n"
         "finetuning_type: "
      << options.method << "\n";
  if (!options.is_full()) {
    out << "lora_rank: " << settings["rank"]
        << "\nlora_alpha: " << settings["alpha"]
        << "\nlora_dropout: " << settings["dropout"]
        << "\nuse_rslora: " << boolean(options.use_rslora)
        << "\nlora_target: " << joined(targets_of(settings), ",") << "\n";
  }
  out << "cutoff_len: " << options.max_length
      << "\nper_device_train_batch_size: 1\ngradient_accumulation_steps: "
      << options.batch_size << "  # divided by the number of GPUs\n"
      << "num_train_epochs: " << options.epochs
      << "\nlearning_rate: " << options.learning_rate
      << "\nlr_scheduler_type: " << scheduler(options)
      << "\nwarmup_steps: " << options.warmup_steps
      << "\nweight_decay: " << options.weight_decay
      << "\nmax_grad_norm: " << options.max_grad_norm
      << "\nbf16: " << boolean(settings["dtype"] == "bfloat16")
      << "\nseed: " << options.seed << "\n";
  return out.str();
}

}  // namespace selfalign::train
