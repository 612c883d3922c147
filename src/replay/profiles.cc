// SPDX-License-Identifier: Apache-2.0
#include "replay/profiles.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <memory>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "recipe/profile.h"
#include "replay/replayed_run.h"

namespace selfalign::replay {
namespace {

using store::Manifest;
using store::Reader;
using store::SeenRow;

// One side's verdict on a row, short.
struct Side {
  bool is_there = false;
  bool kept = false;
  std::string reason;
  std::string detail;
};

Side side_of(const SeenRow& seen) {
  if (!seen.verdict) return {};
  return {true, seen.verdict->kept, seen.verdict->reason, seen.verdict->detail};
}

// What the row is about, for the person.
std::string text_of(const SeenRow& seen) {
  if (seen.completion) return seen.completion->completion.text;
  for (const char* key : {"instruction", "topic"}) {
    const auto found = seen.row.content.find(key);
    if (found != seen.row.content.end() && found->is_string()) {
      return found->get<std::string>();
    }
  }
  return "";
}

class StageComparison {
 public:
  StageComparison(const Reader& store, const Manifest& manifest,
                  const std::string& own, int num_examples)
      : num_examples_(static_cast<size_t>(num_examples)) {
    const std::string other = recipe::counterpart(own);
    own_is_default_ = recipe::profile_of(own) == "default";
    result_.stage = manifest.stage;
    result_.default_filter = own_is_default_ ? own : other;
    result_.paper_filter = own_is_default_ ? other : own;
    result_.num_rows = manifest.num_rows;
    std::vector<Side> owns(static_cast<size_t>(manifest.num_rows));
    scan(store, own,
         [&](size_t seq, const SeenRow& seen) { owns[seq] = side_of(seen); });
    scan(store, other, [&](size_t seq, const SeenRow& seen) {
      compare(owns[seq], side_of(seen), seen);
    });
  }

  ProfiledStage result() && {
    for (auto& [reasons, difference] : differences_) {
      result_.differences.push_back(std::move(difference));
    }
    std::stable_sort(
        result_.differences.begin(), result_.differences.end(),
        [](const auto& a, const auto& b) { return a.count > b.count; });
    return std::move(result_);
  }

 private:
  template <typename Visit>
  void scan(const Reader& store, const std::string& filter,
            const Visit& visit) const {
    store.scan(result_.stage, filter, [&](const SeenRow& seen) {
      if (seen.row.seq >= result_.num_rows) return false;
      visit(static_cast<size_t>(seen.row.seq), seen);
      return true;
    });
  }

  void compare(const Side& own, const Side& other, const SeenRow& seen) {
    if (!own.is_there || !other.is_there) return;
    if (!own.kept && !other.kept) {
      ++result_.rejected_by_both;
      return;
    }
    const bool changed = own.kept && other.kept && !other.detail.empty();
    if (own.kept && other.kept) ++result_.kept_by_both;
    if (own.kept == other.kept && !changed) return;
    ++result_.num_differ;
    const std::string own_word = own.kept ? "kept" : own.reason;
    const std::string other_word = changed      ? "changed"
                                   : other.kept ? "kept"
                                                : other.reason;
    const auto reasons = own_is_default_ ? std::pair(own_word, other_word)
                                         : std::pair(other_word, own_word);
    ProfileDifference& difference = differences_[reasons];
    std::tie(difference.of_default, difference.of_paper) = reasons;
    ++difference.count;
    if (difference.examples.size() >= num_examples_) return;
    difference.examples.push_back(
        {str(result_.stage, ":", seen.row.seq), text_of(seen),
         own_is_default_ ? own.detail : other.detail,
         own_is_default_ ? other.detail : own.detail});
  }

  const size_t num_examples_;
  bool own_is_default_ = true;
  ProfiledStage result_;
  std::map<std::pair<std::string, std::string>, ProfileDifference> differences_;
};

[[noreturn]] void refuse(const Reader& run, const std::string& why) {
  throw Error(ErrorKind::kInput, str(run.folder(),
                                     ": profiles are compared by playing a run "
                                     "again, which this one cannot be: ",
                                     why));
}

// The filter by which the rows of a stage can be compared, "" where none can.
std::string own_filter(const Reader& run, const Manifest& stored,
                       const ReplayedRun& again) {
  std::string was = store::filter_of(stored);
  const auto made = again.store().manifest(stored.stage);
  const std::string is = made ? store::filter_of(*made) : was;
  if (recipe::counterpart(is).empty()) return "";
  if (!made) {
    refuse(run, again.end().empty() ? stored.stage + " is not made again"
                                    : again.end());
  }
  if (was != is) {
    refuse(run, str(stored.stage, " was judged by ", was, ", this program has ",
                    is, "; ask the version of selfalign that made it"));
  }
  if (made->digest != stored.digest || made->num_kept != stored.num_kept) {
    refuse(run, str(stored.stage,
                    " comes out otherwise; selfalign verify says more"));
  }
  return was;
}

std::unique_ptr<const ReplayedRun> played_by_both(const Reader& run) {
  try {
    return std::make_unique<const ReplayedRun>(run, stages::Judging::kBoth);
  } catch (const Error& error) {  // as of a key that recipes once had
    if (error.kind() != ErrorKind::kInput &&
        error.kind() != ErrorKind::kUsage) {
      throw;
    }
    refuse(run, error.what());
  }
}

// One line of at most `width` characters.
std::string one_line(const std::string& text, size_t width) {
  std::string line;
  for (const char c : text) {
    line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  if (line.size() <= width) return line;
  size_t cut = width - 3;
  while (cut > 0 && (line[cut] & 0xc0) == 0x80) --cut;
  return line.substr(0, cut) + "...";
}

void print_examples(std::ostream& out, const ProfileDifference& difference) {
  for (const ProfileExample& example : difference.examples) {
    out << "      " << example.row << "  " << one_line(example.text, 100)
        << '\n';
    for (const auto& [side, detail] :
         {std::pair("default", &example.default_detail),
          {"paper", &example.paper_detail}}) {
      if (detail->empty()) continue;
      out << "        " << side << ": " << one_line(*detail, 100) << '\n';
    }
  }
}

}  // namespace

ProfilesReport profiles_report(const Reader& run, int num_examples) {
  ProfilesReport report;
  run.snapshot([&] {
    const auto again = played_by_both(run);
    for (const Manifest& manifest : run.manifests()) {
      if (manifest.stage.rfind("held_out.", 0) == 0) continue;
      const std::string own = own_filter(run, manifest, *again);
      if (own.empty()) continue;
      report.profile = recipe::profile_of(own);
      report.stages.push_back(
          StageComparison(again->store(), manifest, own, num_examples)
              .result());
      report.num_rows += manifest.num_rows;
      report.num_differ += report.stages.back().num_differ;
    }
  });
  return report;
}

std::string profiles_text(const ProfilesReport& report) {
  std::ostringstream out;
  if (report.stages.empty()) {  // a baseline
    return "profiles judge no row of this run: its data were given\n";
  }
  out << "profiles differ on " << report.num_differ << " of " << report.num_rows
      << " rows (the run's own: " << report.profile << ")\n";
  for (const ProfiledStage& stage : report.stages) {
    out << "  " << stage.stage << ": " << stage.num_differ << " of "
        << stage.num_rows << "; both keep " << stage.kept_by_both
        << ", both reject " << stage.rejected_by_both << '\n';
    for (const ProfileDifference& difference : stage.differences) {
      out << "    " << std::setw(6) << difference.count << "  default "
          << difference.of_default << ", paper " << difference.of_paper << '\n';
      print_examples(out, difference);
    }
  }
  return out.str();
}

}  // namespace selfalign::replay
