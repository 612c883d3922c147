// SPDX-License-Identifier: Apache-2.0
#include "cli/model_flags.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "cli/setting_flags.h"
#include "cli/unused_options.h"
#include "generate/remote.h"

namespace selfalign::cli {
namespace {

// "NAME=IN,OUT" in two; without a name where there is none.
std::pair<std::optional<std::string>, std::string> split_price(
    const std::string& text) {
  const size_t mark = text.rfind('=');
  if (mark == std::string::npos) return {std::nullopt, text};
  return {text.substr(0, mark), text.substr(mark + 1)};
}

// "http://HOST/v1#NAME" is NAME; an address without one is itself.
std::string served_name(const std::string& path) {
  return path.substr(path.rfind('#') + 1);
}

bool is_named(const std::string& path, const std::string& name) {
  return !name.empty() && served_name(path) == name;
}

}  // namespace

void ModelFlags::add_compute(CLI::App& command) {
  FlagMaker flag(command);
  recipe::ModelOptions::describe_compute(flag, model);
}

void ModelFlags::add_engine(CLI::App& command) {
  FlagMaker flag(command);
  recipe::ModelOptions::describe_engine(flag, model);
}

void ModelFlags::add_api(CLI::App& command) {
  command
      .add_option("--api", model.api,
                  "of a model behind a server: completions, chat, or auto, "
                  "which takes a chat where the server does not complete texts")
      ->check(CLI::IsMember({"auto", "chat", "completions"}))
      ->capture_default_str();
  command.add_option("--api-key-file", model.api_key_file,
                     "of lines HOST KEY, that only you may read; else the "
                     "variable SELFALIGN_REMOTE_KEY=\"HOST KEY\"");
}

void ModelFlags::add_price(CLI::App& command) {
  command
      .add_option("--price", prices,
                  "IN,OUT of a million tokens, or NAME=IN,OUT for the "
                  "server's model NAME; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

recipe::ModelOptions ModelFlags::model_at(const std::string& path) const {
  recipe::ModelOptions options = model;
  options.path = path;
  put_price(options);
  return options;
}

recipe::ModelOptions ModelFlags::over(recipe::ModelOptions recipe,
                                      const CLI::App& command) const {
  const auto put = [&](const char* name, auto member) {
    if (command.count(name) > 0) recipe.*member = model.*member;
  };
  put("--device", &recipe::ModelOptions::device);
  put("--dtype", &recipe::ModelOptions::dtype);
  put("--weights", &recipe::ModelOptions::weights);
  put("--slots", &recipe::ModelOptions::num_slots);
  put("--max-context", &recipe::ModelOptions::max_context);
  put("--engines", &recipe::ModelOptions::num_engines);
  put("--prefix-cache", &recipe::ModelOptions::prefix_cache);
  put("--api", &recipe::ModelOptions::api);
  put("--api-key-file", &recipe::ModelOptions::api_key_file);
  put_price(recipe);
  return recipe;
}

void ModelFlags::put_price(recipe::ModelOptions& options) const {
  bool named = false;
  for (const std::string& text : prices) {
    const auto [name, price] = split_price(text);
    const auto places = options.addresses();
    const bool has_name =
        name && std::any_of(places.begin(), places.end(),
                            [&name = *name](const std::string& path) {
                              return is_named(path, name);
                            });
    if (name ? !has_name : named) continue;
    options.price = generate::price_from_text(price);
    named = named || name;
  }
}

void ModelFlags::check_use(const CLI::App& command,
                           const std::vector<std::string>& paths) const {
  std::vector<std::string> served;
  for (const std::string& path : paths) {
    if (generate::is_remote_model(path)) served.push_back(path);
  }
  if (served.empty()) {
    refuse_given(command, {"--api", "--api-key-file", "--price"},
                 "without a server's model");
  }
  if (served.size() == paths.size()) {
    refuse_given(command,
                 {"--device", "--dtype", "--weights", "--prefix-cache"},
                 "without a model of this machine");
  }
  std::set<std::string> priced;
  for (const std::string& text : prices) {
    const auto [name, price] = split_price(text);
    const bool is_known =
        !name || std::any_of(served.begin(), served.end(),
                             [&name = *name](const std::string& path) {
                               return is_named(path, name);
                             });
    if (is_known && priced.insert(name.value_or("")).second) continue;
    std::string all;
    for (const std::string& path : served) all += " " + served_name(path);
    throw Error(
        ErrorKind::kUsage,
        str("--price ", text,
            ": expected one price for each of the "
            "servers' models, found ",
            is_known ? "a second one" : "another name", "; there are:", all));
  }
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
