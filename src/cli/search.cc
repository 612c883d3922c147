// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/terminal.h"
#include "inspect/browse.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Where a text stands in what a run made:
  selfalign search runs/smollm2-demo "sky is blue"
  selfalign search runs/smollm2-demo "rules? 1[0-6]" --regex
  selfalign search RUN weather --stage align.pairs --limit 100

Looked through are instructions, topics and the raw text of every completion
with its thoughts, each once; with --stage all texts of that stage, also those
it took over from another. Upper and lower case are alike. Each line names the
row, for: selfalign show RUN ROW)";

// The hit with what stands around it, on one line.
std::string snippet(const inspect::SearchHit& hit, size_t width) {
  const size_t room = width > hit.length ? (width - hit.length) / 2 : 0;
  const size_t end = hit.begin + hit.length;
  // Cuts never fall inside a UTF-8 character.
  const auto inside = [&hit](size_t pos) {
    return pos < hit.text.size() &&
           (static_cast<unsigned char>(hit.text[pos]) & 0xc0) == 0x80;
  };
  size_t first = hit.begin - std::min(hit.begin, room);
  while (inside(first)) ++first;
  size_t last = std::min(hit.text.size(), end + room);
  while (inside(last)) ++last;
  const auto line = [&](size_t begin, size_t count) {
    std::string text = hit.text.substr(begin, count);
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return text;
  };
  return str(first > 0 ? "..." : "", line(first, hit.begin - first),
             styled(Style::kHit, line(hit.begin, hit.length)),
             line(end, last - end), last < hit.text.size() ? "..." : "");
}

void search(const std::string& folder, const inspect::SearchOptions& options,
            bool json) {
  const auto store = store::Reader::open(folder);
  const size_t width = terminal_width();
  const auto print = [&](const inspect::SearchHit& hit) {
    const std::string row = str(hit.stage, ":", hit.seq);
    if (json) {
      write_json(Json{{"row", row},
                      {"field", hit.field},
                      {"text", hit.text},
                      {"begin", hit.begin},
                      {"length", hit.length}});
      return;
    }
    constexpr size_t kLeast = 60;
    const size_t head = row.size() + hit.field.size() + 10;
    const size_t left = std::max(kLeast, width - std::min(width, head));
    write_out(str(styled(Style::kBold, row), "  ", hit.field, ": ",
                  snippet(hit, left), "\n"));
  };
  if (inspect::search_run(*store, options, print)) {
    log_info(str("there are more than ", options.limit,
                 "; ask for them with --limit"));
  }
}

}  // namespace

void add_search(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("search", "Rows of a run that hold a text");
  auto folder = std::make_shared<std::string>();
  auto options = std::make_shared<inspect::SearchOptions>();
  command->add_option("run", *folder, "run folder")->required();
  command->add_option("text", options->text, "what to look for")->required();
  command->add_option("--stage", options->stage, "only this stage");
  command->add_flag("--regex", options->is_regex,
                    "the text is a regular expression (PCRE2)");
  command->add_option("--limit", options->limit, "hits at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->footer(kFooter);
  set_action(*command, shell, [folder, options, &shell] {
    search(*folder, *options, shell.json);
  });
}

}  // namespace selfalign::cli
