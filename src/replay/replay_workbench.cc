// SPDX-License-Identifier: Apache-2.0
#include "replay/replay_workbench.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/own_file.h"
#include "formats/load_tokenizer.h"
#include "stages/completing.h"
#include "stages/conversations.h"
#include "stages/likelihood.h"
#include "stages/run.h"
#include "stages/tuning.h"

namespace selfalign::replay {
namespace {

namespace fs = std::filesystem;
using generate::Request;

bool has_checkpoint(const std::string& folder) {
  for (const fs::path path : list_folder(folder)) {
    const std::string name = path.filename();
    if (name != "adapter" && name != "model") return true;
  }
  return false;
}

// The files of the adapter that was made in the folder `tuning` of a run. Error
// where they are not what its manifest says.
std::map<std::string, std::string> adapter_of(const std::string& run,
                                              const std::string& tuning,
                                              const store::Manifest& manifest) {
  std::map<std::string, std::string> files;
  const stages::AdapterReport report = stages::adapter_report(manifest);
  for (const auto& [file, digest] : report.files) {
    const std::string path = str(tuning, "/", report.result, "/", file);
    require_own_path(run, path);
    std::string bytes = read_file(str(run, "/", path));
    if (digest_bytes(bytes) != digest) {
      throw Error(ErrorKind::kDamaged,
                  str(run, "/", path, ": expected digest ", digest,
                      ", as its manifest says, found another"));
    }
    files[file] = std::move(bytes);
  }
  return files;
}

// Words as the model's tokens, for a request that is of no row. Error kInput
// without a tokenizer.
generate::Scores cut_words(const generate::ScoreRequest& request,
                           const text::Tokenizer* words) {
  if (words == nullptr) {
    throw Error(ErrorKind::kInput,
                "model: expected its tokenizer, by which the run's words were "
                "banned, found none; put the model where the recipe has it");
  }
  generate::Scores scores;
  for (const std::string& text : request.continuations) {
    scores.continuations.push_back(
        {text::encode_pair(*words, request.context, text).tail, {}, {}});
  }
  return scores;
}

}  // namespace

class ReplayGenerator final : public generate::Generator,
                              public stages::TakesOver {
 public:
  // `words`: of a model that was on this machine; null where servers counted,
  // or it is gone.
  ReplayGenerator(ReplayWorkbench& bench, std::string fingerprint,
                  std::unique_ptr<generate::Generator> rest,
                  const text::Tokenizer* words)
      : bench_(bench),
        fingerprint_(std::move(fingerprint)),
        rest_(std::move(rest)),
        words_(words) {}

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    const auto next_unknown = [&]() -> std::optional<Request> {
      while (!interrupted()) {
        std::optional<Request> request = next();
        if (!request) break;
        auto known = bench_.find_completion(request->key);
        // What a server did not answer then it may answer now.
        if (!known || (rest_ && generate::is_given_up(known->finish))) {
          return request;
        }
        taken_ = request->key;
        done(std::move(*known));
        taken_.reset();
      }
      return std::nullopt;
    };
    if (rest_) {
      rest_->generate(next_unknown, done);
    } else if (const auto request = next_unknown()) {
      throw NotReplayed("no completion of row " + key_to_hex(request->key));
    }
  }

  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> scores;
    for (const generate::ScoreRequest& request : requests) {
      if (auto known = bench_.find_score(request.key)) {
        scores.push_back({request.key, {std::move(*known)}});
      } else if (rest_) {
        return rest_->score(requests);
      } else if (request.key == 0) {
        scores.push_back(cut_words(request, words_));
      } else if (!bench_.from_.row(request.key)) {
        throw NotReplayed("no score " + key_to_hex(request.key));
      }
    }
    return scores;
  }

  void check(const Request& request) const override {
    if (rest_) rest_->check(request);
  }

  std::string fingerprint() const override { return fingerprint_; }

  bool took_over(uint64_t key) const override { return taken_ == key; }

  std::vector<int> token_ids(const std::string& text) const override {
    return rest_ ? rest_->token_ids(text) : std::vector<int>();
  }
  int count_tokens(const std::string& text) const override {
    return rest_ ? rest_->count_tokens(text)
                 : bench_.count_tokens(text, words_);
  }

  int count_part(const generate::Completion& whole,
                 const std::string& part) const override {
    if (rest_) return rest_->count_part(whole, part);
    // The server that counted the whole says nothing of another part of it.
    return bench_.is_remote(whole.key) ? generate::share_of_count(whole, part)
                                       : count_tokens(part);
  }

  bool chats_only() const override { return rest_ && rest_->chats_only(); }

 private:
  ReplayWorkbench& bench_;
  const std::string fingerprint_;
  const std::unique_ptr<generate::Generator> rest_;
  const text::Tokenizer* const words_;
  std::optional<uint64_t> taken_;  // the row whose completion is handed on
};

std::unique_ptr<generate::Generator> ReplayWorkbench::open_generator(
    const recipe::ModelOptions& model, const std::string& adapter) {
  std::unique_ptr<generate::Generator> rest;
  std::string fingerprint;
  if (rest_ != nullptr) {
    rest = rest_->open_generator(model, adapter);
    fingerprint = rest->fingerprint();
  } else {
    const std::string name = stages::model_name(
        adapter.empty() ? "base"
                        : fs::path(adapter).parent_path().filename().string(),
        model);
    const auto known = from_.meta("fingerprint." + name);
    if (!known) throw NotReplayed("no use of the " + name + " model");
    fingerprint = *known;
    try {
      if (!model.is_served() && !tokenizer_) {
        tokenizer_ = formats::load_tokenizer(model.path);
      }
    } catch (const Error&) {  // it was moved: done without
    }
  }
  return std::make_unique<ReplayGenerator>(
      *this, fingerprint, std::move(rest),
      model.is_served() ? nullptr : tokenizer_.get());
}

std::vector<bool> ReplayWorkbench::fit(
    const recipe::ModelOptions& model, const TuneOptions& options,
    const std::vector<stages::TrainingSample>& samples) {
  if (rest_ != nullptr) return rest_->fit(model, options, samples);
  std::vector<bool> fits;
  for (const stages::TrainingSample& sample : samples) {
    const std::vector<store::Verdict> verdicts = from_.verdicts(sample.key);
    fits.push_back(std::none_of(verdicts.begin(), verdicts.end(),
                                [](const store::Verdict& verdict) {
                                  return verdict.reason == stages::kTooLong;
                                }));
  }
  return fits;
}

stages::TuneReport ReplayWorkbench::tune(
    const recipe::ModelOptions& model, const TuneOptions& options,
    const recipe::TrainerOptions& trainer,
    const std::vector<stages::TrainingSample>& samples,
    const std::string& folder) {
  const auto manifest = find_adapter(folder, options, samples);
  const std::string name = fs::path(folder).filename().string();
  if (rest_ == nullptr) {
    if (!manifest) {
      throw NotReplayed("no adapter in " + name +
                        " of these samples and settings");
    }
    return stages::adapter_report(*manifest).tuning;
  }
  // A tuning that was begun here goes on here.
  if (!manifest || has_checkpoint(folder) || !same_base(model)) {
    return rest_->tune(model, options, trainer, samples, folder);
  }
  std::map<std::string, std::string> files;
  try {
    files = adapter_of(from_.folder(), name, *manifest);
  } catch (const Error& error) {
    log_warning(str(error.what(), "; it is not taken over but made anew"));
    return rest_->tune(model, options, trainer, samples, folder);
  }
  make_folder_in(folder, options.result_folder());
  for (const auto& [file, bytes] : files) {
    write_file_atomic(str(folder, "/", options.result_folder(), "/", file),
                      bytes);
  }
  ++num_adapters_;
  return stages::adapter_report(*manifest).tuning;
}

void ReplayWorkbench::redo_from(const std::string& stage) {
  std::vector<std::string> order;
  for (const store::Manifest& manifest : from_.manifests()) {
    order.push_back(manifest.stage);
  }
  for (const std::string& name : from_.stages()) {
    if (!from_.manifest(name)) order.push_back(name);
  }
  std::string names;
  for (const std::string& name : order) {
    names += (names.empty() ? "" : ", ") + name;
    if (!redone_.empty() || name == stage || name.starts_with(stage + ".")) {
      redone_.insert(name);
    }
  }
  if (!redone_.empty()) return;
  throw Error(ErrorKind::kUsage,
              str("--from: expected a stage of ", from_.folder(), " (", names,
                  "), found \"", stage, "\""));
}

std::optional<generate::Completion> ReplayWorkbench::find_completion(
    uint64_t key) {
  auto known = from_.completion(key);
  if (!known) return std::nullopt;
  if (!redone_.empty()) {
    const auto row = from_.row(key);
    if (row && redone_.contains(row->stage)) return std::nullopt;
  }
  ++num_completions_;
  return std::move(known->completion);
}

bool ReplayWorkbench::is_remote(uint64_t key) const {
  const auto known = from_.completion(key);
  return known && known->fingerprint.starts_with(generate::kRemote);
}

std::optional<generate::ContinuationScore> ReplayWorkbench::find_score(
    uint64_t key) {
  if (key == 0) return std::nullopt;
  const auto row = from_.row(key);
  if (!row || redone_.contains(row->stage)) return std::nullopt;
  return stages::kept_score(row->content);
}

std::optional<store::Manifest> ReplayWorkbench::find_adapter(
    const std::string& folder, const TuneOptions& options,
    const std::vector<stages::TrainingSample>& samples) const {
  const std::string name = fs::path(folder).filename().string();
  const std::string inputs = stages::tuning_inputs(options, samples);
  // Manifests of the first version do not say: good enough to play again.
  const std::string unknown = rest_ == nullptr ? inputs : "";
  for (const store::Manifest& manifest : from_.manifests()) {
    if (redone_.contains(manifest.stage) || !stages::is_adapter(manifest)) {
      continue;
    }
    const stages::AdapterReport report = stages::adapter_report(manifest);
    if (report.folder == name && report.inputs.value_or(unknown) == inputs) {
      return manifest;
    }
  }
  return std::nullopt;
}

bool ReplayWorkbench::same_base(const recipe::ModelOptions& model) {
  return from_.meta("fingerprint." + stages::model_name("base", model)) ==
         rest_->open_generator(model, "")->fingerprint();
}

// Without a tokenizer: as the other run counted its answers.
int ReplayWorkbench::count_tokens(const std::string& text,
                                  const text::Tokenizer* words) {
  if (words != nullptr) {
    return static_cast<int>(words->encode_continuation(text).size());
  }
  if (tokens_.empty()) {
    for (const std::string& stage : from_.stages()) {
      if (!stage.ends_with(".pairs")) continue;
      from_.scan(stage, "", [&](const store::SeenRow& seen) {
        const Json& content = seen.row.content;
        if (!content.contains("tokens")) return true;
        tokens_[Hasher()
                    .add(json_string_or(content, "response", stage, ""))
                    .key()] =
            int(json_int_in(content, "tokens", stage, 0, INT32_MAX));
        return true;
      });
    }
    tokens_.emplace(Hasher().add("").key(), 0);
  }
  const auto found = tokens_.find(Hasher().add(text).key());
  return found == tokens_.end() ? 0 : found->second;
}

}  // namespace selfalign::replay
