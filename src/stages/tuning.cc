#include "stages/tuning.h"

#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/keys.h"
#include "stages/profile.h"

namespace selfalign::stages {
namespace {

using store::Row;

// Pairs in order, then the self-identification rows as often as asked.
std::vector<Row> sample_rows(const TuningPlan& plan,
                             const std::vector<ReviewedPair>& pairs,
                             const Run& run) {
  std::vector<Row> rows;
  const auto add = [&](uint64_t key, std::vector<uint64_t> parents,
                       Json content) {
    rows.push_back({key, plan.samples, int64_t(rows.size()), std::move(parents),
                    std::move(content)});
  };
  const std::string prompt = Hasher()
                                 .add(plan.prompt.prompt)
                                 .add(plan.prompt.user)
                                 .add(plan.prompt.answer)
                                 .digest();
  for (const ReviewedPair& pair : pairs) {
    Hasher key;
    key.add(plan.samples).add(pair.row.key).add(prompt);
    if (pair.reviewed) key.add(pair.response);
    add(key.key(), {pair.row.key},
        Json{{"instruction", pair.instruction},
             {"response", pair.response},
             {"ends", pair.ends},
             {"source", pair.reviewed ? "review" : plan.pairs}});
  }
  const int repeats = plan.with_identity ? run.recipe.identity_repeats : 0;
  for (int time = 0; time < repeats; ++time) {
    for (const IdentityRow& row : run.prompts.identity) {
      add(item_key(plan.samples, prompt + row.question, rows.size()), {},
          Json{{"instruction", row.question},
               {"response", row.answer},
               {"ends", profile_named(run.recipe.profile).repeats_identity},
               {"source", "identity"}});
    }
  }
  return rows;
}

std::vector<TrainingSample> training_samples(const TuningPlan& plan,
                                             const Run& run) {
  const bool learns_end_of_text =
      profile_named(run.recipe.profile).learns_end_of_text;
  std::vector<TrainingSample> samples;
  for (const Row& row : run.store.rows(plan.samples)) {
    const std::string where = plan.samples;
    const std::string instruction =
        json_string(row.content, "instruction", where);
    const ChatPrompt& prompt = plan.other_prompt && row.seq % 2 == 1
                                   ? *plan.other_prompt
                                   : plan.prompt;
    TrainingSample sample{row.key,
                          prompt.prompt + chat_turn(prompt, instruction),
                          json_string(row.content, "response", where),
                          json_bool(row.content, "ends", where)};
    if (sample.ends && !learns_end_of_text) {
      sample.response += prompt.between + chat_user_tag(prompt) + "\n";
      sample.ends = false;
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

void finish_tuning(const TuningPlan& plan, const TuneReport& report,
                   store::Store& store) {
  store::Manifest manifest;
  manifest.stage = plan.adapter;
  manifest.digest = report.digest;
  manifest.report = Json{{"num_samples", report.num_samples},
                         {"num_tokens", report.num_tokens},
                         {"num_truncated", report.num_truncated},
                         {"num_steps", report.num_steps},
                         {"loss_before", report.loss_before},
                         {"loss_after", report.loss_after},
                         {"folder", plan.folder}};
  store.commit_manifest(manifest);
  std::ostringstream line;
  line << plan.adapter << ": " << report.num_samples << " samples, "
       << report.num_steps << " steps, " << report.num_truncated
       << " cut at the length limit; loss " << std::fixed
       << std::setprecision(3) << report.loss_before << " -> "
       << report.loss_after;
  log_info(line.str());
}

}  // namespace

void tune_on_pairs(const TuningPlan& plan, const Run& run) {
  if (stage_done(run.store, plan.adapter)) return;
  if (!stage_done(run.store, plan.samples)) {
    // Rows that are there already hold the decisions of their time.
    if (run.store.num_rows(plan.samples) == 0) {
      const std::vector<ReviewedPair> pairs =
          reviewed_pairs(run.store, plan.pairs);
      if (pairs.empty()) {
        throw Error(ErrorKind::kFailed,
                    str(plan.pairs,
                        ": expected pairs to train on, found none; "
                        "look at the reasons of rejection above and at what "
                        "was dropped in review, or ask for more instructions"));
      }
      run.store.add_rows(sample_rows(plan, pairs, run));
    }
    finish_stage(run.store, plan.samples, "", run.store.num_rows(plan.samples));
  }
  run.models.close();
  const std::string folder = run.store.folder() + "/" + plan.folder;
  make_folder(folder);
  finish_tuning(plan,
                run.workbench.tune(run.recipe.model, plan.options,
                                   training_samples(plan, run), folder),
                run.store);
}

}  // namespace selfalign::stages
