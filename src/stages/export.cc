#include "stages/export.h"

#include "base/error.h"
#include "stages/decisions.h"

namespace selfalign::stages {

ExportReport export_pairs(const store::Store& store, const std::string& set,
                          formats::DatasetForm form, const std::string& path) {
  if (set != "engrave" && set != "verbose") {
    throw Error(ErrorKind::kUsage,
                str("set: expected engrave or verbose, found \"", set, "\""));
  }
  const std::string stage = set == "engrave" ? "align.pairs" : "verbose.pairs";
  ExportReport report;
  std::vector<formats::Conversation> conversations;
  for (const ReviewedPair& pair : reviewed_pairs(store, stage)) {
    if (!pair.ends) {
      ++report.num_cut_off;
      continue;
    }
    conversations.push_back(
        {{{"user", pair.instruction}, {"assistant", pair.response}}});
  }
  if (conversations.empty()) {
    throw Error(ErrorKind::kInput,
                str(store.folder(), ": expected finished rows of ", stage,
                    ", found none; let the run go on with: selfalign resume ",
                    store.folder()));
  }
  formats::write_dataset(path, form, conversations);
  report.num_written = static_cast<int64_t>(conversations.size());
  return report;
}

}  // namespace selfalign::stages
