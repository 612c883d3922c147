// SPDX-License-Identifier: Apache-2.0
#include "inspect/compare.h"

#include <algorithm>
#include <map>
#include <set>

#include "recipe/recipe_text.h"
#include "recipe/yaml.h"
#include "stages/row_reading.h"
#include "text/words.h"

namespace selfalign::inspect {
namespace {

using store::Reader;
using store::SeenRow;

struct Answered {
  std::string answer;
  double tokens = 0.0;
  bool ends = false;
};
struct StageAnswers {
  std::vector<std::string> instructions;  // in order of seq, each once
  std::map<std::string, Answered> answers;
  int64_t num_rows = 0;
};

Answered answered(const OpenedRun& run, const SeenRow& seen) {
  const std::string& stage = seen.row.stage;
  const Json& content = seen.row.content;
  if (!seen.completion) {
    return {json_string_or(content, "response", stage, ""),
            json_number_or(content, "tokens", stage, 0.0),
            json_bool_or(content, "ends", stage, false)};
  }
  const generate::Completion& completion = seen.completion->completion;
  const parse::ThoughtfulAnswer parts =
      stages::answer_of(run.prompts, stage, completion.text);
  return {parts.answer, double(completion.num_tokens),
          stages::has_end(parts, completion)};
}

StageAnswers read_stage(const OpenedRun& run, const std::string& stage) {
  stages::require_stage(run.store, stage);
  StageAnswers all;
  run.store.scan(stage, "", [&](const SeenRow& seen) {
    ++all.num_rows;
    const std::string instruction =
        json_string_or(seen.row.content, "instruction", stage, "");
    if (all.answers.try_emplace(instruction, answered(run, seen)).second) {
      all.instructions.push_back(instruction);
    }
    return true;
  });
  return all;
}

StageFigures figures_of(const std::string& stage, const StageAnswers& all) {
  StageFigures figures;
  figures.stage = stage;
  figures.num_rows = all.num_rows;
  for (const auto& [instruction, answer] : all.answers) {
    figures.mean_words += double(text::count_words(answer.answer));
    figures.mean_tokens += answer.tokens;
    figures.share_ended += answer.ends;
  }
  const double count = double(std::max<size_t>(all.answers.size(), 1));
  figures.mean_words /= count;
  figures.mean_tokens /= count;
  figures.share_ended /= count;
  return figures;
}

recipe::Fields settings_of(const OpenedRun& run) {
  recipe::Fields fields =
      recipe::fields_of(YAML::Load(recipe_to_yaml(run.recipe)));
  for (const char* place :
       {"name", "run_folder", "prompts_folder", "prompts_overlay"}) {
    fields.erase(place);
  }
  fields["prompts"] = run.store.meta("prompts.digest").value_or("");
  fields["base model"] = run.store.meta("fingerprint.base").value_or("");
  return fields;
}

std::set<uint64_t> keys_of(const Reader& store, const std::string& stage) {
  std::set<uint64_t> keys;
  store.scan(stage, "", [&](const SeenRow& seen) {
    keys.insert(seen.row.key);
    return true;
  });
  return keys;
}

int64_t num_missing(const std::set<uint64_t>& in,
                    const std::set<uint64_t>& of) {
  return std::count_if(in.begin(), in.end(),
                       [&of](uint64_t key) { return !of.contains(key); });
}

StageChange stage_change(const std::string& stage, const Reader& a,
                         const Reader& b) {
  StageChange change;
  change.stage = stage;
  const auto manifest_a = a.manifest(stage);
  const auto manifest_b = b.manifest(stage);
  if (manifest_a) change.a = {manifest_a->num_rows, manifest_a->num_kept};
  if (manifest_b) change.b = {manifest_b->num_rows, manifest_b->num_kept};
  const std::set<uint64_t> keys_a = keys_of(a, stage);
  const std::set<uint64_t> keys_b = keys_of(b, stage);
  change.only_a = num_missing(keys_a, keys_b);
  change.only_b = num_missing(keys_b, keys_a);
  change.same =
      manifest_a && manifest_b && manifest_a->digest == manifest_b->digest;
  return change;
}

}  // namespace

std::string stage_meant(const Reader& store, const std::string& name) {
  const std::vector<std::string> stages = store.stages();
  for (const std::string& stage :
       {name, "held_out." + name + ".answers", name + ".answers"}) {
    if (std::find(stages.begin(), stages.end(), stage) != stages.end()) {
      return stage;
    }
  }
  stages::require_stage(store, name);
  return name;
}

StageComparison compare_stages(const OpenedRun& run_a,
                               const std::string& stage_a,
                               const OpenedRun& run_b,
                               const std::string& stage_b) {
  const StageAnswers a = read_stage(run_a, stage_a);
  const StageAnswers b = read_stage(run_b, stage_b);
  StageComparison result;
  result.a = figures_of(stage_a, a);
  result.b = figures_of(stage_b, b);
  for (const std::string& instruction : a.instructions) {
    const auto other = b.answers.find(instruction);
    if (other == b.answers.end()) {
      result.only_a.push_back(instruction);
      continue;
    }
    ++result.num_both;
    const std::string& answer = a.answers.at(instruction).answer;
    if (answer == other->second.answer) {
      ++result.num_same;
    } else {
      result.different.push_back({instruction, answer, other->second.answer});
    }
  }
  for (const std::string& instruction : b.instructions) {
    if (!a.answers.contains(instruction)) result.only_b.push_back(instruction);
  }
  return result;
}

RunComparison compare_runs(const OpenedRun& a, const OpenedRun& b) {
  RunComparison result;
  result.settings = recipe::changed_fields(settings_of(a), settings_of(b));
  std::vector<std::string> stages;
  for (const Reader* store : {&a.store, &b.store}) {
    for (const store::Manifest& manifest : store->manifests()) {
      if (std::find(stages.begin(), stages.end(), manifest.stage) ==
          stages.end()) {
        stages.push_back(manifest.stage);
      }
    }
  }
  for (const std::string& stage : stages) {
    result.stages.push_back(stage_change(stage, a.store, b.store));
  }
  return result;
}

}  // namespace selfalign::inspect
