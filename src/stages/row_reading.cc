// SPDX-License-Identifier: Apache-2.0
#include "stages/row_reading.h"

#include <algorithm>

#include "base/error.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

using store::Reader;

std::string filter_of(const Reader& store, const std::string& stage,
                      const std::string& profile) {
  if (const auto manifest = store.manifest(stage)) {
    return json_string_or(manifest->report, "filter", stage, "");
  }
  const std::vector<std::string> filters = store.filters(stage);
  for (const std::string& filter : filters) {
    if (filter.find("." + profile + ".") != std::string::npos) return filter;
  }
  return filters.empty() ? "" : filters[0];
}

parse::ThoughtfulAnswer answer_of(const recipe::Prompts& prompts,
                                  const std::string& stage,
                                  const std::string& completion) {
  const Stage* entry = find_stage(stage);
  if (entry && entry->has_thoughts) {
    const recipe::AlignPrompt& align = prompts.align;
    return parse::split_thought(
        completion, align.answer_tag,
        {align.user_tag, align.thought_tag, align.answer_tag});
  }
  return {"", parse::trim(completion), true, false};
}

bool has_end(const parse::ThoughtfulAnswer& answer,
             const generate::Completion& completion) {
  return answer.closed || completion.finish == generate::Finish::kStop;
}

void require_stage(const Reader& store, const std::string& stage) {
  const std::vector<std::string> stages = store.stages();
  if (std::find(stages.begin(), stages.end(), stage) != stages.end()) return;
  std::string known;
  for (const std::string& name : stages) known += " " + name;
  throw Error(ErrorKind::kUsage,
              str(store.folder(), ": expected a stage with rows, found \"",
                  stage, "\"; there are:", known.empty() ? " none" : known));
}

}  // namespace selfalign::stages
