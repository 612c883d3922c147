// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <optional>
#include <vector>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/requests.h"
#include "local/workbench.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(How probable does the model find these continuations?
  echo '{"context": "Water boils at", "continuations": [" 100 degrees",
         " 30 degrees"]}' | tr -d '\n' | selfalign score --model MODEL
  {"continuations":[{"text":" 100 degrees","tokens":[...],"logprobs":[...],
    "sum":-7.1,"greedy":[...],"is_greedy":false}, ...]}

logprobs are natural logarithms, one per token of the continuation; greedy
says of each token whether it was the model's first choice. The context is
computed once for all its continuations. A member "key" comes back as it is.
A continuation that a server gives no score of has finish_reason (refused,
timed_out, no_room, ...) and "error" in place of the numbers; the others go on.)";

// Enough to keep the engine busy, few enough to answer soon.
constexpr size_t kMaxBatch = 64;

void score_lines(const ModelFlags& flags) {
  LineReader reader;
  local::LocalWorkbench workbench;
  const std::unique_ptr<generate::Generator> generator =
      workbench.open_generator(flags.model, flags.adapter);
  reader.ask_for("a request a line, as JSON");
  Progress progress("score", 0, "rows");
  uint64_t num_done = 0;
  std::optional<Error> problem;
  bool at_end = false;
  while (!at_end && !problem) {
    std::vector<ScoreLine> lines;
    std::vector<generate::ScoreRequest> requests;
    while (lines.size() < kMaxBatch && (lines.empty() || reader.ready())) {
      const std::optional<std::string> line = reader.next_filled();
      at_end = !line;
      if (at_end) break;
      try {
        lines.push_back(parse_score_line(*line, reader.where()));
        requests.push_back(lines.back().request);
      } catch (const Error& error) {
        problem = error;  // the lines before this one are answered first
        break;
      }
    }
    if (lines.empty()) break;
    const std::vector<generate::Scores> scores = generator->score(requests);
    if (interrupted()) return;
    for (size_t i = 0; i < lines.size(); ++i) {
      write_json(scores_json(scores.at(i), lines[i]));
    }
    num_done += lines.size();
    progress.update(num_done);
  }
  if (problem) throw *problem;
}

}  // namespace

void add_score(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "score", "Log-probabilities of continuations: JSON lines in and out");
  auto flags = std::make_shared<ModelFlags>();
  flags->model.num_slots = 16;
  flags->add_all(*command);
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell, command] {
    shell.resume_hint = "give the lines that have no result yet again";
    flags->check_use(*command, {flags->model.path});
    score_lines(*flags);
  });
}

}  // namespace selfalign::cli
