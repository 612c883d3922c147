// SPDX-License-Identifier: Apache-2.0
#include "inspect/summary.h"

#include <iomanip>
#include <sstream>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/screen.h"
#include "recipe/run_files.h"
#include "stages/held_out.h"
#include "text/wrap.h"

namespace selfalign::inspect {
namespace {

using store::Row;

constexpr size_t kWidth = 76;  // characters a line

// Stages whose rows are judged, and what the tunings learn from.
bool is_in_funnel(const stages::Funnel& funnel) {
  return !funnel.stage.starts_with("held_out.") &&
         (funnel.filter || !funnel.given_up.empty() ||
          funnel.stage.ends_with(".samples"));
}

// What the manifest of pairs says of their answers.
struct PairsReport {
  double mean_answer_tokens = 0.0;
  double share_ended = 0.0;
  double mean_tokens = 0.0;  // early runs do not say

  static void describe(auto& visit, auto& self) {
    visit("mean_answer_tokens", self.mean_answer_tokens);
    visit("share_ended", self.share_ended);
    visit.may("mean_completion_tokens", self.mean_tokens);
  }
};

template <typename Report>
std::optional<Report> report_of(const store::Reader& store,
                                const std::string& stage) {
  const auto manifest = store.manifest(stage);
  if (!manifest) return std::nullopt;
  return from_json<Report>(manifest->report, stage);
}

Named<double> answer_lengths(const store::Reader& store) {
  Named<double> lengths;
  for (const char* stage : {"align.pairs", "verbose.pairs"}) {
    const auto pairs = report_of<PairsReport>(store, stage);
    if (pairs) lengths.emplace_back(stage, pairs->mean_answer_tokens);
  }
  return lengths;
}

Named<stages::TuneReport> tunings(const store::Reader& store) {
  Named<stages::TuneReport> all;
  for (const char* name : {"engrave", "verbose", "tune"}) {
    const auto tuning =
        report_of<stages::TuneReport>(store, str(name, ".adapter"));
    if (tuning) all.emplace_back(name, *tuning);
  }
  return all;
}

Named<HeldOutFigures> held_out_figures(const recipe::Recipe& recipe,
                                       const store::Reader& store) {
  Named<HeldOutFigures> all;
  for (const stages::Variant& variant : stages::variants()) {
    const std::string stage = "held_out." + variant.name;
    const auto answers = store.manifest(stage + ".answers");
    const auto pairs = report_of<PairsReport>(store, stage + ".pairs");
    if (!answers || !pairs) continue;
    HeldOutFigures figures{
        answers->num_rows,
        answers->num_kept,
        pairs->share_ended,
        pairs->mean_tokens,
        recipe::to_json(stages::variant_sampling(recipe, variant.name)),
        std::nullopt};
    const auto loss = report_of<stages::LossReport>(store, stage + ".loss");
    if (loss && loss->num_tokens > 0) figures.loss = loss->loss;
    all.emplace_back(variant.name, std::move(figures));
  }
  return all;
}

// One line for all, or one for each.
std::vector<std::string> decoding_lines(const recipe::Recipe& recipe,
                                        const Named<HeldOutFigures>& held_out) {
  if (held_out.empty()) return {};
  if (recipe.comparison.decoding == "one") {
    return {"Decoding of all: " +
            recipe::sampling_text(recipe::to_json(recipe.comparison.sampling))};
  }
  std::vector<std::string> lines = {
      "Each under the decoding of its stage, which is a part of what differs:"};
  for (const auto& [variant, figures] : held_out) {
    lines.push_back(str(stages::find_variant(variant)->title, ": ",
                        recipe::sampling_text(figures.sampling)));
  }
  return lines;
}

std::vector<ShownAnswers> shown_answers(const store::Reader& store) {
  std::vector<ShownAnswers> all;
  for (const Row& question : store.rows("held_out.questions")) {
    const std::string where = store.folder() + ": " + question.stage;
    if (!json_bool_or(question.content, "show", where, false)) continue;
    ShownAnswers& shown = all.emplace_back();
    shown.instruction = json_string(question.content, "instruction", where);
    for (const Row& child : store.children(question.key)) {
      const auto completion = store.completion(child.key);
      if (!completion) continue;
      for (const stages::Variant& variant : stages::variants()) {
        if (child.stage != str("held_out.", variant.name, ".answers")) continue;
        named(shown.answers, variant.name) = completion->completion.text;
      }
    }
  }
  return all;
}

RedTeamSummary red_team(const store::Reader& store) {
  RedTeamSummary all;
  for (const char* stage : {"redteam.topics", "redteam.questions"}) {
    const auto found = report_of<RedTeamSummary>(store, stage);
    if (!found) continue;
    if (found->topics) all.topics = found->topics;
    if (found->questions) all.questions = found->questions;
  }
  return all;
}

void print_stages(std::ostream& out, const RunSummary& summary) {
  out << std::left << std::setw(22) << "stage" << std::right << std::setw(7)
      << "made" << std::setw(7) << "kept"
      << "  rejected\n";
  for (const stages::Funnel& stage : summary.stages) {
    out << std::left << std::setw(22) << stage.stage << std::right
        << std::setw(7) << stage.num_made << std::setw(7) << stage.num_kept;
    const char* separator = "  ";
    for (const auto& [reason, count] : stage.rejected) {
      out << separator << count << " " << reason;
      separator = ", ";
    }
    const std::string identity = stages::identity_text(stage);
    if (!identity.empty()) out << "  " << identity;
    out << '\n';
  }
  out << '\n';
  for (const auto& [stage, tokens] : summary.mean_answer_tokens) {
    out << "mean answer of " << stage << ": " << rounded(tokens, 1)
        << " tokens\n";
  }
}

// Types that got fewer questions than their share, or topics not used.
void print_red_team(std::ostream& out, const RedTeamSummary& red_team) {
  if (red_team.topics) {
    out << "red-team " << stages::topics_line(*red_team.topics) << '\n';
  }
  if (!red_team.questions) return;
  const int64_t unused = red_team.questions->unused_topics;
  if (unused > 0) out << "red-team topics cut away: " << unused << '\n';
  for (const auto& [type, figures] : red_team.questions->types) {
    const int64_t share = figures.share.value_or(0);
    if (figures.kept >= share) continue;
    out << "short of its share: " << type << ", " << figures.kept << " of "
        << share << " questions\n";
  }
}

void print_tuning(std::ostream& out, const Named<stages::TuneReport>& tunings) {
  if (tunings.empty()) return;
  out << '\n'
      << std::left << std::setw(22) << "tuning" << std::right << std::setw(8)
      << "samples" << std::setw(7) << "steps"
      << "  loss over them: before" << std::setw(8) << "after" << '\n';
  for (const auto& [name, tuning] : tunings) {
    out << std::left << std::setw(22) << name << std::right << std::setw(8)
        << tuning.num_samples << std::setw(7) << tuning.num_steps
        << std::setw(24) << rounded(tuning.loss_before, 3) << std::setw(8)
        << rounded(tuning.loss_after, 3) << '\n';
  }
  for (const auto& [name, tuning] : tunings) {
    if (tuning.trained_by.empty()) continue;
    out << name << ": trained " << tuning.trained_by << '\n';
  }
}

void print_held_out(std::ostream& out, const RunSummary& summary) {
  if (summary.held_out.empty()) return;
  out << '\n'
      << std::left << std::setw(26) << "held-out instructions" << std::right
      << std::setw(8) << "answers" << std::setw(19) << "end by themselves"
      << std::setw(13) << "mean tokens" << '\n';
  for (const auto& [variant, figures] : summary.held_out) {
    out << std::left << std::setw(26) << stages::find_variant(variant)->title
        << std::right << std::setw(8) << figures.num_answers << std::setw(17)
        << rounded(100.0 * figures.share_ended, 0) << " %" << std::setw(13)
        << rounded(figures.mean_tokens, 1) << '\n';
  }
  for (const std::string& line : summary.decoding) out << line << '\n';
  const HeldOutFigures* base = find_named(summary.held_out, "base");
  const HeldOutFigures* tuned = find_named(summary.held_out, "engraved");
  if (base && tuned && base->loss && tuned->loss) {
    out << "loss over the prompted base's answers under the short prompt: base "
        << rounded(*base->loss, 3) << ", engraved " << rounded(*tuned->loss, 3)
        << '\n';
  }
}

void print_answers(std::ostream& out,
                   const std::vector<ShownAnswers>& answers) {
  for (const ShownAnswers& shown : answers) {
    out << "\n## " << shown.instruction << '\n';
    for (const stages::Variant& variant : stages::variants()) {
      const std::string* answer = find_named(shown.answers, variant.name);
      if (answer == nullptr) continue;
      out << "  " << variant.title << ":\n";
      out << text::wrap_text(*answer, "    ", kWidth);
    }
  }
}

}  // namespace

RunSummary run_summary(const recipe::Recipe& recipe,
                       const store::Reader& store) {
  RunSummary summary;
  summary.name = recipe.name;
  summary.model =
      recipe.model.path.empty() ? recipe.model.place() : recipe.model.path;
  for (const store::Manifest& manifest : store.manifests()) {
    stages::Funnel funnel = stages::funnel_of(manifest);
    if (is_in_funnel(funnel)) summary.stages.push_back(std::move(funnel));
  }
  summary.mean_answer_tokens = answer_lengths(store);
  summary.red_team = red_team(store);
  if (store.num_rows("align.answers") > 0) {
    summary.principles = stages::principle_report(
        stages::principle_use(store, recipe::run_prompts(store.folder())));
  }
  summary.tuning = tunings(store);
  summary.held_out = held_out_figures(recipe, store);
  summary.comparison = recipe.comparison.decoding;
  summary.decoding = decoding_lines(recipe, summary.held_out);
  summary.answers = shown_answers(store);
  summary.digest = store.run_digest();
  return summary;
}

std::string summary_text(const RunSummary& summary) {
  std::ostringstream out;
  out << "# " << summary.name << "\n\n";
  print_stages(out, summary);
  print_red_team(out, summary.red_team);
  if (summary.principles) {
    out << '\n' << stages::principles_summary(*summary.principles);
  }
  print_tuning(out, summary.tuning);
  print_held_out(out, summary);
  print_answers(out, summary.answers);
  out << "\nrun digest " << summary.digest << '\n';
  return out.str();
}

void write_summary(const recipe::Recipe& recipe, store::Store& store) {
  write_file_atomic(store.folder() + "/report.txt",
                    screen_text(summary_text(run_summary(recipe, store))));
  store.transaction([&] {
    store.keep_files({"report.txt"});
    store.set_meta(store::kDone, "1");
  });
}

}  // namespace selfalign::inspect
