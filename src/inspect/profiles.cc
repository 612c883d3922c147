// SPDX-License-Identifier: Apache-2.0
#include "inspect/profiles.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "recipe/profile.h"

namespace selfalign::inspect {
namespace {

using store::Manifest;
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
  StageComparison(const store::Reader& store, const Manifest& manifest,
                  const std::string& own, int num_examples)
      : stage_(manifest.stage), num_rows_(manifest.num_rows) {
    const std::string other = recipe::counterpart(own);
    own_is_default_ = recipe::profile_of(own) == "default";
    names_ = {own_is_default_ ? own : other, own_is_default_ ? other : own};
    std::vector<Side> owns(static_cast<size_t>(num_rows_));
    scan(store, own,
         [&](size_t seq, const SeenRow& seen) { owns[seq] = side_of(seen); });
    scan(store, other, [&](size_t seq, const SeenRow& seen) {
      compare(owns[seq], side_of(seen), seen, num_examples);
    });
  }

  Json json() const {
    std::vector<Json> differences;
    for (const auto& [reasons, difference] : differences_) {
      differences.push_back(difference);
    }
    std::stable_sort(differences.begin(), differences.end(),
                     [](const Json& a, const Json& b) {
                       return a["count"].get<int64_t>() >
                              b["count"].get<int64_t>();
                     });
    return Json{{"stage", stage_},
                {"default", names_.first},
                {"paper", names_.second},
                {"num_rows", num_rows_},
                {"kept_by_both", kept_by_both_},
                {"rejected_by_both", rejected_by_both_},
                {"num_differ", num_differ_},
                {"differences", differences}};
  }
  int64_t num_differ() const { return num_differ_; }

 private:
  template <typename Visit>
  void scan(const store::Reader& store, const std::string& filter,
            const Visit& visit) const {
    store.scan(stage_, filter, [&](const SeenRow& seen) {
      if (seen.row.seq >= num_rows_) return false;
      visit(static_cast<size_t>(seen.row.seq), seen);
      return true;
    });
  }

  void compare(const Side& own, const Side& other, const SeenRow& seen,
               int num_examples) {
    if (!own.is_there || !other.is_there) return;
    if (!own.kept && !other.kept) {
      ++rejected_by_both_;
      return;
    }
    const bool changed = own.kept && other.kept && !other.detail.empty();
    if (own.kept && other.kept) ++kept_by_both_;
    if (own.kept == other.kept && !changed) return;
    ++num_differ_;
    const std::string own_word = own.kept ? "kept" : own.reason;
    const std::string other_word = changed      ? "changed"
                                   : other.kept ? "kept"
                                                : other.reason;
    const auto reasons = own_is_default_ ? std::pair(own_word, other_word)
                                         : std::pair(other_word, own_word);
    Json& difference = differences_[reasons];
    if (difference.is_null()) {
      difference = Json{{"default", reasons.first},
                        {"paper", reasons.second},
                        {"count", 0},
                        {"examples", Json::array()}};
    }
    difference["count"] = difference["count"].get<int64_t>() + 1;
    if (difference["examples"].size() >= static_cast<size_t>(num_examples)) {
      return;
    }
    difference["examples"].push_back(
        {{"row", str(stage_, ":", seen.row.seq)},
         {"text", text_of(seen)},
         {"default_detail", own_is_default_ ? own.detail : other.detail},
         {"paper_detail", own_is_default_ ? other.detail : own.detail}});
  }

  const std::string stage_;
  const int64_t num_rows_;
  bool own_is_default_ = true;
  std::pair<std::string, std::string> names_;  // default, paper
  int64_t kept_by_both_ = 0;
  int64_t rejected_by_both_ = 0;
  int64_t num_differ_ = 0;
  std::map<std::pair<std::string, std::string>, Json> differences_;
};

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

void print_examples(std::ostream& out, const Json& difference) {
  for (const Json& example : difference["examples"]) {
    out << "      " << example["row"].get<std::string>() << "  "
        << one_line(example["text"].get<std::string>(), 100) << '\n';
    for (const char* side : {"default", "paper"}) {
      const std::string detail =
          example[str(side, "_detail")].get<std::string>();
      if (detail.empty()) continue;
      out << "        " << side << ": " << one_line(detail, 100) << '\n';
    }
  }
}

}  // namespace

Json profiles_report(const store::Reader& store, int num_examples) {
  Json report{{"profile", ""}, {"num_rows", 0}, {"num_differ", 0}};
  report["stages"] = Json::array();
  int64_t num_rows = 0;
  int64_t num_differ = 0;
  for (const Manifest& manifest : store.manifests()) {
    if (manifest.stage.rfind("held_out.", 0) == 0) continue;
    const auto filter = manifest.report.find("filter");
    if (filter == manifest.report.end()) continue;
    const std::string own = json_string(manifest.report, "filter",
                                        store.folder() + ": " + manifest.stage);
    if (recipe::counterpart(own).empty()) continue;
    report["profile"] = recipe::profile_of(own);
    const StageComparison stage(store, manifest, own, num_examples);
    report["stages"].push_back(stage.json());
    num_rows += manifest.num_rows;
    num_differ += stage.num_differ();
  }
  report["num_rows"] = num_rows;
  report["num_differ"] = num_differ;
  return report;
}

std::string profiles_text(const Json& report) {
  std::ostringstream out;
  if (report["stages"].empty()) {  // a baseline
    return "profiles judge no row of this run: its data were given\n";
  }
  out << "profiles differ on " << report["num_differ"].get<int64_t>() << " of "
      << report["num_rows"].get<int64_t>()
      << " rows (the run's own: " << report["profile"].get<std::string>()
      << ")\n";
  for (const Json& stage : report["stages"]) {
    out << "  " << stage["stage"].get<std::string>() << ": "
        << stage["num_differ"].get<int64_t>() << " of "
        << stage["num_rows"].get<int64_t>() << "; both keep "
        << stage["kept_by_both"].get<int64_t>() << ", both reject "
        << stage["rejected_by_both"].get<int64_t>() << '\n';
    for (const Json& difference : stage["differences"]) {
      out << "    " << std::setw(6) << difference["count"].get<int64_t>()
          << "  default " << difference["default"].get<std::string>()
          << ", paper " << difference["paper"].get<std::string>() << '\n';
      print_examples(out, difference);
    }
  }
  return out.str();
}

}  // namespace selfalign::inspect
