// SPDX-License-Identifier: Apache-2.0
#include "stages/work.h"

#include "base/error.h"
#include "base/json.h"

namespace selfalign::stages {
namespace {

std::string name_of(const std::string& stage) { return "work." + stage; }

}  // namespace

std::optional<Work> work_of(const store::Reader& store,
                            const std::string& stage) {
  const auto text = store.meta(name_of(stage));
  if (!text) return std::nullopt;
  const std::string where = store.folder() + ": " + name_of(stage);
  try {
    const Json json = parse_json(*text, where);
    return Work{
        json_number(json, "seconds", where), json_int(json, "tokens", where),
        json_int(json, "completions", where), json_int(json, "taken", where)};
  } catch (const Error& error) {
    throw Error(ErrorKind::kDamaged, error.what());
  }
}

void add_work(store::Store& store, const std::string& stage, const Work& work) {
  const Work before = work_of(store, stage).value_or(Work{});
  store.set_meta(
      name_of(stage),
      dump_json({{"seconds", before.seconds + work.seconds},
                 {"tokens", before.num_tokens + work.num_tokens},
                 {"completions", before.num_completions + work.num_completions},
                 {"taken", before.num_taken + work.num_taken}}));
}

}  // namespace selfalign::stages
