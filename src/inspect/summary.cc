// SPDX-License-Identifier: Apache-2.0
#include "inspect/summary.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/screen.h"
#include "inspect/profiles.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/held_out.h"
#include "stages/principles.h"
#include "stages/topic_growth.h"
#include "text/wrap.h"

namespace selfalign::inspect {
namespace {

using store::Manifest;
using store::Row;

constexpr size_t kWidth = 76;  // characters a line

bool starts_with(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Stages whose rows are judged, and what the tunings learn from.
bool is_in_funnel(const Manifest& manifest) {
  return !starts_with(manifest.stage, "held_out.") &&
         (manifest.report.contains("filter") ||
          manifest.report.contains("given_up") ||
          ends_with(manifest.stage, ".samples"));
}

double figure(const Manifest& manifest, const char* name) {
  return json_number_or(manifest.report, name, manifest.stage, 0.0);
}

Json stage_json(const Manifest& manifest) {
  Json rejected = Json::object();
  for (const auto& [reason, count] : stages::funnel_of(manifest).rejected) {
    rejected[reason] = count;
  }
  Json stage{{"stage", manifest.stage},
             {"made", manifest.num_rows},
             {"kept", manifest.num_kept},
             {"rejected", rejected}};
  for (const char* name : {"identity", "identity_left_out", "given_up"}) {
    if (manifest.report.contains(name)) stage[name] = manifest.report[name];
  }
  return stage;
}

Json lengths_json(const store::Reader& store) {
  Json lengths = Json::object();
  for (const char* stage : {"align.pairs", "verbose.pairs"}) {
    const auto manifest = store.manifest(stage);
    if (!manifest) continue;
    lengths[stage] = figure(*manifest, "mean_answer_tokens");
  }
  return lengths;
}

Json tuning_json(const store::Reader& store) {
  Json tunings = Json::object();
  for (const char* name : {"engrave", "verbose", "tune"}) {
    const auto manifest = store.manifest(str(name, ".adapter"));
    if (!manifest) continue;
    Json& tuning = tunings[name];
    for (const char* count :
         {"num_samples", "num_tokens", "num_truncated", "num_steps"}) {
      tuning[count] = static_cast<int64_t>(figure(*manifest, count));
    }
    for (const char* loss : {"loss_before", "loss_after"}) {
      tuning[loss] = figure(*manifest, loss);
    }
  }
  return tunings;
}

Json held_out_json(const recipe::Recipe& recipe, const store::Reader& store) {
  Json all = Json::object();
  for (const stages::Variant& variant : stages::variants()) {
    const auto answers =
        store.manifest(str("held_out.", variant.name, ".answers"));
    const auto pairs = store.manifest(str("held_out.", variant.name, ".pairs"));
    if (!answers || !pairs) continue;
    Json figures{{"num_answers", answers->num_rows},
                 {"num_kept", answers->num_kept},
                 {"share_ended", figure(*pairs, "share_ended")},
                 {"mean_tokens", figure(*pairs, "mean_completion_tokens")},
                 {"sampling", recipe::to_json(stages::variant_sampling(
                                  recipe, variant.name))}};
    const auto loss = store.manifest(str("held_out.", variant.name, ".loss"));
    if (loss && figure(*loss, "num_tokens") > 0) {
      figures["loss"] = figure(*loss, "loss");
    }
    all[variant.name] = figures;
  }
  return all;
}

// One line for all, or one for each.
std::vector<std::string> decoding_lines(const recipe::Recipe& recipe,
                                        const Json& held_out) {
  if (held_out.empty()) return {};
  if (recipe.comparison.decoding == "one") {
    return {"Decoding of all: " +
            recipe::sampling_text(recipe::to_json(recipe.comparison.sampling))};
  }
  std::vector<std::string> lines = {
      "Each under the decoding of its stage, which is a part of what differs:"};
  for (const stages::Variant& variant : stages::variants()) {
    if (!held_out.contains(variant.name)) continue;
    lines.push_back(
        str(variant.title, ": ",
            recipe::sampling_text(held_out[variant.name]["sampling"])));
  }
  return lines;
}

// The shown questions with what each variant wrote, raw.
Json answers_json(const store::Reader& store) {
  Json all = Json::array();
  for (const Row& question : store.rows("held_out.questions")) {
    const std::string where = store.folder() + ": " + question.stage;
    if (!json_bool_or(question.content, "show", where, false)) continue;
    Json entry{
        {"instruction", json_string(question.content, "instruction", where)}};
    for (const Row& child : store.children(question.key)) {
      const auto completion = store.completion(child.key);
      if (!completion) continue;
      for (const stages::Variant& variant : stages::variants()) {
        if (child.stage != str("held_out.", variant.name, ".answers")) continue;
        entry[variant.name] = completion->completion.text;
      }
    }
    all.push_back(entry);
  }
  return all;
}

// How the questions are spread over the question types (balance.h).
Json red_team_json(const store::Reader& store) {
  Json figures = Json::object();
  if (const auto topics = store.manifest("redteam.topics")) {
    if (topics->report.contains("topics")) {
      figures["topics"] = topics->report["topics"];
    }
  }
  const auto manifest = store.manifest("redteam.questions");
  if (!manifest) return figures;
  for (const char* name : {"balance", "unused_topics", "types"}) {
    if (manifest->report.contains(name)) figures[name] = manifest->report[name];
  }
  return figures;
}

std::string fixed(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

void print_stages(std::ostream& out, const Json& report) {
  out << std::left << std::setw(22) << "stage" << std::right << std::setw(7)
      << "made" << std::setw(7) << "kept"
      << "  rejected\n";
  for (const Json& stage : report["stages"]) {
    out << std::left << std::setw(22) << stage["stage"].get<std::string>()
        << std::right << std::setw(7) << stage["made"].get<int64_t>()
        << std::setw(7) << stage["kept"].get<int64_t>();
    const char* separator = "  ";
    for (const auto& [reason, count] : stage["rejected"].items()) {
      out << separator << count.get<int64_t>() << " " << reason;
      separator = ", ";
    }
    stages::Funnel samples;
    samples.num_made = stage["made"].get<int64_t>();
    samples.num_identity = stage.value("identity", int64_t{0});
    samples.num_identity_left_out =
        stage.value("identity_left_out", int64_t{0});
    const std::string identity = stages::identity_text(samples);
    if (!identity.empty()) out << "  " << identity;
    out << '\n';
  }
  out << '\n';
  for (const auto& [stage, tokens] : report["mean_answer_tokens"].items()) {
    out << "mean answer of " << stage << ": " << fixed(tokens.get<double>(), 1)
        << " tokens\n";
  }
}

// Types that got fewer questions than their share, or topics not used.
void print_red_team(std::ostream& out, const Json& red_team) {
  if (red_team.contains("topics")) {
    out << "red-team " << stages::topics_line(red_team["topics"]) << '\n';
  }
  if (red_team.value("unused_topics", 0) > 0) {
    out << "red-team topics cut away: " << red_team.value("unused_topics", 0)
        << '\n';
  }
  if (!red_team.contains("types")) return;
  for (const auto& [type, figures] : red_team["types"].items()) {
    const int share = figures.value("share", 0);
    const int kept = figures.value("kept", 0);
    if (kept < share) {
      out << "short of its share: " << type << ", " << kept << " of " << share
          << " questions\n";
    }
  }
}

void print_tuning(std::ostream& out, const Json& tunings) {
  if (tunings.empty()) return;
  out << '\n'
      << std::left << std::setw(22) << "tuning" << std::right << std::setw(8)
      << "samples" << std::setw(7) << "steps"
      << "  loss over them: before" << std::setw(8) << "after" << '\n';
  for (const auto& [name, tuning] : tunings.items()) {
    out << std::left << std::setw(22) << name << std::right << std::setw(8)
        << tuning.value("num_samples", 0) << std::setw(7)
        << tuning.value("num_steps", 0) << std::setw(24)
        << fixed(tuning.value("loss_before", 0.0), 3) << std::setw(8)
        << fixed(tuning.value("loss_after", 0.0), 3) << '\n';
  }
}

void print_held_out(std::ostream& out, const Json& report) {
  const Json& held_out = report["held_out"];
  if (held_out.empty()) return;
  out << '\n'
      << std::left << std::setw(26) << "held-out instructions" << std::right
      << std::setw(8) << "answers" << std::setw(19) << "end by themselves"
      << std::setw(13) << "mean tokens" << '\n';
  for (const stages::Variant& variant : stages::variants()) {
    const auto found = held_out.find(variant.name);
    if (found == held_out.end()) continue;
    out << std::left << std::setw(26) << variant.title << std::right
        << std::setw(8) << found->value("num_answers", 0) << std::setw(17)
        << fixed(100.0 * found->value("share_ended", 0.0), 0) << " %"
        << std::setw(13) << fixed(found->value("mean_tokens", 0.0), 1) << '\n';
  }
  for (const Json& line : report["decoding"]) {
    out << line.get<std::string>() << '\n';
  }
  const Json none = Json::object();
  const Json& base = held_out.contains("base") ? held_out["base"] : none;
  const Json& tuned =
      held_out.contains("engraved") ? held_out["engraved"] : none;
  if (base.contains("loss") && tuned.contains("loss")) {
    out << "loss over the prompted base's answers under the short prompt: base "
        << fixed(base["loss"].get<double>(), 3) << ", engraved "
        << fixed(tuned["loss"].get<double>(), 3) << '\n';
  }
}

// In the text the counts alone; `selfalign profiles` shows rows.
Json without_examples(Json profiles) {
  for (Json& stage : profiles["stages"]) {
    for (Json& difference : stage["differences"]) {
      difference["examples"] = Json::array();
    }
  }
  return profiles;
}

void print_answers(std::ostream& out, const Json& answers) {
  for (const Json& entry : answers) {
    out << "\n## " << entry["instruction"].get<std::string>() << '\n';
    for (const stages::Variant& variant : stages::variants()) {
      const auto answer = entry.find(variant.name);
      if (answer == entry.end()) continue;
      out << "  " << variant.title << ":\n";
      out << text::wrap_text(answer->get<std::string>(), "    ", kWidth);
    }
  }
}

}  // namespace

Json run_report(const recipe::Recipe& recipe, const store::Reader& store) {
  Json report{{"name", recipe.name}, {"model", recipe.model.path}};
  report["stages"] = Json::array();
  for (const Manifest& manifest : store.manifests()) {
    if (is_in_funnel(manifest))
      report["stages"].push_back(stage_json(manifest));
  }
  report["mean_answer_tokens"] = lengths_json(store);
  report["red_team"] = red_team_json(store);
  if (store.num_rows("align.answers") > 0) {
    report["principles"] = stages::principles_json(
        stages::principle_use(store, recipe::run_prompts(store.folder())));
  }
  report["tuning"] = tuning_json(store);
  report["held_out"] = held_out_json(recipe, store);
  report["comparison"] = recipe.comparison.decoding;
  report["decoding"] = decoding_lines(recipe, report["held_out"]);
  report["profiles"] = profiles_report(store, 3);
  report["answers"] = answers_json(store);
  report["digest"] = store.run_digest();
  return report;
}

std::string run_summary(const recipe::Recipe& recipe,
                        const store::Reader& store) {
  const Json report = run_report(recipe, store);
  std::ostringstream out;
  out << "# " << recipe.name << "\n\n";
  print_stages(out, report);
  print_red_team(out, report["red_team"]);
  if (report.contains("principles")) {
    out << '\n' << stages::principles_summary(report["principles"]);
  }
  print_tuning(out, report["tuning"]);
  print_held_out(out, report);
  out << '\n' << profiles_text(without_examples(report["profiles"]));
  print_answers(out, report["answers"]);
  out << "\nrun digest " << report["digest"].get<std::string>() << '\n';
  return out.str();
}

void write_summary(const recipe::Recipe& recipe, store::Store& store) {
  write_file_atomic(store.folder() + "/report.txt",
                    screen_text(run_summary(recipe, store)));
  write_json_file(store.folder() + "/report.json", run_report(recipe, store));
  store.transaction([&] {
    store.keep_files({"report.txt", "report.json"});
    store.set_meta(store::kDone, "1");
  });
}

}  // namespace selfalign::inspect
