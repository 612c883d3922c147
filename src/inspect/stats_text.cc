// SPDX-License-Identifier: Apache-2.0
// The statistics of a run as a person reads them.
#include <algorithm>
#include <iomanip>
#include <sstream>

#include "inspect/stats.h"
#include "text/wrap.h"

namespace selfalign::inspect {
namespace {

std::string number(const Json& value, int digits) {
  std::ostringstream out;
  const double shown = value.is_number() ? value.get<double>() : 0.0;
  out << std::fixed << std::setprecision(digits) << shown;
  return out.str();
}

std::string bar(int64_t count, int64_t most, size_t width) {
  if (most == 0) return "";
  return std::string(size_t(count * int64_t(width) / most), '#');
}

void print_distribution(std::ostream& out, const std::string& title,
                        const Json& values, int digits, size_t width) {
  if (!values.is_object() || !values.contains("mean")) return;
  out << title << ": mean " << number(values["mean"], digits + 1) << ", p10 "
      << number(values["p10"], digits) << ", p50 "
      << number(values["p50"], digits) << ", p90 "
      << number(values["p90"], digits) << ", at most "
      << number(values["max"], digits) << '\n';
  int64_t most = 0;
  for (const Json& bin : values["histogram"]) {
    most = std::max(most, bin["count"].get<int64_t>());
  }
  if (values["histogram"].size() < 2) return;
  constexpr size_t kBesideBar = 32;
  const size_t room = width > kBesideBar + 10 ? width - kBesideBar : 10;
  for (const Json& bin : values["histogram"]) {
    const int64_t count = bin["count"].get<int64_t>();
    out << "  " << std::setw(8) << number(bin["from"], digits) << " .. "
        << std::setw(6) << number(bin["to"], digits) << std::setw(8) << count
        << "  " << bar(count, most, room) << '\n';
  }
}

// "a 3, b 2" on as many lines as it takes.
void print_counts(std::ostream& out, const std::string& title,
                  const Json& counts, size_t width) {
  if (counts.empty()) return;
  std::string line = title + ":";
  const char* separator = " ";
  for (const auto& [name, count] : counts.items()) {
    line += separator + name + " " + number(count, 0);
    separator = ", ";
  }
  out << text::wrap_text(line, "", width);
}

void print_distinct(std::ostream& out, const Json& distinct) {
  out << "different n-grams (of " << number(distinct["texts"], 0)
      << " texts): 1-grams " << number(distinct["1"], 3) << ", 2-grams "
      << number(distinct["2"], 3) << ", 3-grams " << number(distinct["3"], 3)
      << '\n';
}

void print_root_verbs(std::ostream& out, const Json& verbs, int64_t total) {
  out << "root verbs (a guess by the first words): "
      << number(verbs["with_root_verb"], 0) << " of " << total
      << " instructions have one, " << number(verbs["different_verbs"], 0)
      << " different, " << number(verbs["different_verb_noun_pairs"], 0)
      << " verb-noun pairs\n";
  for (const Json& top : verbs["top"]) {
    out << "  " << std::left << std::setw(14) << top["verb"].get<std::string>()
        << std::right << std::setw(6) << top["count"].get<int64_t>() << "  ";
    const char* separator = "";
    for (const auto& [noun, count] : top["nouns"].items()) {
      out << separator << noun << " " << count.get<int64_t>();
      separator = ", ";
    }
    out << '\n';
  }
}

void print_instructions(std::ostream& out, const Json& stats, size_t width) {
  const int64_t total = stats["words"]["count"].get<int64_t>();
  out << "\n## instructions kept: " << total << '\n';
  if (total == 0) return;
  print_distribution(out, "words", stats["words"], 0, width);
  print_distinct(out, stats["distinct_n"]);
  print_distribution(out, "ROUGE-L with the nearest seed",
                     stats["nearest_seed_rouge_l"], 2, width);
  print_counts(out, "most common openings", stats["openings"], width);
  print_root_verbs(out, stats["root_verbs"], total);
  print_counts(out, "types", stats["types"], width);
}

}  // namespace

std::string stats_text(const Json& stats, size_t width) {
  std::ostringstream out;
  out << "# " << stats["name"].get<std::string>() << '\n';
  print_instructions(out, stats["instructions"], width);
  if (!stats["duplicates"].empty()) out << "\n## duplicates\n";
  for (const auto& [stage, counts] : stats["duplicates"].items()) {
    const double made = counts["made"].get<double>();
    out << stage << ": " << number(counts["duplicates"], 0) << " of "
        << number(counts["made"], 0) << " rejected as duplicates ("
        << number(
               100.0 * counts["duplicates"].get<double>() / std::max(made, 1.0),
               1)
        << " %)\n";
  }
  for (const auto& [stage, answers] : stats["answers"].items()) {
    out << "\n## " << stage << ": " << number(answers["words"]["count"], 0)
        << ", of which "
        << number(100.0 * answers["share_ended"].get<double>(), 0)
        << " % end by themselves\n";
    print_distribution(out, "tokens", answers["tokens"], 0, width);
    print_distribution(out, "words", answers["words"], 0, width);
    print_distinct(out, answers["distinct_n"]);
  }
  out << '\n';
  print_counts(out, "pairs that each principle fired in", stats["principles"],
               width);
  return out.str();
}

}  // namespace selfalign::inspect
