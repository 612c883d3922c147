// SPDX-License-Identifier: Apache-2.0
#include "inspect/trace.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "base/counted.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "parse/rules.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "recipe/run_files.h"
#include "stages/stage_table.h"

namespace selfalign::inspect {
namespace {

using store::Reader;
using store::Row;

constexpr size_t kMaxDescendants = 40;

void print_text(std::ostream& out, const std::string& name,
                const std::string& text) {
  if (text.find('\n') == std::string::npos && text.size() < 100) {
    out << "  " << name << ": " << text << '\n';
    return;
  }
  out << "  " << name << ":\n";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    out << "    | " << line << '\n';
  }
}

class Tracer {
 public:
  explicit Tracer(const Reader& store)
      : store_(store),
        prompts_(recipe::run_prompts(store.folder())),
        recipe_(recipe::run_recipe(store.folder())) {
    const std::vector<std::string> stages = store.stages();
    for (size_t i = 0; i < stages.size(); ++i) order_[stages[i]] = i;
  }

  std::string show(const Row& row) {
    std::vector<Row> above;
    collect_above(row, above);
    const auto by_place = [this](const Row& a, const Row& b) {
      return std::pair(order_[a.stage], a.seq) <
             std::pair(order_[b.stage], b.seq);
    };
    std::sort(above.begin(), above.end(), by_place);
    std::vector<Row> below;
    collect_below(row, below);
    std::sort(below.begin(), below.end(), by_place);
    for (const Row& other : above) print(other, "");
    print(row, "  <-- this row");
    const size_t num_shown = std::min(below.size(), kMaxDescendants);
    for (size_t i = 0; i < num_shown; ++i) print(below[i], "");
    if (num_shown < below.size()) {
      out_ << "... and " << below.size() - num_shown
           << " more rows that came from it\n";
    }
    return out_.str();
  }

 private:
  // Both go on from what they found, one after another: in a run that somebody
  // made up, rows may stand above one another without end.
  void collect_above(const Row& row, std::vector<Row>& rows) {
    std::vector<uint64_t> parents = row.parents;
    for (size_t i = 0; i < parents.size(); ++i) {
      if (!seen_.insert(parents[i]).second) continue;
      auto found = store_.row(parents[i]);
      if (!found) continue;
      parents.insert(parents.end(), found->parents.begin(),
                     found->parents.end());
      rows.push_back(std::move(*found));
    }
  }

  void collect_below(const Row& row, std::vector<Row>& rows) {
    std::vector<uint64_t> parents = {row.key};
    for (size_t i = 0; i < parents.size(); ++i) {
      for (Row& child : store_.children(parents[i])) {
        if (!seen_.insert(child.key).second) continue;
        parents.push_back(child.key);
        rows.push_back(std::move(child));
      }
    }
  }

  void print(const Row& row, const char* mark) {
    out_ << "== " << row.stage << ":" << row.seq << "  " << key_to_hex(row.key)
         << mark << '\n';
    for (const uint64_t parent : row.parents) {
      out_ << "  from " << key_to_hex(parent) << '\n';
    }
    print_source(row);
    for (const auto& [name, value] : row.content.items()) {
      print_text(
          out_, name,
          value.is_string() ? value.get<std::string>() : dump_json(value));
    }
    if (const auto completion = store_.completion(row.key)) {
      print_completion(*completion);
    }
    for (const store::Verdict& verdict : store_.verdicts(row.key)) {
      out_ << "  verdict of " << verdict.filter << ": "
           << (verdict.kept ? "kept" : "rejected, " + verdict.reason);
      if (!verdict.detail.empty()) out_ << " (" << verdict.detail << ")";
      out_ << '\n';
    }
    if (const auto review = store_.review(row.key)) {
      print_review(*review);
    }
    out_ << '\n';
  }

  void print_review(const store::Review& review) {
    out_ << "  review by " << review.author << ": "
         << store::decision_name(review.decision) << '\n';
    if (!review.text.empty()) {
      print_text(out_, "text after review", review.text);
    }
    if (!review.note.empty()) print_text(out_, "note", review.note);
  }

  void print_source(const Row& row) {
    const stages::Stage* stage = stages::find_stage(row.stage);
    if (!stage || !stage->sampling) return;
    out_ << "  prompt: " << store_.folder()
         << "/prompts: " << stage->prompt_files << "\n  sampling: "
         << recipe::sampling_text(recipe::to_json(stage->sampling(recipe_)))
         << '\n';
  }

  void print_completion(const store::StoredCompletion& stored) {
    const generate::Completion& completion = stored.completion;
    print_text(out_, "raw text", completion.text);
    out_ << "  finish: " << generate::finish_name(completion.finish) << ", "
         << completion.num_tokens << " tokens after "
         << completion.num_prompt_tokens << " of prompt, log-probability "
         << completion.logprob << "\n  model: " << stored.fingerprint << '\n';
    if (stored.thought.empty()) return;
    print_text(out_, "internal thought", stored.thought);
    const std::vector<std::string> names = recipe::principle_names(prompts_);
    for (const int rule : parse::find_rules(stored.thought, names).rules) {
      const recipe::Principle& principle =
          prompts_.principles[size_t(rule - 1)];
      out_ << "  principle " << rule << " (" << principle.name
           << "): " << principle.text << '\n';
    }
  }

  const Reader& store_;
  const recipe::Prompts prompts_;
  const recipe::Recipe recipe_;
  std::map<std::string, size_t> order_;  // of stages
  std::set<uint64_t> seen_;
  std::ostringstream out_;
};

bool is_hex_key(const std::string& text) {
  return text.size() == 16 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

uint64_t find_row(const Reader& store, const std::string& name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos && is_hex_key(name)) return key_from_hex(name);
  if (colon == std::string::npos) {
    throw Error(ErrorKind::kInput,
                str(store.folder(),
                    ": expected a row as STAGE:NUMBER, or its key of 16 "
                    "lower-case hex digits, found \"",
                    name, "\"; see the stages with: selfalign status ",
                    store.folder()));
  }
  const std::string stage = name.substr(0, colon);
  const std::string number = name.substr(colon + 1);
  const auto seq = parse_number<int64_t>(number);
  if (seq && std::to_string(*seq) == number) {
    if (const auto row = store.row(stage, *seq)) return row->key;
  }
  if (const int64_t num_rows = store.num_rows(stage)) {
    throw Error(ErrorKind::kInput,
                str(store.folder(), ": expected a row of ", stage,
                    ", which has ", counted(num_rows, "row"), ", from 0 to ",
                    num_rows - 1, ", found ", number));
  }
  std::string stages;
  for (const std::string& known : store.stages()) stages += " " + known;
  throw Error(ErrorKind::kInput,
              str(store.folder(),
                  ": expected a row named stage:number, found "
                  "none named ",
                  name, "; stages with rows:", stages));
}

std::string show_row(const Reader& store, uint64_t key) {
  const auto row = store.row(key);
  if (!row) {
    throw Error(ErrorKind::kInput,
                str(store.folder(), ": expected the key of a row, found ",
                    key_to_hex(key), ", which is none"));
  }
  return Tracer(store).show(*row);
}

}  // namespace selfalign::inspect
