// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "eval/results.h"
#include "generate/remote_address.h"
#include "inspect/eta.h"
#include "recipe/run_files.h"
#include "report/report_sections.h"
#include "stages/funnel.h"
#include "store/checks.h"

namespace selfalign::report {
namespace {

namespace fs = std::filesystem;

constexpr char kResults[] = "results.json";
constexpr const char* kReportFiles[] = {"report.html", "report.json",
                                        "report.md"};

// Where the results are, and whose report they belong to.
struct Places {
  fs::path run;         // empty: an evaluation without a run
  fs::path evaluation;  // empty: none
  const fs::path& home() const { return run.empty() ? evaluation : run; }
};

Places places_of(const std::string& folder) {
  fs::path given = fs::absolute(folder).lexically_normal();
  if (given.filename().empty()) given = given.parent_path();
  if (recipe::is_run_folder(given)) {
    const fs::path evaluation = given / "evaluation";
    return {given, is_file(evaluation / kResults) ? evaluation : fs::path()};
  }
  if (is_file(given / kResults)) {
    const fs::path parent = given.parent_path();
    return {given.filename() == "evaluation" && recipe::is_run_folder(parent)
                ? parent
                : fs::path(),
            given};
  }
  throw Error(
      ErrorKind::kInput,
      str(folder, ": this is neither the folder of a run, for it has no ",
          recipe::kRecipeFile + 1, ", nor of an evaluation, for it has no ",
          kResults,
          "; make one with: selfalign run RECIPE, or selfalign evaluate"));
}

RunCost cost_of(const inspect::RunEta& eta) {
  RunCost cost;
  double seconds = 0.0;
  bool all_timed = true;
  for (const inspect::StepEta& step : eta.steps) {
    CostStep one{step.step, step.unit, step.done, step.num_tokens,
                 std::nullopt};
    if (step.seconds >= 0.0) one.seconds = step.seconds;
    all_timed = all_timed && (one.seconds || step.num_tokens == 0);
    seconds += one.seconds.value_or(0.0);
    cost.num_tokens += step.num_tokens;
    cost.steps.push_back(std::move(one));
  }
  if (all_timed) cost.seconds = seconds;
  return cost;
}

// What a server was asked for the rows there are, and its cost.
generate::UsageReport run_usage(const recipe::ModelOptions& model,
                                const store::Reader& store) {
  generate::Usage usage;
  for (const std::string& stage : store.stages()) {
    store.scan(stage, "", [&](const store::SeenRow& seen) {
      if (seen.completion) usage.add(seen.completion->completion);
      return true;
    });
  }
  return generate::usage_report(usage, model.price);
}

void add_evaluation(const Places& places, const HeldOutAnswers* held_out,
                    Report& report) {
  const std::string folder = places.evaluation.string();
  const eval::Results results =
      folder.empty() ? eval::Results{} : eval::read_results(folder);
  report.evaluation = evaluation_report(folder, results);
  report.differences = differences(folder, results, held_out);
  for (const SubjectDifferences& pair : report.differences) {
    if (is_verbose_tax(pair)) report.verbose_tax = pair;
  }
}

RunReport run_report(const recipe::Recipe& recipe,
                     const recipe::Prompts& prompts,
                     const store::Reader& store) {
  RunReport report;
  report.summary = inspect::run_summary(recipe, store);
  report.note = base_model_note(recipe.model_for(recipe::Role::kTrain).path);
  report.data = inspect::run_stats(recipe, prompts, store);
  report.rejected_examples = rejected_examples(store);
  report.samples = sample_rows(recipe, prompts, store);
  report.curves = training_curves(store);
  report.annotations = recipe::count_annotations(prompts);
  const inspect::RunEta eta = inspect::run_eta(recipe, prompts, store);
  report.done = eta.done;
  report.is_baseline = recipe.has("tune");
  report.cost = cost_of(eta);
  const std::vector<recipe::ModelOptions> asked = recipe.used_models();
  if (std::any_of(asked.begin(), asked.end(),
                  [](const auto& model) { return model.is_served(); })) {
    report.cost.usage = run_usage(recipe.model, store);
  }
  report.provenance = provenance(store);
  return report;
}

Report report_of(const Places& places) {
  Report report;
  const std::string folder = places.run.string();
  if (folder.empty()) {
    add_evaluation(places, nullptr, report);
    return report;
  }
  recipe::Recipe recipe = recipe::run_recipe(folder);
  recipe.run_folder = folder;
  const auto store = store::Reader::open(folder);
  const recipe::Prompts prompts = recipe::run_prompts(folder);
  store->snapshot([&] {
    report.run = run_report(recipe, prompts, *store);
    const HeldOutAnswers held_out{
        *store, prompts, recipe.comparison.decoding == eval::kOwnDecoding};
    add_evaluation(places, &held_out, report);
  });
  return report;
}

void require_key(const store::Reader& store, bool has_key) {
  if (has_key || !store::evidence_of(store).signed_by) return;
  throw Error(ErrorKind::kUsage,
              str(store.folder(),
                  ": this run is signed; give the key that signed it "
                  "(--sign-key), or write the report elsewhere (--out)"));
}

void add(Section section, Document& document) {
  if (section.blocks.empty()) return;
  document.sections.push_back(std::move(section));
}

}  // namespace

Report make_report(const std::string& folder) {
  return report_of(places_of(folder));
}

std::string evaluations_markdown(const std::string& run) {
  const fs::path folder = fs::path(run) / "evaluation";
  if (!is_file(folder / kResults)) return "";
  return blocks_markdown(figures_blocks(eval::read_results(folder)));
}

Document report_document(const Report& report) {
  Document document;
  document.title = "Evaluation";
  document.subtitle = "Evaluation of language models";
  if (report.run) {
    const RunReport& run = *report.run;
    document.title = run.summary.name;
    document.subtitle = str(
        run.is_baseline
            ? std::string("A baseline: a base language model tuned on given "
                          "data")
            : str("A run of Self-Align: from a base language model and ",
                  run.annotations.total,
                  " lines of human writing to an assistant"),
        run.done ? "" : "; under way");
    document.summary = run_summary_blocks(run);
    add(stages_section(run), document);
    add(samples_section(run), document);
    add(principles_section(run), document);
    add(data_section(run), document);
    add(tuning_section(run), document);
    add(answers_section(run), document);
  }
  if (report.evaluation) {
    add(evaluation_section(*report.evaluation), document);
    add(comparisons_section(report.evaluation->results.comparisons), document);
  }
  add(differences_section(report.differences), document);
  if (report.verbose_tax) {
    add(verbose_tax_section(*report.verbose_tax), document);
  }
  if (report.run) {
    add(supervision_section(*report.run), document);
    add(provenance_section(report.run->provenance), document);
  }
  document.footer =
      "Method: Sun et al. 2023, Principle-Driven Self-Alignment of Language "
      "Models from Scratch with Minimal Human Supervision. Intervals are 95 %. "
      "report.json beside this page has every figure.";
  return document;
}

std::string write_report(const std::string& folder, const std::string& out,
                         store::Store* store,
                         const std::shared_ptr<const store::SigningKey>& key) {
  const Places places = places_of(folder);
  const Report report = report_of(places);
  const Document document = report_document(report);
  const bool is_evidence = out.empty() && report.run && report.run->done;
  std::unique_ptr<store::Store> opened;
  if (is_evidence && store == nullptr) {
    opened = store::Store::open(places.run);
    store = opened.get();
    if (key) store->set_signing_key(key);
    require_key(*store, key != nullptr);
  }
  const fs::path page =
      out.empty() ? places.home() / "report.html" : fs::path(out);
  const auto beside = [&page](const char* ending) {
    return fs::path(page).replace_extension(ending).string();
  };
  write_file_atomic(beside(".md"), document_markdown(document));
  if (!out.empty() || places.run.empty() || is_evidence) {
    write_json_file(beside(".json"), to_json(report));
  }
  // The last one, so that a page means that all are there.
  write_file_atomic(page.string(), document_html(document));
  if (is_evidence) {
    store->keep_files({std::begin(kReportFiles), std::end(kReportFiles)});
  }
  return page.string();
}

void update_report(const std::string& folder) {
  const fs::path run = places_of(folder).run;
  bool is_done = false, is_signed = false;
  if (!run.empty()) {
    const auto store = store::Reader::open(run);
    is_done = stages::run_done(*store);
    is_signed = store::evidence_of(*store).signed_by.has_value();
  }
  const auto holder = store::Reader::writer_of(run);
  if (is_done && (is_signed || holder)) {
    log_warning(str("cannot write the report of ", run.string(), ", which is ",
                    is_signed ? "signed" : "in use by " + *holder,
                    "; write it with: selfalign report ", run.string(),
                    is_signed ? " --sign-key KEY" : ""));
    return;
  }
  log_info("report: " + write_report(folder));
}

bool has_report(const store::Reader& store) {
  const auto files = store.files();
  return std::all_of(std::begin(kReportFiles), std::end(kReportFiles),
                     [&](const char* name) {
                       const fs::path path = fs::path(store.folder()) / name;
                       const auto kept = files.find(name);
                       return kept != files.end() && is_file(path) &&
                              sha256_file(path) == kept->second;
                     });
}

}  // namespace selfalign::report
