// SPDX-License-Identifier: Apache-2.0
#include "stages/served.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/joined.h"
#include "base/log.h"
#include "base/shown.h"

namespace selfalign::stages {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using generate::Generator;
using generate::Probe;

constexpr char kBase[] = "base";
constexpr std::chrono::milliseconds kLook(200);
// That servers have to load a model of any size.
constexpr std::chrono::minutes kPatience(30);
constexpr std::chrono::seconds kBetweenTries(5);
// Of an adapter whose effect is below this, other kernels may do as much.
constexpr double kTold = 0.005;  // nats

// A shell's word.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? R"('\'')" : std::string(1, c);
  return word + "'";
}

}  // namespace

std::string served_name(const std::string& adapter) {
  const fs::path folder = fs::weakly_canonical(fs::absolute(adapter));
  std::string name = "selfalign-" + folder.parent_path().filename().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') c = '-';
  }
  const fs::path weights = folder / "adapter_model.safetensors";
  return name + "-" +
         digest_file(is_file(weights) ? weights : folder / "config.json")
             .substr(0, 12);
}

std::unique_ptr<Generator> ServedModels::open(const std::string& name,
                                              const recipe::ModelOptions& model,
                                              const std::string& adapter) {
  recipe::ModelOptions asked = model;
  const bool by_command = model.is_served() && workbench_.asks_models() &&
                          !recipe_.serve.reload.empty();
  if (by_command) asked.loads_adapters = false;
  std::unique_ptr<Generator> generator;
  std::string found;
  try {
    generator = workbench_.open_generator(asked, adapter);
  } catch (const Error& error) {
    if (!by_command || error.kind() == ErrorKind::kInterrupted) throw;
    found = error.what();
  }
  const bool is_looked_at = workbench_.asks_models() && is_compared(model);
  if (generator && is_looked_at) {
    found = flaw(name, adapter, !model.is_served(), *generator);
  }
  if (!found.empty() && by_command) {
    log_info(str(model.place(), ": ", found));
    generator.reset();
    reload(model, adapter);
    generator = open_again(asked, adapter);
    found = is_looked_at ? flaw(name, adapter, true, *generator) : "";
  }
  if (found.empty()) return generator;
  throw Error(
      ErrorKind::kUsage,
      str(model.place(), ": expected the ", name, " model of this run, found ",
          found,
          model.is_served() ? "; have the servers answer with that model"
                            : "; give that model's path"));
}

// Whether there is something to compare with.
bool ServedModels::is_compared(const recipe::ModelOptions& model) const {
  const std::vector<recipe::ModelOptions> all = recipe_.base_models();
  const bool any_served = std::any_of(
      all.begin(), all.end(), [](const auto& one) { return one.is_served(); });
  const bool is_base = std::any_of(
      all.begin(), all.end(), [&model](const recipe::ModelOptions& one) {
        return one.path == model.path && one.servers == model.servers;
      });
  return any_served && is_base && (all.size() > 1 || model.is_here());
}

std::string ServedModels::flaw(const std::string& name,
                               const std::string& adapter, bool is_loaded,
                               Generator& generator) {
  const std::optional<Probe> found = generate::probe_model(generator);
  stop_if_interrupted("the same command goes on");
  if (!found) {
    log_warning(
        "the servers tell no log-probabilities of a text: whether they answer "
        "with the run's base is not known");
    return "";
  }
  const std::optional<Probe> wanted = expected(name, adapter);
  if (!wanted) {
    const auto base = known(kBase);
    if (name != kBase && base &&
        generate::mean_difference(*base, *found) == 0) {
      return "the base's log-probabilities";
    }
    keep(name, *found);
    return "";
  }
  std::string other = generate::difference(*wanted, *found);
  if (!other.empty() || name == kBase) return other;
  const auto base = known(kBase);
  if (!base) return "";
  const double change = generate::mean_difference(*base, *found);
  const double wanted_change = generate::mean_difference(*base, *wanted);
  if (wanted_change < kTold) {
    const std::string own = served_name(adapter);
    if (is_loaded || generator.fingerprint().ends_with(own)) return "";
    return str(
        "no model ", own,
        ", and log-probabilities that this adapter changes too little to "
        "tell by");
  }
  if (change >= wanted_change / 2) return "";
  return str("log-probabilities that are ", change,
             " nats from the base's in the mean, where the adapter moves them "
             "by ",
             wanted_change);
}

std::optional<Probe> ServedModels::known(const std::string& name) const {
  if (!store_) {
    const auto found = probes_.find(name);
    return found == probes_.end() ? std::nullopt : std::optional(found->second);
  }
  const std::string key = "probe." + name;
  const auto text = store_->meta(key);
  if (!text) return std::nullopt;
  const std::string where = store_->folder() + "/run.db: meta " + key;
  return from_json<Probe>(parse_json(*text, where), where);
}

void ServedModels::keep(const std::string& name, const Probe& probe) {
  if (!store_) {
    probes_[name] = probe;
  } else {
    store_->set_meta("probe." + name, dump_json(to_json(probe)));
  }
}

// As the model on this machine answers, if there is one.
std::optional<Probe> ServedModels::expected(const std::string& name,
                                            const std::string& adapter) {
  if (auto kept = known(name)) return kept;
  const recipe::ModelOptions here = recipe_.model_for(recipe::Role::kTrain);
  if (!here.is_here()) return std::nullopt;
  if (name != kBase && !known(kBase)) expected(kBase, "");
  try {
    const auto local = workbench_.open_generator(here, adapter);
    if (auto probe = generate::probe_model(*local)) {
      keep(name, *probe);
      return probe;
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kResources) throw;
    log_warning(
        str(error.what(), "; what the servers answer is not compared with it"));
  }
  return std::nullopt;
}

void ServedModels::reload(const recipe::ModelOptions& model,
                          const std::string& adapter) const {
  const std::string& command = recipe_.serve.reload;
  const std::string folder = recipe_.run_folder;
  const std::string line = str(
      "export SELFALIGN_ADAPTER=", quoted(adapter), " SELFALIGN_ADAPTER_NAME=",
      quoted(adapter.empty() ? "" : served_name(adapter)),
      " SELFALIGN_BASE=", quoted(model.is_here() ? model.path : ""),
      " SELFALIGN_SERVERS=",
      quoted(joined(model.servers, " ", [](const auto& one) { return one; })),
      "\n", command);
  const std::string log = folder + "/serve.log";
  log_info(str("servers are to answer with ",
               adapter.empty() ? "the base" : adapter, ", by: ", command,
               " (what it writes is in ", log, ")"));
  ChildProcess child(line, folder, log, "");
  while (!child.status()) {
    std::this_thread::sleep_for(kLook);
    if (!interrupted()) continue;
    child.stop();
    stop_if_interrupted("the same command goes on");
  }
  if (*child.status() == 0) return;
  throw Error(ErrorKind::kFailed,
              str("the command of serve.reload, \"", shown(command),
                  "\", ended with status ", *child.status(),
                  "; the last that it wrote to ", log, ": ", last_words(log)));
}

std::unique_ptr<Generator> ServedModels::open_again(
    const recipe::ModelOptions& model, const std::string& adapter) const {
  const Clock::time_point end = Clock::now() + kPatience;
  while (true) {
    try {
      return workbench_.open_generator(model, adapter);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInterrupted || Clock::now() > end) throw;
      log_info(str("waiting for servers: ", error.what()));
    }
    for (auto left = kBetweenTries / kLook; left > 0; --left) {
      std::this_thread::sleep_for(kLook);
      stop_if_interrupted("the same command goes on");
    }
  }
}

}  // namespace selfalign::stages
