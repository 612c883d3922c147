#include "stages/funnel.h"

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "base/log.h"

namespace selfalign::stages {

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
  const char* separator = "; rejected: ";
  for (const auto& [reason, count] : funnel.rejected) {
    out << separator << count << " " << reason;
    separator = ", ";
  }
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
  Funnel funnel{manifest.stage, manifest.num_rows, manifest.num_kept, {}};
  funnel.num_identity =
      json_int_or(manifest.report, "identity", manifest.stage, 0);
  funnel.num_identity_left_out =
      json_int_or(manifest.report, "identity_left_out", manifest.stage, 0);
  const auto rejected = manifest.report.find("rejected");
  if (rejected != manifest.report.end() && rejected->is_object()) {
    for (const auto& [reason, count] : rejected->items()) {
      if (count.is_number_integer()) {
        funnel.rejected.emplace_back(reason, count.get<int64_t>());
      }
    }
  }
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
  store.commit_manifest(manifest);
  log_info(funnel_line(funnel_of(manifest)));
}

std::vector<store::Row> kept_rows(const store::Store& store,
                                  const std::string& stage) {
  const auto manifest = store.manifest(stage);
  if (!manifest) return {};
  const auto filter = manifest->report.find("filter");
  if (filter == manifest->report.end()) return store.rows(stage);
  return store.kept(stage, json_string(manifest->report, "filter",
                                       store.folder() + ": " + stage));
}

bool run_done(const store::Store& store) {
  std::error_code ignored;
  return store.meta(store::kDone) ||
         (store.evidence().version < 3 &&
          std::filesystem::exists(store.folder() + "/report.json", ignored));
}

bool stage_done(const store::Store& store, const std::string& stage) {
  return store.manifest(stage).has_value();
}

}  // namespace selfalign::stages
