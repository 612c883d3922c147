// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hash.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "inspect/trace.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(The way of one row, from principle to training row:
  selfalign show runs/smollm2-demo align.pairs:0
  selfalign show runs/smollm2-demo verbose.samples:12
  selfalign show runs/smollm2-demo 0123456789abcdef

ROW is STAGE:NUMBER, counted from 0, or a key of 16 hex digits. Shown are all
rows it came from, the raw text of the model with its internal thoughts, the
principles that fired, what every filter said, and what was made of it.
`selfalign status RUN` lists the stages.)";

void show(const std::string& folder, const std::string& name, bool json) {
  const std::unique_ptr<store::Reader> store = store::Reader::open(folder);
  const uint64_t key = inspect::find_row(*store, name);
  const std::string text = inspect::show_row(*store, key);
  write_result(json, Json{{"key", key_to_hex(key)}, {"text", text}}, text);
}

}  // namespace

void add_show(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "show", "The way of a row, from principle to training row");
  auto folder = std::make_shared<std::string>();
  auto row = std::make_shared<std::string>();
  command->add_option("run", *folder, "run folder")->required();
  command->add_option("row", *row, "STAGE:NUMBER or 16 hex digits")->required();
  command->footer(kFooter);
  set_action(*command, shell,
             [folder, row, &shell] { show(*folder, *row, shell.json); });
}

}  // namespace selfalign::cli
