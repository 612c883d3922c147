// SPDX-License-Identifier: Apache-2.0
// The statistics of a run as a person reads them.
#include <algorithm>
#include <iomanip>
#include <sstream>

#include "base/counted.h"
#include "inspect/stats.h"
#include "text/wrap.h"

namespace selfalign::inspect {
namespace {

std::string bar(int64_t count, int64_t most, size_t width) {
  if (most == 0) return "";
  return std::string(size_t(count * int64_t(width) / most), '#');
}

void print_distribution(std::ostream& out, const std::string& title,
                        const Distribution& values, int digits, size_t width) {
  if (values.count == 0) return;
  out << title << ": mean " << rounded(values.mean, digits + 1) << ", p10 "
      << rounded(values.p10, digits) << ", p50 " << rounded(values.p50, digits)
      << ", p90 " << rounded(values.p90, digits) << ", at most "
      << rounded(values.max, digits) << '\n';
  int64_t most = 0;
  for (const HistogramBin& bin : values.histogram) {
    most = std::max(most, bin.count);
  }
  if (values.histogram.size() < 2) return;
  constexpr size_t kBesideBar = 32;
  const size_t room = width > kBesideBar + 10 ? width - kBesideBar : 10;
  for (const HistogramBin& bin : values.histogram) {
    out << "  " << std::setw(8) << rounded(bin.from, digits) << " .. "
        << std::setw(6) << rounded(bin.to, digits) << std::setw(8) << bin.count
        << "  " << bar(bin.count, most, room) << '\n';
  }
}

// "a 3, b 2" on as many lines as it takes.
void print_counts(std::ostream& out, const std::string& title,
                  const Named<int64_t>& counts, size_t width) {
  if (counts.empty()) return;
  std::string line = title + ":";
  const char* separator = " ";
  for (const auto& [name, count] : counts) {
    line += separator + name + " " + std::to_string(count);
    separator = ", ";
  }
  out << text::wrap_text(line, "", width);
}

void print_distinct(std::ostream& out, const DistinctNgrams& distinct) {
  out << "different n-grams (of " << distinct.num_texts << " texts): 1-grams "
      << rounded(distinct.shares[0], 3) << ", 2-grams "
      << rounded(distinct.shares[1], 3) << ", 3-grams "
      << rounded(distinct.shares[2], 3) << '\n';
}

void print_root_verbs(std::ostream& out, const RootVerbs& verbs,
                      int64_t total) {
  out << "root verbs (a guess by the first words): " << verbs.num_found
      << " of " << total << " instructions have one, " << verbs.num_verbs
      << " different, " << verbs.num_pairs << " verb-noun pairs\n";
  for (const VerbCount& top : verbs.top) {
    out << "  " << std::left << std::setw(14) << top.verb << std::right
        << std::setw(6) << top.count << "  ";
    const char* separator = "";
    for (const auto& [noun, count] : top.nouns) {
      out << separator << noun << " " << count;
      separator = ", ";
    }
    out << '\n';
  }
}

void print_instructions(std::ostream& out, const InstructionStats& stats,
                        size_t width) {
  const int64_t total = stats.words.count;
  out << "\n## instructions kept: " << total << '\n';
  if (total == 0) return;
  print_distribution(out, "words", stats.words, 0, width);
  print_distinct(out, stats.distinct_n);
  print_distribution(out, "ROUGE-L with the nearest seed",
                     stats.nearest_seed.value_or(Distribution()), 2, width);
  print_counts(out, "most common openings", stats.openings, width);
  print_root_verbs(out, stats.root_verbs, total);
  print_counts(out, "types", stats.types, width);
}

}  // namespace

std::string stats_text(const RunStats& stats, size_t width) {
  std::ostringstream out;
  out << "# " << stats.name << '\n';
  print_instructions(out, stats.instructions, width);
  if (!stats.duplicates.empty()) out << "\n## duplicates\n";
  for (const auto& [stage, counts] : stats.duplicates) {
    out << stage << ": " << counts.num_duplicates << " of " << counts.num_made
        << " rejected as duplicates ("
        << rounded(100.0 * double(counts.num_duplicates) /
                       double(std::max<int64_t>(counts.num_made, 1)),
                   1)
        << " %)\n";
  }
  for (const auto& [stage, answers] : stats.answers) {
    out << "\n## " << stage << ": " << answers.words.count << ", of which "
        << rounded(100.0 * answers.share_ended, 0) << " % end by themselves\n";
    print_distribution(out, "tokens", answers.tokens, 0, width);
    print_distribution(out, "words", answers.words, 0, width);
    print_distinct(out, answers.distinct_n);
  }
  out << '\n';
  print_counts(out, "pairs that each principle fired in", stats.principles,
               width);
  return out.str();
}

}  // namespace selfalign::inspect
