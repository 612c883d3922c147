// SPDX-License-Identifier: Apache-2.0
#include "inspect/review.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/joined.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "recipe/run_files.h"
#include "text/plain_text.h"
#include "text/wrap.h"

namespace selfalign::cli {
namespace {

using store::Decision;

constexpr char kFooter[] = R"(Row by row, what the run is to learn from:
  selfalign review runs/smollm2-demo
  selfalign review runs/smollm2-demo --rejected
  selfalign review runs/smollm2-demo --stage redteam.questions --limit 20
  printf 'k\nd too long\ne A better answer.\nq\n' | selfalign review RUN

Keys: k keep, d drop, e edit the answer (in $EDITOR, else on one line), n note
for the next decision, s skip, b back, q quit. Where stdin is no terminal, each
line is a key and its text.
A decision is kept at once and its row is not asked for again. It changes
nothing that is there: the stages that come after leave dropped rows out and
take edited ones with their new text. With --rejected, an answer that you keep
or edit becomes a pair after all. Stop the run before you review it.)";

constexpr char kKeys[] =
    "k keep  d drop  e edit  n note  s skip  b back  q quit\n";

struct ReviewFlags {
  std::string run;
  std::string sign_key;
  inspect::ReviewOptions options;
};

std::string author() {
  const char* user = std::getenv("USER");
  return user != nullptr && *user != '\0' ? user : "person";
}

class Session {
 public:
  Session(inspect::Review& review, const Shell& shell)
      : review_(review), json_(shell.json), width_(terminal_width()) {}

  // Until the end, "q" or the end of the input.
  void run() {
    bool shown = false;
    while (!review_.at_end()) {
      if (!shown) show(review_.item());
      shown = true;
      const std::optional<char> key = keys_.next();
      if (!key || *key == 'q') return;
      shown = !press(*key);
    }
  }

 private:
  // True if another row stands to be decided on now.
  bool press(char key) {
    try {
      switch (key) {
        case 'k':
          return decide(Decision::kKeep, "");
        case 'd':
          return decide(Decision::kDrop, "");
        case 'e':
          return decide(Decision::kEdit, edited());
        case 'n':
          note_ = keys_.ask("note: ");
          return false;
        case 's':
          review_.skip();
          return true;
        case 'b':
          return review_.back();
        default:
          say(kKeys);
          return false;
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) throw;
      log_warning(error.what());
      return false;
    }
  }

  bool decide(Decision decision, const std::string& text) {
    const inspect::ReviewItem item = review_.item();
    // On a pipe what follows the letter is the reason.
    if (decision != Decision::kEdit && !keys_.on_terminal() && note_.empty()) {
      note_ = keys_.ask("");
    }
    for (const std::string& one : {text, note_}) {
      const auto flaw = text::find_line_flaw(one);
      if (!flaw) continue;
      note_.clear();
      throw Error(ErrorKind::kUsage, *flaw);
    }
    review_.decide(decision, text, note_);
    note_.clear();
    if (json_) {
      write_json(Json{{"row", str(item.row.stage, ":", item.row.seq)},
                      {"decision", store::decision_name(decision)}});
    } else {
      say(str("-> ", store::decision_name(decision), "\n"));
    }
    return true;
  }

  std::string edited() {
    if (!keys_.on_terminal()) return keys_.ask("");
    const inspect::ReviewItem item = review_.item();
    if (auto text = keys_.edit(item.answer)) return *text;
    return keys_.ask("answer: ");
  }

  void say(const std::string& text) const {
    if (!json_) write_out(text);
  }

  void show(const inspect::ReviewItem& item) const {
    const auto part = [this](const char* name, const std::string& text) {
      if (text.empty()) return std::string();
      return styled(Style::kBold, name) + "\n" +
             text::wrap_text(text, "  ", width_);
    };
    const std::string rules = joined(item.rules);
    std::string out =
        str("\n",
            styled(Style::kDim, str(review_.position() + 1, "/", review_.size(),
                                    "  ", item.row.stage, ":", item.row.seq)),
            "\n", part("instruction", item.instruction),
            part("thought", item.thought), part("rules", rules),
            part("answer", item.answer));
    if (!item.ends) out += styled(Style::kDim, "  (cut off by length)") + "\n";
    if (item.verdict) {
      out += "rejected: " + item.verdict->reason;
      if (!item.verdict->detail.empty()) {
        out += " (" + text::one_line(item.verdict->detail, width_) + ")";
      }
      out += "\n";
    }
    if (item.decided) {
      out += str("decided: ", store::decision_name(item.decided->decision),
                 "\n", part("text after review", item.decided->text));
    }
    say(out + styled(Style::kDim, kKeys));
  }

  inspect::Review& review_;
  const bool json_;
  const size_t width_;
  KeyReader keys_;
  std::string note_;
};

void review(const ReviewFlags& flags, const Shell& shell) {
  const recipe::Recipe recipe = recipe_of_run(flags.run);
  const recipe::Prompts prompts = recipe::run_prompts(recipe);
  const auto store = store::Store::open(recipe.run_folder);
  if (const auto key = read_sign_key(flags.sign_key)) {
    store->set_signing_key(key);
  }
  inspect::ReviewOptions options = flags.options;
  options.author = author();
  options.profile = recipe.profile;
  inspect::Review review(*store, prompts, options);
  Session(review, shell).run();
  log_info(str(options.stage, ": ", review.num_decided(), " decided, ",
               review.size() - review.position(), " to go"));
  const std::string how = inspect::how_to_honour(*store, options.stage);
  if (!how.empty()) log_info(how);
}

}  // namespace

void add_review(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "review", "Keep, drop or edit rows by keyboard, before they are learnt");
  auto flags = std::make_shared<ReviewFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  command
      ->add_option("--stage", flags->options.stage,
                   "align.pairs, verbose.pairs, instruct.tasks, "
                   "redteam.questions")
      ->capture_default_str();
  add_sign_key(*command, flags->sign_key);
  command->add_flag("--rejected", flags->options.rejected,
                    "the answers that the filter rejected");
  command->add_option("--limit", flags->options.limit, "rows at most; 0 is all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { review(*flags, shell); });
}

}  // namespace selfalign::cli
