// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <memory>
#include <sstream>

#include "base/counted.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "inspect/compare.h"
#include "recipe/run_files.h"
#include "text/word_diff.h"
#include "text/wrap.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Two stages of a run, on the same instructions:
  selfalign diff runs/smollm2-demo prompted engraved
  selfalign diff runs/smollm2-demo align.pairs verbose.pairs --limit 20
Two runs: settings that differ, counts, rows that only one has, answers:
  selfalign diff runs/a runs/b
  selfalign diff runs/a runs/b --stage engraved

A stage is named as `selfalign status` does; base, prompted, engraved and
verbose mean the held-out answers. Words that only one answer has are marked
where the answers are much alike.)";

struct DiffFlags {
  std::string run;
  std::string a;
  std::string b;
  std::string stage;
  size_t limit = 5;
};

// A run with all that belongs to it.
struct Loaded {
  explicit Loaded(const std::string& folder)
      : recipe(recipe_of_run(folder)),
        prompts(recipe::run_prompts(recipe)),
        store(store::Reader::open(folder)) {}
  inspect::OpenedRun opened() const { return {recipe, prompts, *store}; }

  recipe::Recipe recipe;
  recipe::Prompts prompts;
  std::unique_ptr<store::Reader> store;
};

Json figures_json(const inspect::StageFigures& figures) {
  return Json{{"stage", figures.stage},
              {"rows", figures.num_rows},
              {"mean_words", figures.mean_words},
              {"mean_tokens", figures.mean_tokens},
              {"share_ended", figures.share_ended}};
}

Json comparison_json(const inspect::StageComparison& result, size_t limit) {
  Json different = Json::array();
  for (const inspect::AnswerPair& pair : result.different) {
    if (different.size() >= limit) break;
    different.push_back(
        Json{{"instruction", pair.instruction}, {"a", pair.a}, {"b", pair.b}});
  }
  return Json{{"a", figures_json(result.a)}, {"b", figures_json(result.b)},
              {"in_both", result.num_both},  {"same", result.num_same},
              {"only_a", result.only_a},     {"only_b", result.only_b},
              {"different", different}};
}

using Words = std::vector<text::DiffWord>;

// Words in lines of at most `width` characters.
std::vector<Words> lines_of(const Words& words, size_t width) {
  std::vector<Words> lines;
  size_t used = width;  // the first word starts a line
  for (const text::DiffWord& word : words) {
    const size_t length = text::num_characters(word.word);
    if (lines.empty() || used + 1 + length > width) {
      lines.emplace_back();
      used = 0;
    }
    used += length + (lines.back().empty() ? 0 : 1);
    lines.back().push_back(word);
  }
  return lines;
}

// A line with its runs of different words marked, and what pads it to `width`.
std::string marked(const Words& line, Style style, size_t width) {
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < line.size();) {
    std::string run = line[i].word;
    size_t end = i + 1;
    for (; end < line.size() && line[end].common == line[i].common; ++end) {
      run += ' ' + line[end].word;
    }
    const std::string shown = line[i].common ? run : styled(style, run);
    // Codes take no room on a terminal; marks elsewhere do.
    const bool coded = shown.starts_with(kStyleBegin);
    used += text::num_characters(coded ? run : shown) + (i > 0 ? 1 : 0);
    out += (i > 0 ? " " : "") + shown;
    i = end;
  }
  return out + std::string(width - std::min(width, used), ' ');
}

std::string side_by_side(const inspect::AnswerPair& pair, size_t width) {
  text::WordDiff diff = text::diff_words(pair.a, pair.b);
  // Marks help where the answers are mostly the same, and only there.
  constexpr double kLeastSimilar = 0.4;
  if (diff.similarity < kLeastSimilar) {
    for (Words* words : {&diff.a, &diff.b}) {
      for (text::DiffWord& word : *words) word.common = true;
    }
  }
  const size_t half = (width - 5) / 2;
  const auto left = lines_of(diff.a, half);
  const auto right = lines_of(diff.b, half);
  std::string out =
      "\n" + text::wrap_text(styled(Style::kBold, "## " + pair.instruction), "",
                             width);
  const Words none;
  for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    out +=
        str("  ", marked(i < left.size() ? left[i] : none, Style::kGone, half),
            " | ", marked(i < right.size() ? right[i] : none, Style::kNew, 0),
            "\n");
  }
  return out;
}

std::string figures_line(const char* name,
                         const inspect::StageFigures& figures) {
  return str(name, " ", figures.stage, ": ", figures.num_rows, " rows, mean ",
             rounded(figures.mean_words, 1), " words, ",
             rounded(figures.mean_tokens, 1), " tokens, ",
             rounded(100.0 * figures.share_ended, 0), " % end by themselves\n");
}

std::string comparison_text(const inspect::StageComparison& result,
                            size_t limit) {
  const size_t width = terminal_width();
  std::string out =
      figures_line("A", result.a) + figures_line("B", result.b) +
      str(result.num_both, " instructions in both, ", result.num_same,
          " with the same answer, ", result.only_a.size(), " only in A, ",
          result.only_b.size(), " only in B\n");
  const auto list = [&](const char* name,
                        const std::vector<std::string>& instructions) {
    for (size_t i = 0; i < std::min(limit, instructions.size()); ++i) {
      out += str("only in ", name, ": ",
                 text::one_line(instructions[i], width - 12), "\n");
    }
  };
  list("A", result.only_a);
  list("B", result.only_b);
  for (size_t i = 0; i < std::min(limit, result.different.size()); ++i) {
    out += side_by_side(result.different[i], width);
  }
  if (result.different.size() > limit) {
    out += str("\n... and ", result.different.size() - limit,
               " more with different answers (--limit)\n");
  }
  return out;
}

Json counts_json(const std::optional<inspect::StageCounts>& counts) {
  if (!counts) return nullptr;
  return Json{{"made", counts->made}, {"kept", counts->kept}};
}

Json runs_json(const inspect::RunComparison& result) {
  Json settings = Json::object();
  for (const recipe::FieldChange& change : result.settings) {
    settings[change.field] =
        Json{{"a", change.was.value_or("")}, {"b", change.is.value_or("")}};
  }
  Json stages = Json::array();
  for (const inspect::StageChange& change : result.stages) {
    stages.push_back(Json{{"stage", change.stage},
                          {"a", counts_json(change.a)},
                          {"b", counts_json(change.b)},
                          {"only_a", change.only_a},
                          {"only_b", change.only_b},
                          {"same", change.same}});
  }
  return Json{{"settings", settings}, {"stages", stages}};
}

std::string runs_text(const inspect::RunComparison& result) {
  std::ostringstream out;
  out << (result.settings.empty() ? "settings are the same\n"
                                  : "settings that differ\n");
  for (const recipe::FieldChange& change : result.settings) {
    const auto side = [](const std::optional<std::string>& value) {
      return value.value_or("").empty() ? "(none)" : *value;
    };
    out << "  " << change.field << ": "
        << styled(Style::kGone, side(change.was)) << " "
        << styled(Style::kNew, side(change.is)) << '\n';
  }
  const auto counts = [](const std::optional<inspect::StageCounts>& side) {
    return side ? str(side->kept, " of ", side->made) : std::string("-");
  };
  out << std::left << std::setw(28) << "stage (kept of made)" << std::setw(16)
      << "A" << std::setw(16) << "B"
      << "rows only in A, B\n";
  for (const inspect::StageChange& change : result.stages) {
    out << std::setw(28) << change.stage << std::setw(16) << counts(change.a)
        << std::setw(16) << counts(change.b);
    if (change.same) {
      out << "the same\n";
    } else {
      out << change.only_a << ", " << change.only_b << '\n';
    }
  }
  return out.str();
}

// The last answers that both runs have.
std::string common_stage(const Loaded& a, const Loaded& b) {
  for (const char* name : {"held_out.verbose.answers",
                           "held_out.engraved.answers", "align.answers"}) {
    if (a.store->num_rows(name) > 0 && b.store->num_rows(name) > 0) {
      return name;
    }
  }
  return "";
}

void diff_runs(const DiffFlags& flags, bool json) {
  const Loaded a(flags.run);
  const Loaded b(flags.a);
  const auto result = inspect::compare_runs(a.opened(), b.opened());
  const std::string stage = flags.stage.empty()
                                ? common_stage(a, b)
                                : inspect::stage_meant(*a.store, flags.stage);
  std::optional<inspect::StageComparison> answers;
  if (!stage.empty()) {
    answers = inspect::compare_stages(a.opened(), stage, b.opened(), stage);
  }
  if (json) {
    Json out = runs_json(result);
    if (answers) out["answers"] = comparison_json(*answers, flags.limit);
    write_json(out);
    return;
  }
  write_out(str("A ", flags.run, "\nB ", flags.a, "\n", runs_text(result)));
  if (answers) write_out("\n" + comparison_text(*answers, flags.limit));
}

void diff(const DiffFlags& flags, bool json) {
  if (flags.b.empty()) {
    if (!recipe::is_run_folder(flags.a)) {
      throw Error(
          ErrorKind::kUsage,
          str("diff: expected two stages of a run (diff RUN A B) or two "
              "runs (diff RUN1 RUN2), found \"",
              flags.a, "\", which is no run folder"));
    }
    diff_runs(flags, json);
    return;
  }
  const Loaded run(flags.run);
  const auto result = inspect::compare_stages(
      run.opened(), inspect::stage_meant(*run.store, flags.a), run.opened(),
      inspect::stage_meant(*run.store, flags.b));
  write_result(json, comparison_json(result, flags.limit),
               comparison_text(result, flags.limit));
}

}  // namespace

void add_diff(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "diff", "Two stages of a run, or two runs, side by side");
  auto flags = std::make_shared<DiffFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("a", flags->a, "stage or variant; or another run folder")
      ->required();
  command->add_option("b", flags->b, "stage or variant to compare it with");
  command->add_option("--stage", flags->stage,
                      "of two runs: the answers to show");
  command->add_option("--limit", flags->limit, "rows shown of each kind")
      ->capture_default_str();
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { diff(*flags, shell.json); });
}

}  // namespace selfalign::cli
