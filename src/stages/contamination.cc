// SPDX-License-Identifier: Apache-2.0
#include "stages/contamination.h"

#include <algorithm>
#include <iomanip>
#include <span>
#include <sstream>

#include "base/counted.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/joined.h"
#include "base/shown.h"
#include "stages/funnel.h"
#include "text/rouge.h"

namespace selfalign::stages {
namespace {

using Words = std::vector<std::string>;

constexpr char kGuardDigest[] = "contamination.digest";
constexpr char kNgram[] = "ngram";  // a kind

// Calls `visit(hash, i)` for each run of `length` words, i its first word.
template <typename Visit>
void each_ngram(const Words& words, size_t length, const Visit& visit) {
  for (size_t i = 0; i + length <= words.size(); ++i) {
    Hasher hasher;
    for (size_t k = i; k < i + length; ++k) hasher.add(words[k]);
    visit(hasher.key(), i);
  }
}

// The text, and its paragraphs where there are several.
std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts = {text};
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find("\n\n", begin), text.size());
    if (begin == 0 && end == text.size()) break;
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
  return parts;
}

}  // namespace

ContaminationGuard::ContaminationGuard(
    const recipe::ContaminationOptions& options,
    const std::vector<recipe::HeldOutInstruction>& held_out, bool may_be_pipes)
    : options_(options), questions_(options.max_rouge_l) {
  formats::EvaluationSet own{"held_out", {}};
  for (const recipe::HeldOutInstruction& one : held_out) {
    own.items.push_back(
        {std::to_string(own.items.size() + 1), {one.instruction}, {}});
  }
  Hasher hasher;
  hasher.add(uint64_t(options.ngram_words));
  hasher.add(str(options.max_rouge_l));
  const auto take = [&](const formats::EvaluationSet& set) {
    hasher.add(set.items.size());
    for (const formats::EvaluationItem& item : set.items) {
      hasher.add(item.id).add(item.questions.size()).add(item.answers.size());
      for (const std::string& text : item.questions) hasher.add(text);
      for (const std::string& text : item.answers) hasher.add(text);
    }
    guard(set);
  };
  take(own);
  for (const std::string& path : options.sets) {
    take(formats::read_evaluation_set(path, may_be_pipes));
  }
  digest_ = hasher.digest();
}

void ContaminationGuard::guard(const formats::EvaluationSet& set) {
  const auto number = static_cast<uint32_t>(sets_.size());
  sets_.emplace_back(set.name, set.items.size());
  ids_.emplace_back();
  for (const formats::EvaluationItem& item : set.items) {
    const Place place{number, static_cast<uint32_t>(ids_.back().size())};
    ids_.back().push_back(item.id);
    for (const std::string& question : item.questions) {
      add_ngrams(question, place);
      questions_.add(question);
      question_places_.push_back(place);
      question_texts_.push_back(question);
    }
    for (const std::string& answer : item.answers) add_ngrams(answer, place);
  }
}

void ContaminationGuard::add_ngrams(const std::string& text, Place place) {
  each_ngram(text::rouge_words(text), size_t(options_.ngram_words),
             [&](uint64_t hash, size_t) { ngrams_.emplace(hash, place); });
}

Contamination ContaminationGuard::found(Place place, std::string kind,
                                        std::string text) const {
  return {sets_[place.set].first, ids_[place.set][place.item], std::move(kind),
          std::move(text)};
}

std::optional<Contamination> ContaminationGuard::find_ngram(
    const std::string& text) const {
  const Words words = text::rouge_words(text);
  const auto length = size_t(options_.ngram_words);
  std::optional<Contamination> first;
  each_ngram(words, length, [&](uint64_t hash, size_t i) {
    if (first) return;
    const auto at = ngrams_.find(hash);
    if (at == ngrams_.end()) return;
    first = found(at->second, kNgram,
                  joined(std::span(words).subspan(i, length), " "));
  });
  return first;
}

std::optional<Contamination> ContaminationGuard::find_near(
    const std::string& text) const {
  for (const std::string& part : parts_of(text)) {
    const auto match = questions_.find_above(part);
    if (!match) continue;
    return found(question_places_[match->index], "near_match",
                 str(rounded(match->score, 2),
                     " with: ", question_texts_[match->index]));
  }
  return std::nullopt;
}

std::optional<Contamination> ContaminationGuard::find(
    const std::string& text) const {
  if (auto ngram = find_ngram(text)) return ngram;
  return find_near(text);
}

parse::Judgement ContaminationGuard::judge(const std::string& text) const {
  const auto contamination = find(text);
  if (!contamination) return std::nullopt;
  return parse::Rejection{
      "contaminated",
      str(contamination->set, ", item ", contamination->item, ", ",
          contamination->kind, ", ", contamination->text)};
}

void keep_guard(const ContaminationGuard& guard, store::Store& store) {
  const auto known = store.meta(kGuardDigest);
  if (!known) {
    store.set_meta(kGuardDigest, guard.digest());
  } else if (*known != guard.digest()) {
    throw Error(ErrorKind::kUsage,
                str(store.folder(),
                    ": contamination.sets: expected the sets this run was "
                    "begun with, found files of other content; restore them, "
                    "or start a run in another folder"));
  }
}

namespace {

// The text of a generated row: an answer, else an instruction. Not what only
// repeats another stage's text, nor what a person wrote.
std::optional<std::string> generated_text(const store::Row& row) {
  const auto ends_with = [&](std::string_view end) {
    return std::string_view(row.stage).ends_with(end);
  };
  if (row.stage.rfind("held_out.", 0) == 0 || ends_with(".seeds") ||
      ends_with(".samples") || ends_with(".answers")) {
    return std::nullopt;
  }
  for (const char* name : {"response", "instruction"}) {
    const auto text = row.content.find(name);
    if (text != row.content.end() && text->is_string()) {
      return text->get<std::string>();
    }
  }
  return std::nullopt;
}

void check_stage(const store::Reader& store, const std::string& stage,
                 const ContaminationGuard& guard, size_t num_examples,
                 ContaminationReport& report) {
  const auto manifest = store.manifest(stage);
  std::string filter;
  if (manifest) {
    filter = funnel_of(*manifest).filter.value_or("");
  } else if (const auto filters = store.filters(stage); !filters.empty()) {
    filter = filters[0];
  }
  ContaminatedStage of_stage;
  ContaminationCounts& counts = of_stage.counts;
  std::vector<ContaminatedRow> kept, rejected;
  store.scan(stage, filter, [&](const store::SeenRow& seen) {
    const auto text = generated_text(seen.row);
    if (!text) return true;
    ++counts.num_rows;
    const auto contamination = guard.find(*text);
    if (!contamination) return true;
    const bool is_kept = !seen.verdict || seen.verdict->kept;
    ++counts.num_contaminated;
    counts.num_kept += is_kept;
    ContaminationKinds& kinds = named(of_stage.sets, contamination->set);
    ++(contamination->kind == kNgram ? kinds.ngram : kinds.near_match);
    (is_kept ? kept : rejected)
        .push_back({str(stage, ":", seen.row.seq), stage, is_kept,
                    *contamination, beginning_of(*text, 300)});
    return true;
  });
  if (counts.num_rows == 0) return;
  report.counts.num_rows += counts.num_rows;
  report.counts.num_contaminated += counts.num_contaminated;
  report.counts.num_kept += counts.num_kept;
  report.stages.emplace_back(stage, std::move(of_stage));
  kept.insert(kept.end(), rejected.begin(), rejected.end());
  kept.resize(std::min(kept.size(), num_examples));
  report.examples.insert(report.examples.end(), kept.begin(), kept.end());
}

}  // namespace

ContaminationReport contamination_report(
    const store::Reader& store, const ContaminationGuard& guard,
    const recipe::ContaminationOptions& options, size_t num_examples) {
  ContaminationReport report;
  for (const auto& [name, num_items] : guard.sets()) {
    named(report.sets, name) = int64_t(num_items);
  }
  report.ngram_words = options.ngram_words;
  report.max_rouge_l = options.max_rouge_l;
  for (const std::string& stage : store.stages()) {
    check_stage(store, stage, guard, num_examples, report);
  }
  return report;
}

std::string contamination_text(const ContaminationReport& report) {
  std::ostringstream out;
  for (const auto& [name, items] : report.sets) {
    out << "guarded: " << name << ", " << items << " items\n";
  }
  out << std::left << std::setw(22) << "stage" << std::right << std::setw(9)
      << "rows" << std::setw(14) << "contaminated" << std::setw(8) << "kept"
      << "  by set\n";
  for (const auto& [stage, of_stage] : report.stages) {
    const ContaminationCounts& counts = of_stage.counts;
    out << std::left << std::setw(22) << stage << std::right << std::setw(9)
        << counts.num_rows << std::setw(14) << counts.num_contaminated
        << std::setw(8) << counts.num_kept;
    const char* separator = "  ";
    for (const auto& [set, kinds] : of_stage.sets) {
      out << separator << set << " " << kinds.ngram << " ngram + "
          << kinds.near_match << " near";
      separator = ", ";
    }
    out << '\n';
  }
  for (const ContaminatedRow& example : report.examples) {
    out << '\n'
        << example.row << (example.kept ? " (kept)" : " (rejected)") << ", "
        << example.found.set << " item " << example.found.item << ", "
        << example.found.kind << ": " << example.found.text << "\n  "
        << example.text << '\n';
  }
  out << '\n'
      << report.counts.num_contaminated << " of " << report.counts.num_rows
      << " generated rows, " << report.counts.num_kept << " of them kept\n";
  return out.str();
}

}  // namespace selfalign::stages
