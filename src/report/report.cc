// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "generate/remote_address.h"
#include "inspect/eta.h"
#include "inspect/stats.h"
#include "inspect/summary.h"
#include "recipe/annotations.h"
#include "recipe/recipe_file.h"
#include "recipe/run_files.h"
#include "report/differences.h"
#include "report/report_run.h"
#include "report/report_sections.h"
#include "report/tables.h"
#include "stages/funnel.h"
#include "store/checks.h"

namespace selfalign::report {
namespace {

namespace fs = std::filesystem;

constexpr char kResults[] = "results.json";
constexpr const char* kReportFiles[] = {"report.html", "report.json",
                                        "report.md"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

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
      str(folder, ": expected the folder of a run, with ",
          recipe::kRecipeFile + 1, ", or of an evaluation, with ", kResults,
          ", found neither; make one with: selfalign run "
          "RECIPE, or selfalign evaluate"));
}

Json annotations_json(const recipe::Prompts& prompts) {
  const recipe::Annotations all = recipe::count_annotations(prompts);
  Json counts = Json::array();
  for (const recipe::AnnotationCount& count : all.counts) {
    counts.push_back({{"what", count.what},
                      {"count", count.count},
                      {"in_table", count.in_table}});
  }
  return {{"total", all.total}, {"counts", counts}};
}

Json cost_json(const inspect::RunEta& eta) {
  Json steps = Json::array();
  int64_t tokens = 0;
  double seconds = 0.0;
  bool all_timed = true;
  for (const inspect::StepEta& step : eta.steps) {
    Json one{{"step", step.step},
             {"unit", step.unit},
             {"done", step.done},
             {"tokens", step.num_tokens}};
    const bool timed = step.seconds >= 0.0;
    if (timed) one["seconds"] = step.seconds;
    all_timed = all_timed && (timed || step.num_tokens == 0);
    steps.push_back(std::move(one));
    tokens += step.num_tokens;
    seconds += std::max(step.seconds, 0.0);
  }
  Json cost{{"tokens", tokens}, {"steps", steps}};
  if (all_timed) cost["seconds"] = seconds;
  return cost;
}

// What a server was asked for the rows there are, and its cost.
Json run_usage(const recipe::ModelOptions& model, const store::Reader& store) {
  generate::Usage usage;
  for (const std::string& stage : store.stages()) {
    for (const store::Row& row : store.rows(stage)) {
      const auto stored = store.completion(row.key);
      if (stored) usage.add(stored->completion);
    }
  }
  return generate::usage_json(usage, model.price);
}

void add_evaluation(const Places& places, const HeldOutAnswers* held_out,
                    Json& report) {
  const std::string folder = places.evaluation.string();
  const eval::Results results =
      folder.empty() ? eval::Results{} : eval::read_results(folder);
  const Json evaluation = evaluation_json(folder, results);
  if (!evaluation.empty()) report["evaluation"] = evaluation;
  const Json pairs = differences(folder, results, held_out);
  if (!pairs.empty()) report["differences"] = pairs;
  const Json tax = verbose_tax(pairs);
  if (!tax.empty()) report["verbose_tax"] = tax;
}

Json run_part(const Places& places) {
  const std::string folder = places.run.string();
  recipe::Recipe recipe = recipe::run_recipe(folder);
  recipe.run_folder = folder;
  const auto store = store::Reader::open(folder);
  const recipe::Prompts prompts = recipe::run_prompts(folder);
  Json report;
  store->snapshot([&] {
    report = inspect::run_report(recipe, *store);
    report["note"] = base_model_note(recipe.model.path);
    report["data"] = inspect::run_stats(recipe, prompts, *store);
    report["rejected_examples"] = rejected_examples(*store);
    report["samples"] = sample_rows(recipe, prompts, *store);
    report["curves"] = training_curves(*store);
    report["annotations"] = annotations_json(prompts);
    const inspect::RunEta eta = inspect::run_eta(recipe, prompts, *store);
    report["done"] = eta.done;
    report["cost"] = cost_json(eta);
    if (generate::is_remote_model(recipe.model.path)) {
      report["cost"]["usage"] = run_usage(recipe.model, *store);
    }
    report["provenance"] = provenance(*store);
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
                  ": expected --sign-key with the key that signed this run, "
                  "found none; give it, or write the report elsewhere: --out"));
}

std::string subtitle_of(const Json& report) {
  if (!report.contains("provenance")) return "Evaluation of language models";
  return str("A run of Self-Align: from a base language model and ",
             number_at(part(report, "annotations"), "total"),
             " lines of human writing to an assistant",
             report.value("done", false) ? "" : "; under way");
}

}  // namespace

const Json& part(const Json& json, const char* name) {
  static const Json kNone = Json::object();
  if (!json.is_object()) return kNone;
  const auto found = json.find(name);
  return found != json.end() && found->is_object() ? *found : kNone;
}

const Json& list_at(const Json& json, const char* name) {
  static const Json kNone = Json::array();
  const auto found = json.find(name);
  return found != json.end() && found->is_array() ? *found : kNone;
}

std::string text_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return "";
  return found->is_string() ? found->get<std::string>() : "";
}

double number_at(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
}

Json report_json(const std::string& folder) {
  const Places places = places_of(folder);
  if (!places.run.empty()) return run_part(places);
  Json report = Json::object();
  add_evaluation(places, nullptr, report);
  return report;
}

Document report_document(const Json& report) {
  Document document;
  const std::string name = text_at(report, "name");
  document.title = name.empty() ? "Evaluation" : name;
  document.subtitle = subtitle_of(report);
  if (report.contains("provenance")) {
    document.summary = run_summary_blocks(report);
  }
  for (Section& section : std::vector<Section>{
           stages_section(report), samples_section(report),
           principles_section(report), data_section(report),
           tuning_section(report), answers_section(report),
           evaluation_section(report), comparisons_section(report),
           differences_section(report), verbose_tax_section(report),
           supervision_section(report), provenance_section(report)}) {
    if (!section.blocks.empty()) {
      document.sections.push_back(std::move(section));
    }
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
  const Json report = report_json(folder);
  const Document document = report_document(report);
  const bool is_evidence =
      out.empty() && !places.run.empty() && report.value("done", false);
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
    write_json_file(beside(".json"), report);
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
    log_warning(str(run.string(), ": expected to write its report, found it ",
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
