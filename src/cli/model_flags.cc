#include "cli/model_flags.h"

#include "cli/options.h"

namespace selfalign::cli {

void ModelFlags::add_compute(CLI::App& command) {
  command
      .add_option("--device", model.device,
                  "auto, cpu or cuda; auto takes a GPU where there is one")
      ->check(one_of(ranges::kDevices))
      ->capture_default_str();
  command
      .add_option("--dtype", model.dtype,
                  "auto, float32 or bfloat16; auto is what the device is "
                  "fast in")
      ->check(one_of(ranges::kDtypes))
      ->capture_default_str();
}

void ModelFlags::add_engine(CLI::App& command) {
  command
      .add_option("--slots", model.num_slots,
                  "rows decoded together; fewer answer one row sooner, more "
                  "do more rows an hour")
      ->check(in_range(ranges::kNumSlots))
      ->capture_default_str();
  command
      .add_option("--max-context", model.max_context,
                  "tokens of prompt and completion together, at most")
      ->check(in_range(ranges::kMaxContext))
      ->capture_default_str();
}

void ModelFlags::add_all(CLI::App& command) {
  command
      .add_option("--model", model.path,
                  "HF folder, GGUF file or http://HOST:PORT/v1#NAME, a model "
                  "behind an OpenAI-compatible server")
      ->required();
  command.add_option("--adapter", adapter,
                     "PEFT adapter folder, merged into the model");
  add_compute(command);
  add_engine(command);
}

}  // namespace selfalign::cli
