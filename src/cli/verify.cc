// SPDX-License-Identifier: Apache-2.0
#include "replay/verify.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "base/counted.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "store/signing.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Proves that a run lost nothing and has nothing twice:
  selfalign verify runs/smollm2-demo
  selfalign verify runs/smollm2-demo --json | jq .problems

For each stage: rows = kept + rejected (by reason) + pending, counted afresh;
sequence numbers without gaps, parents that are there and were kept, the
digests of rows, recipe, prompts and all files that run.db names, the seals of
all tables and the chain over the stages. Then the run is played again
from its recipe, its prompts and the stored completions: every key, parsed
row, verdict and sample must come out the same. No model is loaded, nothing is
written to the run, and a process that is at work on it is not disturbed.

Who can write run.db can compute its seals anew. Where that matters, sign:
  openssl genpkey -algorithm ed25519 -out key.pem && chmod 600 key.pem
  openssl pkey -in key.pem -pubout -out public.pem
  selfalign run RECIPE --sign-key key.pem
  selfalign verify RUN --key public.pem

Exit code 0, or 5 where something is wrong: each problem is a line that says
where, what was expected, what was found and what to do.)";

}  // namespace

void add_verify(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "verify", "Prove that a run lost nothing and check every digest");
  auto folder = std::make_shared<std::string>();
  command->add_option("run", *folder, "run folder")->required();
  auto key = std::make_shared<std::string>();
  command->add_option("--key", *key,
                      "Ed25519 public key in PEM: the run must be signed by "
                      "its private half");
  command->footer(kFooter);
  set_action(*command, shell, [folder, key, &shell] {
    const std::string public_key =
        key->empty() ? "" : store::read_public_key(*key);
    // What the stages say when they are played again was said before.
    set_log_level(LogLevel::kError);
    set_progress_shown(false);
    const replay::Verification verification = replay::verify_run(
        std::filesystem::absolute(*folder).lexically_normal(), public_key);
    write_result(shell.json, verification_json(verification),
                 verification_text(verification));
    if (verification.problems.empty()) return;
    throw Error(ErrorKind::kDamaged,
                str(*folder, ": expected a sound run, found ",
                    counted(verification.problems.size(), "problem"),
                    "; each says what to do"));
  });
}

}  // namespace selfalign::cli
