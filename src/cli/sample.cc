// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "base/counted.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "inspect/browse.h"
#include "store/reader.h"
#include "text/wrap.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Rows of a run, drawn at random:
  selfalign sample runs/smollm2-demo
  selfalign sample runs/smollm2-demo --rejected --reason repetition
  selfalign sample RUN --stage instruct.tasks --kept -n 30 --seed 2

The same seed draws the same rows, each of them equally likely. Shown are the
row's texts, the raw text of the model, and what the filter said.)";

struct SampleFlags {
  std::string run;
  inspect::SampleOptions options;
  bool rejected = false;
  bool kept = false;
};

Json row_json(const store::SeenRow& seen) {
  Json row{{"row", str(seen.row.stage, ":", seen.row.seq)},
           {"content", seen.row.content}};
  if (seen.completion) {
    row["text"] = seen.completion->completion.text;
    row["finish"] = generate::finish_name(seen.completion->completion.finish);
  }
  if (seen.verdict) {
    row["kept"] = seen.verdict->kept;
    row["reason"] = seen.verdict->reason;
    row["detail"] = seen.verdict->detail;
  }
  return row;
}

std::string row_text(const store::SeenRow& seen, size_t width) {
  std::string verdict;
  if (seen.verdict) {
    verdict =
        seen.verdict->kept ? "  kept" : "  rejected, " + seen.verdict->reason;
    if (!seen.verdict->detail.empty()) {
      verdict += " (" + text::one_line(seen.verdict->detail, width) + ")";
    }
  }
  std::string out =
      str("\n", styled(Style::kBold, str(seen.row.stage, ":", seen.row.seq)),
          verdict, "\n");
  for (const auto& [name, value] : seen.row.content.items()) {
    const std::string text =
        value.is_string() ? value.get<std::string>() : dump_json(value);
    out += text::wrap_text(str(name, ": ", text), "  ", width);
  }
  if (seen.completion) {
    out += "  raw text:\n" +
           text::wrap_text(seen.completion->completion.text, "  | ", width);
  }
  return out;
}

void sample(const SampleFlags& flags, bool json) {
  inspect::SampleOptions options = flags.options;
  options.profile = recipe_of_run(flags.run).profile;
  if (flags.rejected) options.kept = false;
  if (flags.kept) options.kept = true;
  const auto store = store::Reader::open(flags.run);
  const inspect::Sampled sampled = inspect::sample_run(*store, options);
  for (const store::SeenRow& seen : sampled.rows) {
    write_result(json, row_json(seen), row_text(seen, terminal_width()));
  }
  log_info(str(options.stage, ": ", sampled.rows.size(), " of ",
               counted(int64_t(sampled.num_matching), "row")));
}

}  // namespace

void add_sample(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("sample", "Random rows of a run, with verdicts");
  auto flags = std::make_shared<SampleFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("--stage", flags->options.stage, "stage to draw from")
      ->capture_default_str();
  CLI::Option* rejected = command->add_flag("--rejected", flags->rejected,
                                            "only what the filter rejected");
  command->add_flag("--kept", flags->kept, "only what the filter kept")
      ->excludes(rejected);
  command->add_option("--reason", flags->options.reason,
                      "only what was rejected for this reason");
  command->add_option("-n,--count", flags->options.count, "rows")
      ->check(in_range(Range<int>{1, 1 << 20}))
      ->capture_default_str();
  command->add_option("--seed", flags->options.seed, "of the draw")
      ->capture_default_str();
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { sample(*flags, shell.json); });
}

}  // namespace selfalign::cli
