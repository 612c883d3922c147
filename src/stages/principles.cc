// SPDX-License-Identifier: Apache-2.0
#include "stages/principles.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "stages/stage_table.h"

namespace selfalign::stages {
namespace {

using store::Row;

constexpr char kSelfInstruct[] = "self-instruct";
constexpr char kGiven[] = "given";
constexpr size_t kMaxTypeWidth = 34;

double ratio(int64_t part, int64_t whole) {
  return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

KeptRejected& operator+=(KeptRejected& sum, const KeptRejected& more) {
  sum.kept += more.kept;
  sum.rejected += more.rejected;
  return sum;
}

bool is_red_team(const std::string& type) {
  return type != kSelfInstruct && type != kGiven;
}

class Counting {
 public:
  Counting(const store::Reader& store, const recipe::Prompts& prompts,
           int before)
      : store_(store), before_(before) {
    use_.rules = recipe::principle_names(prompts);
    type_order_ = {kSelfInstruct, kGiven};
    for (const recipe::QuestionType& type : prompts.red_team.types) {
      type_order_.push_back(type.type);
    }
  }

  PrincipleUse count() {
    for (const std::string& stage : store_.stages()) {
      if (stage.starts_with("instruct.") || stage.starts_with("redteam.") ||
          stage.starts_with("given.") || stage.starts_with("refill.")) {
        for (const Row& row : store_.rows(stage)) {
          types_[row.key] = question_type(row);
        }
      }
    }
    count_stages("align.answers", "align.pairs");
    for (int round = 1; round < before_; ++round) {
      const RefillStages stages = refill_stages(round);
      if (store_.num_rows(stages.answers) == 0) break;
      count_stages(stages.answers, stages.pairs);
    }
    sort_types();
    return std::move(use_);
  }

 private:
  void count_stages(const std::string& answers, const std::string& pairs) {
    for (const Row& pair : store_.rows(pairs)) {
      kept_.insert(pair.parents.begin(), pair.parents.end());
    }
    for (const Row& row : store_.rows(answers)) add(row);
  }

  void add(const Row& row) {
    const auto stored = store_.completion(row.key);
    if (!stored || store_.verdicts(row.key).empty()) return;
    const bool kept = kept_.contains(row.key);
    const size_t type = type_of(row);
    const auto hit = [kept](KeptRejected& count) {
      ++(kept ? count.kept : count.rejected);
    };
    hit(use_.rows[type]);
    if (stored->thought.empty()) ++use_.without_thought;
    const parse::FiredRules fired =
        parse::find_rules(stored->thought, use_.rules);
    for (size_t i = 0; i < parse::kNumRuleForms; ++i)
      use_.forms[i] += fired.forms[i];
    for (const int rule : fired.rules) hit(use_.fired[type][size_t(rule - 1)]);
    if (fired.rules.empty()) hit(use_.unnamed[type]);
  }

  size_t type_of(const Row& row) {
    const auto known =
        row.parents.empty() ? types_.end() : types_.find(row.parents[0]);
    const std::string type = known == types_.end() ? kGiven : known->second;
    const auto [place, is_new] = places_.emplace(type, use_.types.size());
    if (is_new) {
      use_.types.push_back(type);
      use_.rows.emplace_back();
      use_.unnamed.emplace_back();
      use_.fired.emplace_back(use_.rules.size());
    }
    return place->second;
  }

  // Into the order of the prompts, whatever row came first.
  void sort_types() {
    std::vector<size_t> order(use_.types.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto place = [this](size_t i) {
      return std::find(type_order_.begin(), type_order_.end(), use_.types[i]) -
             type_order_.begin();
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return place(a) < place(b); });
    const auto reorder = [&order](auto& list) {
      auto old = std::move(list);
      list.clear();
      for (const size_t i : order) list.push_back(std::move(old[i]));
    };
    reorder(use_.types);
    reorder(use_.rows);
    reorder(use_.unnamed);
    reorder(use_.fired);
  }

  const store::Reader& store_;
  const int before_;
  std::vector<std::string> type_order_;
  std::unordered_map<uint64_t, std::string> types_;  // of instructions
  std::unordered_set<uint64_t> kept_;                // answers with a pair
  std::map<std::string, size_t> places_;             // of types in use_
  PrincipleUse use_;
};

// Share of the kept rows of all types that `which` takes in which rule r
// fired.
template <typename Which>
double share(const PrincipleUse& use, size_t r, const Which& which) {
  KeptRejected fired, rows;
  for (size_t t = 0; t < use.types.size(); ++t) {
    if (!which(use.types[t])) continue;
    fired += use.fired[t][r];
    rows += use.rows[t];
  }
  return ratio(fired.kept, rows.kept);
}

std::string percent(double share, int width, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << std::setw(width)
      << 100.0 * share;
  return out.str();
}

// In quotes where a separator is inside.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

TypeReport type_report(const PrincipleUse& use, size_t t) {
  TypeReport type{
      use.types[t], use.rows[t], use.unnamed[t].kept + use.unnamed[t].rejected,
      {},           {},          {}};
  for (size_t r = 0; r < use.rules.size(); ++r) {
    type.fired.push_back(use.fired[t][r].kept);
    type.fired_rejected.push_back(use.fired[t][r].rejected);
    type.lift.push_back(use.lift(t, r));
  }
  return type;
}

}  // namespace

KeptRejected PrincipleUse::num_rows() const {
  KeptRejected sum;
  for (const KeptRejected& count : rows) sum += count;
  return sum;
}

KeptRejected PrincipleUse::num_fired(size_t r) const {
  KeptRejected sum;
  for (const auto& counts : fired) sum += counts[r];
  return sum;
}

std::vector<std::string> PrincipleUse::never() const {
  std::vector<std::string> names;
  for (size_t r = 0; r < rules.size(); ++r) {
    if (num_fired(r).kept == 0) names.push_back(rules[r]);
  }
  return names;
}

double PrincipleUse::lift(size_t t, size_t r) const {
  const double overall = ratio(num_fired(r).kept, num_rows().kept);
  return overall > 0.0 ? ratio(fired[t][r].kept, rows[t].kept) / overall : 0.0;
}

std::string question_type(const Row& instruction) {
  const std::string type =
      json_string_or(instruction.content, "type", instruction.stage, "");
  if (!type.empty()) return type;
  return instruction.stage.starts_with("instruct.") ? kSelfInstruct : kGiven;
}

PrincipleUse principle_use(const store::Reader& store,
                           const recipe::Prompts& prompts, int before) {
  return Counting(store, prompts, before).count();
}

PrincipleReport principle_report(const PrincipleUse& use) {
  const KeptRejected rows = use.num_rows();
  PrincipleReport report;
  report.num_rows = rows.kept + rows.rejected;
  report.num_kept = rows.kept;
  report.without_thought = use.without_thought;
  for (const KeptRejected& count : use.unnamed) report.unnamed += count;
  for (size_t i = 0; i < parse::kNumRuleForms; ++i) {
    report.forms.emplace_back(parse::kRuleFormNames[i], use.forms[i]);
  }
  report.never = use.never();
  for (size_t r = 0; r < use.rules.size(); ++r) {
    const KeptRejected fired = use.num_fired(r);
    report.rules.push_back(
        {int64_t(r + 1), use.rules[r], fired, ratio(fired.kept, rows.kept),
         share(use, r, [](const std::string& t) { return t == kSelfInstruct; }),
         share(use, r, is_red_team)});
  }
  for (size_t t = 0; t < use.types.size(); ++t) {
    report.types.push_back(type_report(use, t));
  }
  return report;
}

std::string principles_summary(const PrincipleReport& principles) {
  std::ostringstream out;
  out << std::left << std::setw(30) << "principles in thoughts" << std::right
      << std::setw(7) << "kept" << std::setw(9) << "rejected" << std::setw(10)
      << "% of kept" << std::setw(15) << "self-instruct" << std::setw(10)
      << "red team" << '\n';
  for (const RuleReport& rule : principles.rules) {
    out << std::setw(4) << rule.number << "  " << std::left << std::setw(24)
        << rule.name.substr(0, kMaxTypeWidth - 10) << std::right << std::setw(7)
        << rule.fired.kept << std::setw(9) << rule.fired.rejected
        << percent(rule.share_of_kept, 10, 1)
        << percent(rule.share_of_self_instruct, 15, 1)
        << percent(rule.share_of_red_team, 10, 1) << '\n';
  }
  out << "thoughts that name no rule: " << principles.unnamed.kept << " kept, "
      << principles.unnamed.rejected << " rejected; mentions:";
  for (const auto& [form, count] : principles.forms) {
    out << " " << count << " " << form;
  }
  out << '\n';
  if (!principles.never.empty()) {
    out << "never in a kept row:";
    const char* separator = " ";
    for (const std::string& name : principles.never) {
      out << separator << name;
      separator = ", ";
    }
    out << '\n';
  }
  return out.str();
}

std::string principles_text(const PrincipleUse& use) {
  std::ostringstream out;
  out << principles_summary(principle_report(use));
  out << "\n% of a type's kept rows, by rule\n"
      << std::left << std::setw(kMaxTypeWidth) << "type" << std::right
      << std::setw(7) << "kept";
  for (size_t r = 0; r < use.rules.size(); ++r) out << std::setw(4) << r + 1;
  out << '\n';
  for (size_t t = 0; t < use.types.size(); ++t) {
    out << std::left << std::setw(kMaxTypeWidth)
        << use.types[t].substr(0, kMaxTypeWidth - 1) << std::right
        << std::setw(7) << use.rows[t].kept;
    for (const KeptRejected& fired : use.fired[t]) {
      out << percent(ratio(fired.kept, use.rows[t].kept), 4, 0);
    }
    out << '\n';
  }
  return out.str();
}

std::string principles_csv(const PrincipleUse& use) {
  std::ostringstream out;
  out << "type,rule_number,rule,rows,kept,rejected,share_of_kept,lift\n";
  for (size_t t = 0; t < use.types.size(); ++t) {
    for (size_t r = 0; r < use.rules.size(); ++r) {
      const KeptRejected& fired = use.fired[t][r];
      out << csv_field(use.types[t]) << ',' << r + 1 << ','
          << csv_field(use.rules[r]) << ',' << use.rows[t].kept << ','
          << fired.kept << ',' << fired.rejected << ','
          << ratio(fired.kept, use.rows[t].kept) << ',' << use.lift(t, r)
          << '\n';
    }
  }
  return out.str();
}

}  // namespace selfalign::stages
