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
#include "generate/remote_server.h"
#include "stages/stage_table.h"

namespace selfalign::stages {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using generate::Generator;
using generate::Probe;

constexpr char kBase[] = "base";
constexpr char kLoaded[] = "/serve.loaded.json";
constexpr std::chrono::milliseconds kLook(200);
constexpr char kGoesOn[] = "the same command goes on";
// That servers have to load a model of any size.
constexpr std::chrono::minutes kPatience(30);
constexpr std::chrono::seconds kBetweenTries(5);
// Of an adapter whose effect is below this, other kernels may do as much.
constexpr double kTold = 0.005;  // nats

// What servers themselves call the model, as a fingerprint says it.
std::string name_at_server(const Generator& generator) {
  const std::string fingerprint = generator.fingerprint();
  return fingerprint.substr(0, fingerprint.find(generate::kAsAdapter));
}

// A shell's word.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? R"('\'')" : std::string(1, c);
  return word + "'";
}

// A command works in the run's folder.
std::string from_here(const std::string& path) {
  return path.empty() ? "" : fs::absolute(path).lexically_normal().string();
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

std::optional<Probe> known_probe(const store::Reader& run,
                                 const std::string& name) {
  const std::string key = "probe." + name;
  const auto text = run.meta(key);
  if (!text) return std::nullopt;
  const std::string where = run.folder() + "/run.db: meta " + key;
  return from_json<Probe>(parse_json(*text, where), where);
}

std::unique_ptr<Generator> ServedModels::open(const std::string& name,
                                              const recipe::ModelOptions& model,
                                              const std::string& adapter) {
  if (!workbench_.asks_models()) {
    return workbench_.open_generator(model, adapter);
  }
  recipe::ModelOptions asked = model;
  const bool by_command = model.is_served() && !recipe_.serve.reload.empty();
  if (by_command) asked.loads_adapters = false;
  std::unique_ptr<Generator> generator;
  std::string found;
  // What a command loaded last is what servers have, until it loads another.
  const std::string loaded = by_command ? last_loaded(model) : "";
  if (!loaded.empty() && loaded != name) {
    found = "the " + loaded + " model, which was loaded last";
  } else {
    try {
      generator = workbench_.open_generator(asked, adapter);
      found = flaw(name, model, adapter, *generator);
    } catch (const Error& error) {
      if (!by_command || error.kind() == ErrorKind::kInterrupted) throw;
      found = error.what();
    }
  }
  if (!found.empty() && by_command) {
    log_info(
        str(model.place(), ": expected the ", name, " model, found ", found));
    generator.reset();
    reload(model, adapter);
    generator = open_again(asked, adapter);
    keep_loaded(model, name);
    found = flaw(name, model, adapter, *generator);
  }
  if (found.empty()) return generator;
  throw Error(
      ErrorKind::kUsage,
      str(model.place(), ": expected the ", name, " model of this run, found ",
          found,
          model.is_served() ? "; have the servers answer with that model"
                            : "; give that model's path"));
}

// What stands beside the run, for evaluations have servers answer, too: the
// model that was loaded last, by role.
std::string ServedModels::last_loaded(const recipe::ModelOptions& model) const {
  const std::string path = recipe_.run_folder + kLoaded;
  try {
    if (is_file(path)) {
      return json_string_or(parse_json(read_file(path), path), model.role, path,
                            "");
    }
  } catch (const Error& error) {
    log_warning(str(error.what(), "; what servers have loaded is not known"));
  }
  return "";
}

void ServedModels::keep_loaded(const recipe::ModelOptions& model,
                               const std::string& name) const {
  Json all = Json::object();
  for (const recipe::ModelOptions& other : recipe_.base_models()) {
    const std::string loaded = last_loaded(other);
    if (!loaded.empty()) all[other.role] = loaded;
  }
  all[model.role] = name;
  write_file_atomic(recipe_.run_folder + kLoaded, dump_json(all) + "\n");
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
                               const recipe::ModelOptions& model,
                               const std::string& adapter,
                               Generator& generator) {
  if (!is_compared(model)) return "";
  const std::string called = name_at_server(generator);
  std::string other = other_name(adapter, called);
  if (!other.empty()) return other;
  const std::optional<Probe> found = generate::probe_model(generator);
  stop_if_interrupted(kGoesOn);
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
  other = generate::difference(*wanted, *found);
  if (!other.empty() || !model.is_served()) return other;
  other = nearer_model(name, *wanted, *found);
  if (!other.empty()) return other;
  // An adapter that changes too little to tell by is known by its name, or by
  // what a command did.
  const auto base = known(kBase);
  if (name == kBase || !base || last_loaded(model) == name ||
      generate::mean_difference(*base, *wanted) >= kTold ||
      called.ends_with(served_name(adapter))) {
    return "";
  }
  return str("no model ", served_name(adapter),
             ", and log-probabilities that this adapter changes too little to "
             "tell by");
}

// Servers that have an adapter of a run under its name answer with no other.
std::string ServedModels::other_name(const std::string& adapter,
                                     const std::string& called) {
  constexpr std::string_view kOurs = "remote selfalign-";
  if (!called.starts_with(kOurs) ||
      (!adapter.empty() && called.ends_with(served_name(adapter)))) {
    return "";
  }
  return "the model " + called.substr(called.find(' ') + 1);
}

// Of the models of the run one that answers more like this than the wanted one
// does, where the two can be told apart.
std::string ServedModels::nearer_model(const std::string& name,
                                       const Probe& wanted,
                                       const Probe& found) {
  const double distance = generate::mean_difference(wanted, found);
  for (const Variant& variant : variants()) {
    const std::string other = variant.folder.empty() ? kBase : variant.folder;
    const auto probe =
        name == other ? std::nullopt : expected_of(variant, other);
    if (!probe || generate::mean_difference(wanted, *probe) < kTold ||
        generate::mean_difference(*probe, found) >= distance) {
      continue;
    }
    return str("what is nearer to the ", other,
               " model: ", generate::mean_difference(*probe, found),
               " nats from it in the mean, and ", distance, " from the ", name,
               " model");
  }
  return "";
}

std::optional<Probe> ServedModels::known(const std::string& name) const {
  if (const auto found = probes_.find(name); found != probes_.end()) {
    return found->second;
  }
  return known_ == nullptr ? std::nullopt : known_probe(*known_, name);
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

// Of another model of the run, whose tuning may not have been yet.
std::optional<Probe> ServedModels::expected_of(const Variant& variant,
                                               const std::string& name) {
  if (name == kBase) return expected(kBase, "");
  const std::string adapter =
      str(recipe_.run_folder, "/", variant.result(recipe_));
  std::error_code ignored;
  return fs::exists(adapter, ignored) ? expected(name, adapter)
                                      : std::optional<Probe>();
}

void ServedModels::reload(const recipe::ModelOptions& model,
                          const std::string& adapter) const {
  const std::string& command = recipe_.serve.reload;
  const std::string folder = recipe_.run_folder;
  const std::string line = str(
      "export SELFALIGN_ADAPTER=", quoted(from_here(adapter)),
      " SELFALIGN_ADAPTER_NAME=",
      quoted(adapter.empty() ? "" : served_name(adapter)),
      " SELFALIGN_BASE=", quoted(model.is_here() ? from_here(model.path) : ""),
      " SELFALIGN_SERVERS=",
      quoted(
          joined(model.addresses(), " ", [](const auto& one) { return one; })),
      "\n", command);
  const std::string log = folder + "/serve.log";
  log_info(str("servers are to answer with ",
               adapter.empty() ? "the base" : adapter, ", by: ", command,
               " (what it writes is in ", log, ")"));
  std::optional<ChildProcess> child;
  for (bool waits = false; !child;) {
    // One of a run that was killed goes on, and must not end what this begins.
    try {
      child.emplace(line, folder, log, folder + "/serve.lock",
                    ChildProcess::Holds::kCommand);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) throw;
      if (!waits) log_info(str("waiting: ", error.what()));
      waits = true;
      std::this_thread::sleep_for(kLook);
      stop_if_interrupted(kGoesOn);
    }
  }
  const int status = status_at_end(*child, kGoesOn, [] {});
  if (status == 0) return;
  throw Error(ErrorKind::kFailed,
              str("the command of serve.reload, \"", shown(command),
                  "\", ended with status ", status,
                  "; the last that it wrote to ", log, ": ", last_words(log)));
}

std::unique_ptr<Generator> ServedModels::open_again(
    const recipe::ModelOptions& model, const std::string& adapter) const {
  const Clock::time_point end = Clock::now() + kPatience;
  std::string told;
  while (true) {
    try {
      return workbench_.open_generator(model, adapter);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInterrupted || Clock::now() > end) throw;
      const std::string problem = error.what();
      if (problem != told) log_info("waiting for servers: " + problem);
      told = problem;
    }
    for (auto left = kBetweenTries / kLook; left > 0; --left) {
      std::this_thread::sleep_for(kLook);
      stop_if_interrupted(kGoesOn);
    }
  }
}

}  // namespace selfalign::stages
