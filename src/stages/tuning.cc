// SPDX-License-Identifier: Apache-2.0
#include "stages/tuning.h"

#include <filesystem>

#include "base/counted.h"
#include "base/error.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own_file.h"
#include "recipe/profile.h"
#include "recipe/recipe_text.h"
#include "stages/adapter_prompt.h"
#include "stages/conversations.h"
#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/keys.h"

namespace selfalign::stages {
namespace {

using store::Row;

// `count` of the self-identification rows 0..num_rows-1: whole repeats first,
// the rest evenly over the rows.
std::vector<size_t> identity_rows(size_t count, size_t num_rows) {
  std::vector<size_t> chosen;
  while (num_rows > 0 && chosen.size() + num_rows <= count) {
    for (size_t i = 0; i < num_rows; ++i) chosen.push_back(i);
  }
  const size_t rest = count - chosen.size();
  for (size_t i = 0; i < rest; ++i) chosen.push_back(i * num_rows / rest);
  return chosen;
}

// Pairs in order, then the self-identification rows as often as asked, as far
// as their share goes.
std::vector<Row> sample_rows(const TuningPlan& plan,
                             std::vector<ReviewedPair> pairs, const Run& run) {
  std::vector<Row> rows;
  const auto add = [&](uint64_t key, std::vector<uint64_t> parents,
                       Json content) {
    rows.push_back({key, plan.samples, int64_t(rows.size()), std::move(parents),
                    std::move(content)});
  };
  const std::string prompt = prompt_digest(plan.prompt);
  for (ReviewedPair& pair : pairs) {
    Hasher key;
    key.add(plan.samples).add(pair.row.key).add(prompt);
    if (pair.reviewed) key.add(pair.response);
    add(key.key(), {pair.row.key},
        Json{{"instruction", std::move(pair.instruction)},
             {"response", std::move(pair.response)},
             {"ends", pair.ends},
             {"source", pair.reviewed ? "review" : plan.source}});
    pair.row.content = Json();  // all of them twice would be much
  }
  if (!plan.with_identity) return rows;
  const std::vector<recipe::IdentityRow>& identity = run.prompts.identity;
  const int64_t count =
      run.recipe.num_identity(int64_t(identity.size()), int64_t(pairs.size()));
  for (const size_t i : identity_rows(size_t(count), identity.size())) {
    const recipe::IdentityRow& row = identity[i];
    add(item_key(plan.samples, prompt + row.question, rows.size()), {},
        Json{{"instruction", row.question},
             {"response", row.answer},
             {"ends",
              recipe::profile_named(run.recipe.profile).repeats_identity},
             {"source", "identity"}});
  }
  return rows;
}

IdentityFigures identity_figures(const TuningPlan& plan, const Run& run) {
  IdentityFigures figures;
  run.store.scan(plan.samples, "", [&](const store::SeenRow& seen) {
    figures.num_used += json_string_or(seen.row.content, "source", plan.samples,
                                       "") == "identity";
    return true;
  });
  const int64_t wanted =
      int64_t(run.prompts.identity.size()) * run.recipe.identity_repeats;
  figures.num_left_out = wanted - figures.num_used;
  return figures;
}

// Names what the limit has taken.
void warn_of_identity(const TuningPlan& plan, const Run& run,
                      const IdentityFigures& figures) {
  if (figures.num_left_out <= 0) return;
  log_warning(str(plan.samples, ": ", figures.num_left_out, " of ",
                  figures.num_left_out + figures.num_used,
                  " self-identification rows are left out, so that they are at "
                  "most ",
                  rounded(100.0 * run.recipe.identity_share, 0),
                  " % of the samples; ask for more instructions, or raise "
                  "identity_share in the recipe"));
}

// A pair is what stages 3 and 4 learn from.
TrainingSample pair_sample(const TuningPlan& plan, const Row& row,
                           bool learns_end_of_text) {
  const recipe::ChatPrompt& prompt =
      plan.other_prompt && row.seq % 2 == 1 ? *plan.other_prompt : plan.prompt;
  const Json& pair = row.content;
  TrainingTurn turn{
      prompt.prompt + recipe::chat_turn(prompt, json_string(pair, "instruction",
                                                            plan.samples)),
      json_string(pair, "response", plan.samples),
      json_bool(pair, "ends", plan.samples)};
  if (turn.ends && !learns_end_of_text) {
    turn.response += prompt.between + recipe::chat_user_tag(prompt) + "\n";
    turn.ends = false;
  }
  return {row.key, {std::move(turn)}};
}

// A conversation is what a baseline learns from.
TrainingSample conversation_sample(const TuningPlan& plan, const Row& row) {
  Dialogue dialogue;
  dialogue.system = json_string_or(row.content, "system", plan.samples, "");
  for (const Json& turn : row.content["turns"]) {
    dialogue.turns.push_back({json_string(turn, "instruction", plan.samples),
                              json_string(turn, "response", plan.samples),
                              json_bool_or(turn, "learn", plan.samples, true)});
  }
  return {row.key, training_turns(plan.prompt, dialogue)};
}

std::vector<TrainingSample> training_samples(const TuningPlan& plan,
                                             const Run& run) {
  const bool learns_end_of_text =
      recipe::profile_named(run.recipe.profile).learns_end_of_text;
  std::vector<TrainingSample> samples;
  run.store.scan(plan.samples, "", [&](const store::SeenRow& seen) {
    const Row& row = seen.row;
    samples.push_back(row.content.contains("turns")
                          ? conversation_sample(plan, row)
                          : pair_sample(plan, row, learns_end_of_text));
    return true;
  });
  return samples;
}

// Every file of the folder `name` of the run, by its path in the run.
std::vector<std::string> files_below(const std::string& run,
                                     const std::string& name) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  for (const fs::path file : list_files_below(str(run, "/", name))) {
    paths.push_back(file.lexically_relative(run).string());
  }
  return paths;
}

// Name -> digest of every file of the adapter.
std::map<std::string, std::string> file_digests(const std::string& folder) {
  std::map<std::string, std::string> digests;
  std::error_code ignored;
  if (std::filesystem::exists(folder, ignored)) {
    for (const std::filesystem::path file : list_folder(folder)) {
      digests[file.filename()] = digest_file(file);
    }
  }
  return digests;
}

// Beside the weights: how the tuned model is asked.
void keep_prompt(const TuningPlan& plan, const Run& run,
                 const std::string& adapter) {
  // A run that is only played again has no folder.
  if (!std::filesystem::is_directory(adapter)) return;
  const recipe::ModelOptions base = run.recipe.model_for(recipe::Role::kTrain);
  const std::string key = "fingerprint." + model_name("base", base);
  // A baseline has asked no model yet, so it is not known which one this is.
  if (!run.store.meta(key)) run.models.base(recipe::Role::kTrain);
  write_adapter_prompt(adapter,
                       {plan.form, plan.prompt, run.recipe.comparison.sampling,
                        run.store.meta(key).value_or("")},
                       base.path);
}

void finish_tuning(const TuningPlan& plan, const TuneReport& report,
                   const std::string& inputs, store::Store& store) {
  store::Manifest manifest;
  manifest.stage = plan.adapter;
  manifest.digest = report.digest;
  manifest.report = to_json(
      AdapterReport{report, plan.folder, plan.options.result_folder(), inputs,
                    file_digests(str(store.folder(), "/", plan.folder, "/",
                                     plan.options.result_folder()))});
  store.commit_manifest(manifest, files_below(store.folder(), plan.folder));
  log_info(str(plan.adapter, ": ", counted(report.num_samples, "sample"), ", ",
               counted(report.num_steps, "step"), ", ", report.num_truncated,
               " cut at the length limit; loss over these samples ",
               rounded(report.loss_before, 3), " -> ",
               rounded(report.loss_after, 3)));
}

}  // namespace

void tune_on_pairs(const TuningPlan& plan, const Run& run) {
  tune_on_rows(plan, run, [&] {
    seal_decisions(run.store, plan.source);
    std::vector<ReviewedPair> pairs = reviewed_pairs(run.store, plan.source);
    return pairs.empty() ? std::vector<Row>()
                         : sample_rows(plan, std::move(pairs), run);
  });
}

std::string prompt_digest(const recipe::ChatPrompt& prompt) {
  return Hasher()
      .add(prompt.prompt)
      .add(prompt.user)
      .add(prompt.answer)
      .digest();
}

void tune_on_rows(const TuningPlan& plan, const Run& run,
                  const std::function<std::vector<Row>()>& make_rows) {
  if (stage_done(run.store, plan.adapter)) return;
  if (!stage_done(run.store, plan.samples)) {
    // Rows that are there already hold the decisions of their time.
    if (run.store.num_rows(plan.samples) == 0) {
      const std::vector<Row> rows = make_rows();
      if (rows.empty()) {
        throw Error(ErrorKind::kFailed,
                    str(plan.source,
                        ": there are no rows to train on; look at the reasons "
                        "of rejection above and at what "
                        "was dropped in review, or ask for more"));
      }
      run.store.add_rows(rows);
    }
    Json report = Json::object();
    if (plan.with_identity) {
      const IdentityFigures figures = identity_figures(plan, run);
      warn_of_identity(plan, run, figures);
      report = to_json(figures);
    }
    finish_stage(run.store, plan.samples, "", run.store.num_rows(plan.samples),
                 report);
  }
  run.models.close();
  const std::string folder = run.store.folder() + "/" + plan.folder;
  make_folder_in(run.store.folder(), plan.folder);
  const std::string result = str(folder, "/", plan.options.result_folder());
  require_plain_folder(result);
  const std::vector<TrainingSample> samples = training_samples(plan, run);
  const TuneReport report =
      run.workbench.tune(run.recipe.model_for(recipe::Role::kTrain),
                         plan.options, run.recipe.train, samples, folder);
  keep_prompt(plan, run, result);
  finish_tuning(plan, report, tuning_inputs(plan.options, samples), run.store);
}

std::string tuning_inputs(const TuneOptions& options,
                          const std::vector<TrainingSample>& samples) {
  Hasher hasher;
  hasher.add(recipe::tune_to_yaml(options));
  for (const TrainingSample& sample : samples) {
    hasher.add(sample.key).add(sample.turns.size());
    for (const TrainingTurn& turn : sample.turns) {
      hasher.add(turn.prompt).add(turn.response).add(turn.flags());
    }
  }
  return hasher.digest();
}

bool is_adapter(const store::Manifest& manifest) {
  return manifest.stage.ends_with(".adapter");
}

AdapterReport adapter_report(const store::Manifest& manifest) {
  auto report = from_json<AdapterReport>(manifest.report, manifest.stage);
  report.tuning.digest = manifest.digest;
  if (report.result != "adapter" && report.result != "model") {
    throw Error(ErrorKind::kDamaged,
                str(manifest.stage,
                    ": expected the result \"adapter\" or \"model\", found \"",
                    report.result, "\"; restore run.db from a copy"));
  }
  for (const auto& [name, digest] : report.files) {
    if (name.empty() || name[0] == '.' || name.find('/') != name.npos) {
      throw Error(ErrorKind::kDamaged,
                  str(manifest.stage, ": expected plain file names, found \"",
                      name, "\"; restore run.db from a copy"));
    }
  }
  return report;
}

}  // namespace selfalign::stages
