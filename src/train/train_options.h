// How a model learns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace selfalign::train {

// Settings; sentence per field in recipe/recipe.h (TuneOptions), which the
// command line copies here.
struct TrainOptions {
  int64_t rank = 16;
  double alpha = 16.0;
  double dropout = 0.05;
  int epochs = 1;
  int batch_size = 768;
  double learning_rate = 4e-4;
  int warmup_steps = 100;
  double weight_decay = 0.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;
  int checkpoint_steps = 10;
  int64_t pack_tokens = 1024;  // tokens of one forward pass, about
  uint64_t seed = 0;
  std::string folder;             // checkpoint, metrics.jsonl, tensorboard/
  std::string base_model;         // named in adapter_config.json
  std::function<void()> on_pack;  // called after every forward/backward pass
};

}  // namespace selfalign::train
