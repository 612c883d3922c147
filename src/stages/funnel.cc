// SPDX-License-Identifier: Apache-2.0
#include "stages/funnel.h"

#include <algorithm>
#include <filesystem>

#include "base/counted.h"
#include "base/joined.h"
#include "base/log.h"
#include "store/checks.h"

namespace selfalign::stages {

namespace {

// Rows 0..num_rows-1 of the stage that a server did not answer, by reason.
Named<int64_t> given_up_of(const store::Reader& store, const std::string& stage,
                           int64_t num_rows) {
  Named<int64_t> counts;
  if (store.num_completions(stage) == 0) return counts;
  store.scan(stage, "", [&](const store::SeenRow& seen) {
    if (seen.row.seq >= num_rows) return false;
    if (seen.completion &&
        generate::is_given_up(seen.completion->completion.finish)) {
      ++named(counts,
              generate::finish_name(seen.completion->completion.finish));
    }
    return true;
  });
  return counts;
}

// A stage's funnel as its manifest's report has it.
struct ReportedFunnel {
  Funnel funnel;

  static void describe(auto& visit, auto& self) {
    visit("filter", self.funnel.filter);
    visit.may("rejected", self.funnel.rejected);  // a tuning has none
    visit.inlined(self.funnel.identity);
    visit.may("given_up", self.funnel.given_up);
  }
};

std::string percent(int64_t part, int64_t whole) {
  return rounded(100.0 * double(part) / double(whole), 1) + " %";
}

}  // namespace

std::string counts_text(const Named<int64_t>& counts) {
  return joined(counts, ", ",
                [](const auto& of) { return str(of.second, " ", of.first); });
}

std::string funnel_line(const Funnel& funnel) {
  std::string line = str(funnel.stage, ": ", funnel.num_made, " made, ",
                         funnel.num_kept, " kept");
  if (funnel.num_made > 0) {
    line += " (" + percent(funnel.num_kept, funnel.num_made) + ")";
  }
  const auto add = [&line](const char* title, const std::string& text) {
    if (!text.empty()) line += str("; ", title, text);
  };
  add("rejected: ", counts_text(funnel.rejected));
  add("given up: ", counts_text(funnel.given_up));
  add("", identity_text(funnel));
  return line;
}

std::string identity_text(const Funnel& funnel) {
  const auto [used, left_out] = funnel.identity.value_or(IdentityFigures());
  if (used + left_out == 0) return "";
  const std::string text =
      str(used, " identity (",
          percent(used, std::max<int64_t>(funnel.num_made, 1)), ")");
  return left_out > 0 ? str(text, ", ", left_out, " left out") : text;
}

Funnel funnel_of(const store::Manifest& manifest) {
  Funnel funnel =
      from_json<ReportedFunnel>(manifest.report, manifest.stage).funnel;
  funnel.stage = manifest.stage;
  funnel.num_made = manifest.num_rows;
  funnel.num_kept = manifest.num_kept;
  return funnel;
}

void finish_stage(store::Store& store, const std::string& stage,
                  const std::string& filter, int64_t num_rows,
                  const Json& figures) {
  if (stage_done(store, stage)) return;
  store::Manifest manifest;
  manifest.stage = stage;
  manifest.num_rows = num_rows;
  manifest.num_kept = num_rows;
  manifest.digest = store.digest(stage, filter, num_rows);
  manifest.report = figures;
  Json rejected = Json::object();
  if (!filter.empty()) {
    manifest.report["filter"] = filter;
    const store::Account account = store.account(stage, filter, num_rows);
    manifest.num_kept = account.num_kept;
    for (const auto& [reason, count] : account.rejected) {
      rejected[reason] = count;
    }
  }
  manifest.report["rejected"] = rejected;
  if (filter.empty()) {
    for (const auto& [reason, count] : given_up_of(store, stage, num_rows)) {
      manifest.report["given_up"][reason] = count;
    }
  }
  store.commit_manifest(manifest);
  log_info(funnel_line(funnel_of(manifest)));
}

std::vector<store::Row> kept_rows(const store::Reader& store,
                                  const std::string& stage) {
  const auto manifest = store.manifest(stage);
  if (!manifest) return {};
  const auto filter = funnel_of(*manifest).filter;
  return filter ? store.kept(stage, *filter) : store.rows(stage);
}

bool run_done(const store::Reader& store) {
  std::error_code ignored;
  return store.meta(store::kDone) ||
         (store::evidence_of(store).version < 3 &&
          std::filesystem::exists(store.folder() + "/report.json", ignored));
}

bool stage_done(const store::Reader& store, const std::string& stage) {
  return store.manifest(stage).has_value();
}

}  // namespace selfalign::stages
