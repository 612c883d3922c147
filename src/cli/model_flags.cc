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

void ModelFlags::add_api(CLI::App& command) {
  command
      .add_option("--api", model.api,
                  "of a model behind a server: completions, chat, or auto, "
                  "which takes a chat where the server does not complete texts")
      ->check(CLI::IsMember({"auto", "chat", "completions"}))
      ->capture_default_str();
}

void ModelFlags::add_price(CLI::App& command) {
  command
      .add_option("--price", prices,
                  "IN,OUT of a million tokens, or NAME=IN,OUT for the "
                  "server's model NAME; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

stages::ModelOptions ModelFlags::model_at(const std::string& path) const {
  stages::ModelOptions options = model;
  options.path = path;
  bool named = false;
  for (const std::string& text : prices) {
    const size_t mark = text.rfind('=');
    const generate::Price price = generate::price_from_text(
        mark == std::string::npos ? text : text.substr(mark + 1));
    const bool has_name = mark != std::string::npos;
    if (has_name ? path.ends_with("#" + text.substr(0, mark)) : !named) {
      options.price = price;
      named = named || has_name;
    }
  }
  return options;
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
