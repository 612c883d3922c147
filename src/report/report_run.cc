// SPDX-License-Identifier: Apache-2.0
#include "report/report_run.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/own_file.h"
#include "inspect/browse.h"
#include "parse/rules.h"
#include "recipe/run_files.h"
#include "report/charts.h"
#include "stages/funnel.h"
#include "stages/principles.h"
#include "stages/row_reading.h"
#include "stages/served.h"
#include "stages/tuning.h"
#include "text/words.h"

namespace selfalign::report {
namespace {

using store::Reader;
using store::Row;
using store::SeenRow;

constexpr size_t kNumKept = 4;      // samples shown
constexpr size_t kNumRejected = 4;  // reasons with a sample
constexpr size_t kNumExamples = 3;  // of a reason of rejection

std::vector<NamedRule> named_rules(const recipe::Prompts& prompts,
                                   const std::string& thought) {
  std::vector<NamedRule> rules;
  const std::vector<std::string> names = principle_names(prompts);
  for (const int rule : parse::find_rules(thought, names).rules) {
    const recipe::Principle& principle = prompts.principles[size_t(rule - 1)];
    rules.push_back({rule, principle.name, principle.text});
  }
  return rules;
}

// What stage 4 wrote for the instruction; "" if it did not.
std::string verbose_answer(const Reader& store, uint64_t instruction) {
  for (const Row& child : store.children(instruction)) {
    if (child.stage != "verbose.answers") continue;
    if (const auto stored = store.completion(child.key)) {
      return parse::trim(stored->completion.text);
    }
  }
  return "";
}

SampleRow sample_row(const recipe::Prompts& prompts, const Reader& store,
                     const SeenRow& seen) {
  const Row& row = seen.row;
  SampleRow sample;
  sample.row = str(row.stage, ":", row.seq);
  if (seen.verdict) {
    sample.kept = seen.verdict->kept;
    sample.reason = seen.verdict->reason;
    sample.detail = seen.verdict->detail;
  }
  sample.instruction =
      json_string_or(row.content, "instruction", row.stage, "");
  const auto whole = store.row(row.key);
  if (whole && !whole->parents.empty()) {
    if (const auto parent = store.row(whole->parents[0])) {
      sample.origin = {
          stages::question_type(*parent),
          json_string_or(parent->content, "topic", parent->stage, ""),
          verbose_answer(store, parent->key)};
    }
  }
  if (!seen.completion) return sample;
  const generate::Completion& completion = seen.completion->completion;
  const parse::ThoughtfulAnswer read =
      stages::answer_of(prompts, row.stage, completion.text);
  sample.answer = {
      read.thought,          named_rules(prompts, read.thought),
      read.answer,           completion.text,
      completion.num_tokens, generate::finish_name(completion.finish)};
  return sample;
}

// What a row says, for a list of rejected ones.
std::string text_of(const SeenRow& seen) {
  for (const char* name : {"instruction", "topic", "response", "user"}) {
    std::string text =
        json_string_or(seen.row.content, name, seen.row.stage, "");
    if (!text.empty() && !(seen.completion && *name == 'i')) return text;
  }
  return seen.completion ? parse::trim(seen.completion->completion.text) : "";
}

std::vector<RejectedReason> reasons_of(const Reader& store,
                                       const std::string& stage,
                                       const std::string& filter) {
  std::vector<RejectedReason> reasons;
  for (const auto& [reason, count] : store.rejections(stage, filter)) {
    reasons.push_back({reason, count, {}});
  }
  store.scan(stage, filter, [&](const SeenRow& seen) {
    if (!seen.verdict || seen.verdict->kept) return true;
    for (RejectedReason& one : reasons) {
      if (one.reason != seen.verdict->reason ||
          one.examples.size() == kNumExamples) {
        continue;
      }
      one.examples.push_back(
          {str(stage, ":", seen.row.seq), text_of(seen), seen.verdict->detail});
    }
    return true;
  });
  return reasons;
}

std::vector<CurvePoint> curve_of(const Reader& store, const std::string& name) {
  require_own_path(store.folder(), name);
  const std::string path = store.folder() + "/" + name;
  std::vector<CurvePoint> points;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return points;
  const std::string text = read_file(path);
  for (const std::string_view line : text::split_lines(text)) {
    try {
      points.push_back(from_json<CurvePoint>(parse_json(line, path), path));
    } catch (const Error&) {
      break;
    }
  }
  return points;
}

std::vector<AdapterDigests> adapters_of(const Reader& store) {
  std::vector<AdapterDigests> adapters;
  for (const store::Manifest& manifest : store.manifests()) {
    if (!stages::is_adapter(manifest)) continue;
    stages::AdapterReport report = stages::adapter_report(manifest);
    adapters.push_back({report.folder.empty() ? manifest.stage : report.folder,
                        std::move(report.inputs), std::move(report.files)});
  }
  return adapters;
}

std::vector<std::string> commands_of(const std::string& name) {
  return {str("selfalign verify ", name, "    # nothing lost, nothing twice"),
          str("selfalign run ", name, recipe::kRecipeFile,
              " --run-folder again    # the same digest on the same machine"),
          str("selfalign show ", name, " align.answers:0    # one row's way"),
          str("selfalign evaluate ", name, " --data FOLDER    # the figures"),
          str("selfalign report ", name, "    # this report")};
}

}  // namespace

std::string base_model_note(const std::string& model_path) {
  const std::string name =
      std::filesystem::path(model_path).filename().string();
  const std::string lower = text::to_lower(name);
  std::string note = str("Base model: ", name, ". ");
  if (lower.find("instruct") != std::string::npos ||
      lower.find("chat") != std::string::npos) {
    note +=
        "It is not a pure base model: by its name it was tuned on instructions "
        "before. Here it is used as a plain text completer, without its chat "
        "template, and figures of the base and of the gain over it are to be "
        "read with that in mind. ";
  }
  return note +
         "All texts below are as the models wrote them, wrong ones included; "
         "the filters look at form, nobody checked facts.";
}

std::vector<SampleRow> sample_rows(const recipe::Recipe& recipe,
                                   const recipe::Prompts& prompts,
                                   const Reader& store) {
  std::vector<SampleRow> samples;
  if (store.num_rows("align.answers") == 0) return samples;
  inspect::SampleOptions options{.profile = recipe.profile, .kept = true};
  options.count = kNumKept;
  const auto draw = [&] {
    for (const SeenRow& row : inspect::sample_run(store, options).rows) {
      samples.push_back(sample_row(prompts, store, row));
    }
  };
  draw();
  const std::string filter =
      stages::filter_of(store, options.stage, recipe.profile);
  size_t num_reasons = 0;
  for (const auto& [reason, count] : store.rejections(options.stage, filter)) {
    if (++num_reasons > kNumRejected) break;
    options.kept = false;
    options.reason = reason;
    options.count = 1;
    draw();
  }
  return samples;
}

Named<std::vector<RejectedReason>> rejected_examples(const Reader& store) {
  Named<std::vector<RejectedReason>> all;
  for (const store::Manifest& manifest : store.manifests()) {
    const auto filter = stages::funnel_of(manifest).filter;
    if (!filter || manifest.stage.starts_with("held_out.")) continue;
    auto reasons = reasons_of(store, manifest.stage, *filter);
    if (!reasons.empty()) {
      all.emplace_back(manifest.stage, std::move(reasons));
    }
  }
  return all;
}

Named<std::vector<CurvePoint>> training_curves(const Reader& store) {
  Named<std::vector<CurvePoint>> curves;
  for (const store::Manifest& manifest : store.manifests()) {
    if (!stages::is_adapter(manifest)) continue;
    const std::string folder = stages::adapter_report(manifest).folder;
    if (folder.empty()) continue;
    auto points = curve_of(store, folder + "/metrics.jsonl");
    if (!points.empty()) curves.emplace_back(folder, std::move(points));
  }
  return curves;
}

// "-1.234 nats in the mean, at 30 places".
std::string probe_of(const Reader& store, const std::string& model) {
  const auto probe = stages::known_probe(store, model);
  if (!probe) return "";
  double sum = 0;
  for (const double one : probe->logprobs) sum += one;
  const auto num = std::max<size_t>(probe->logprobs.size(), 1);
  return str(figure_text(sum / double(num), Unit::kNumber),
             " nats in the mean, at ",
             counted(int64_t(probe->logprobs.size()), "place"));
}

Provenance provenance(const Reader& store) {
  Provenance all;
  all.program = str("selfalign ", SELFALIGN_VERSION);
  all.recipe = read_file(store.folder() + recipe::kRecipeFile);
  all.prompts_digest = store.meta("prompts.digest").value_or("");
  all.digest = store.run_digest();
  all.stages = exports::stage_digests(store);
  std::vector<std::string> roles = {""};
  for (const recipe::Role role : recipe::all_roles()) {
    roles.push_back(str(".", recipe::role_name(role)));
  }
  for (const char* model : {"base", "engraved", "verbose", "tuned"}) {
    for (const std::string& role : roles) {
      const std::string name = model + role;
      if (const auto found = store.meta("fingerprint." + name)) {
        all.models.push_back({name, *found, probe_of(store, name)});
      }
    }
  }
  all.adapters = adapters_of(store);
  all.files = exports::hashed_inputs(store.folder());
  all.commands =
      commands_of(std::filesystem::path(store.folder()).filename().string());
  return all;
}

}  // namespace selfalign::report
