// SPDX-License-Identifier: Apache-2.0
#include "stages/funnel.h"

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "base/log.h"
#include "store/checks.h"

namespace selfalign::stages {

namespace {

// Rows 0..num_rows-1 of the stage that a server did not answer, by reason.
Json given_up_of(const store::Reader& store, const std::string& stage,
                 int64_t num_rows) {
  Json counts = Json::object();
  if (store.num_completions(stage) == 0) return counts;
  store.scan(stage, "", [&](const store::SeenRow& seen) {
    if (seen.row.seq >= num_rows) return false;
    if (seen.completion &&
        generate::is_given_up(seen.completion->completion.finish)) {
      Json& count =
          counts[generate::finish_name(seen.completion->completion.finish)];
      count = count.is_null() ? 1 : count.get<int64_t>() + 1;
    }
    return true;
  });
  return counts;
}

}  // namespace

std::string funnel_line(const Funnel& funnel) {
  std::ostringstream out;
  out << funnel.stage << ": " << funnel.num_made << " made, " << funnel.num_kept
      << " kept";
  if (funnel.num_made > 0) {
    out << std::fixed << std::setprecision(1) << " ("
        << 100.0 * static_cast<double>(funnel.num_kept) /
               static_cast<double>(funnel.num_made)
        << " %)";
  }
  const auto list = [&out](const char* separator, const auto& counts) {
    for (const auto& [reason, count] : counts) {
      out << separator << count << " " << reason;
      separator = ", ";
    }
  };
  list("; rejected: ", funnel.rejected);
  list("; given up: ", funnel.given_up);
  const std::string identity = identity_text(funnel);
  if (!identity.empty()) out << "; " << identity;
  return out.str();
}

std::string identity_text(const Funnel& funnel) {
  if (funnel.num_identity + funnel.num_identity_left_out == 0) return "";
  std::ostringstream out;
  out << funnel.num_identity << " identity (" << std::fixed
      << std::setprecision(1)
      << 100.0 * static_cast<double>(funnel.num_identity) /
             static_cast<double>(std::max<int64_t>(funnel.num_made, 1))
      << " %)";
  if (funnel.num_identity_left_out > 0) {
    out << ", " << funnel.num_identity_left_out << " left out";
  }
  return out.str();
}

Funnel funnel_of(const store::Manifest& manifest) {
  Funnel funnel{manifest.stage, manifest.num_rows, manifest.num_kept, {}, {}};
  funnel.num_identity =
      json_int_or(manifest.report, "identity", manifest.stage, 0);
  funnel.num_identity_left_out =
      json_int_or(manifest.report, "identity_left_out", manifest.stage, 0);
  const auto read = [&manifest](const char* name, auto& counts) {
    const auto found = manifest.report.find(name);
    if (found == manifest.report.end() || !found->is_object()) return;
    for (const auto& [reason, count] : found->items()) {
      if (count.is_number_integer()) {
        counts.emplace_back(reason, count.template get<int64_t>());
      }
    }
  };
  read("rejected", funnel.rejected);
  read("given_up", funnel.given_up);
  return funnel;
}

void finish_stage(store::Store& store, const std::string& stage,
                  const std::string& filter, int64_t num_rows,
                  const Json& figures) {
  if (stage_done(store, stage)) return;
  store::Manifest manifest;
  manifest.stage = stage;
  manifest.num_rows = num_rows;
  manifest.num_kept =
      filter.empty() ? num_rows
                     : static_cast<int64_t>(store.kept(stage, filter).size());
  manifest.digest = store.digest(stage, filter, num_rows);
  manifest.report = figures;
  Json rejected = Json::object();
  if (!filter.empty()) {
    manifest.report["filter"] = filter;
    for (const auto& [reason, count] : store.rejections(stage, filter)) {
      rejected[reason] = count;
    }
  }
  manifest.report["rejected"] = rejected;
  if (filter.empty()) {
    const Json given_up = given_up_of(store, stage, num_rows);
    if (!given_up.empty()) manifest.report["given_up"] = given_up;
  }
  store.commit_manifest(manifest);
  log_info(funnel_line(funnel_of(manifest)));
}

std::vector<store::Row> kept_rows(const store::Reader& store,
                                  const std::string& stage) {
  const auto manifest = store.manifest(stage);
  if (!manifest) return {};
  const auto filter = manifest->report.find("filter");
  if (filter == manifest->report.end()) return store.rows(stage);
  return store.kept(stage, json_string(manifest->report, "filter",
                                       store.folder() + ": " + stage));
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
