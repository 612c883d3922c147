// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "export/data_card.h"
#include "export/partial_folder.h"
#include "formats/datasets.h"
#include "formats/parquet.h"
#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/origin.h"
#include "stages/principles.h"
#include "stages/stage_table.h"
#include "store/checks.h"

namespace selfalign::exports {
namespace {

namespace fs = std::filesystem;
using store::Row;

constexpr char kParquet[] = "parquet";

std::string pairs_of(const std::string& set) {
  return set == "engrave" ? "align.pairs" : "verbose.pairs";
}

std::string chosen_set(const store::Reader& store, const std::string& set) {
  if (set == "engrave" || set == "verbose") return set;
  if (!set.empty()) {
    throw Error(ErrorKind::kUsage,
                str("--stage: expected engrave or verbose, which make rows, "
                    "found \"",
                    set, "\"; a tuned model is exported with --model"));
  }
  return store.num_rows("verbose.pairs") > 0 ? "verbose" : "engrave";
}

// The instruction that a pair or an answer came from, itself if none is known.
Row instruction_of(const store::Reader& store, Row row) {
  return stages::origin_of(store, std::move(row), [](const Row& derived) {
    return derived.stage.ends_with(".pairs") ||
           derived.stage.ends_with(".answers");
  });
}

// Rules that stage 2's thoughts named, by key of the instruction.
std::map<uint64_t, std::vector<int64_t>> rules_by_instruction(
    const store::Reader& store) {
  std::map<uint64_t, std::vector<int64_t>> rules;
  for (const stages::ReviewedPair& pair :
       stages::reviewed_pairs(store, "align.pairs")) {
    const auto found = pair.row.content.find("rules");
    if (found == pair.row.content.end()) continue;
    std::vector<int64_t>& list = rules[instruction_of(store, pair.row).key];
    for (const Json& rule : *found) list.push_back(rule.get<int64_t>());
  }
  return rules;
}

std::vector<ExportRow> export_rows(const store::Reader& store,
                                   const std::string& set) {
  const auto rules = rules_by_instruction(store);
  std::vector<ExportRow> rows;
  for (const stages::ReviewedPair& pair :
       stages::reviewed_pairs(store, pairs_of(set))) {
    const Row source = instruction_of(store, pair.row);
    const auto named = rules.find(source.key);
    rows.push_back(
        {pair.row.key, pair.row.stage, stages::question_type(source),
         pair.instruction, pair.response,
         named == rules.end() ? std::vector<int64_t>() : named->second,
         pair.ends});
  }
  return rows;
}

formats::Conversation conversation(const ExportRow& row) {
  return {{{"user", row.instruction}, {"assistant", row.response}}};
}

template <typename Value, typename Get>
formats::ParquetColumn column(const char* name,
                              const std::vector<ExportRow>& rows,
                              const Get& get) {
  std::vector<Value> values;
  values.reserve(rows.size());
  for (const ExportRow& row : rows) values.push_back(get(row));
  return {name, std::move(values)};
}

void write_table(const std::string& path, const std::vector<ExportRow>& rows,
                 const std::string& program) {
  using Text = std::string;
  formats::ParquetOptions options;
  options.created_by = program;
  formats::write_parquet(
      path,
      {column<Text>("instruction", rows,
                    [](const ExportRow& r) { return r.instruction; }),
       column<Text>("response", rows,
                    [](const ExportRow& r) { return r.response; }),
       column<formats::Conversation>("messages", rows, conversation),
       column<Text>("key", rows,
                    [](const ExportRow& r) { return key_to_hex(r.key); }),
       column<Text>("stage", rows, [](const ExportRow& r) { return r.stage; }),
       column<Text>("type", rows, [](const ExportRow& r) { return r.type; }),
       column<std::vector<int64_t>>("rules", rows,
                                    [](const ExportRow& r) { return r.rules; }),
       column<bool>("ends", rows, [](const ExportRow& r) { return r.ends; })},
      options);
}

void write_data(const std::string& path, const std::vector<ExportRow>& rows,
                const ExportOptions& options) {
  if (options.form == kParquet) {
    write_table(path, rows, options.program);
    return;
  }
  std::vector<formats::Conversation> conversations;
  for (const ExportRow& row : rows) {
    if (row.ends) conversations.push_back(conversation(row));
  }
  formats::write_dataset(path, formats::dataset_form(options.form),
                         conversations);
}

// Why there are no rows, and what would give some.
[[noreturn]] void throw_no_rows(const store::Reader& store,
                                const recipe::Recipe& recipe,
                                const std::string& set, int64_t num_cut_off) {
  const std::string pairs = pairs_of(set);
  std::string advice =
      "let the run go on with: selfalign resume " + store.folder();
  if (num_cut_off > 0) {
    advice = str("all ", num_cut_off,
                 " were cut off at max_new_tokens; --form parquet takes "
                 "these, too");
  } else if (recipe.has("tune")) {
    advice =
        "this run was tuned on data that were given and makes no rows of "
        "its own; they are in " +
        recipe.data.path;
  } else if (!recipe.has(set == "engrave" ? "align" : "verbose")) {
    advice = str("the recipe's stages do not make them; a run with ",
                 set == "engrave" ? "align" : "verbose", " does");
  } else if (stages::stage_done(store, pairs)) {
    advice =
        str("all were rejected or dropped; look why with: selfalign "
            "status ",
            store.folder());
  }
  throw Error(ErrorKind::kInput,
              str(store.folder(), ": this run has no finished rows of ", pairs,
                  "; ", advice));
}

// What the run's adapter of that set carries of its prompt, for whoever trains
// on the data elsewhere; none where there is no adapter. A link is not
// followed: what it leads to is not the run's to publish.
std::vector<std::string> put_prompt(const store::Reader& store,
                                    const recipe::Recipe& recipe,
                                    const std::string& set,
                                    const std::string& folder) {
  std::vector<std::string> names;
  const fs::path adapter =
      stages::find_variant(set == "verbose" ? "verbose" : "engraved")
          ->result(recipe);
  for (const char* name : {"selfalign.json", "chat_template.jinja"}) {
    require_own_path(store.folder(), adapter / name);
    const fs::path path = store.folder() / adapter / name;
    if (!fs::exists(path)) continue;
    write_file_atomic(folder + "/" + name, read_file(path));
    names.emplace_back(name);
  }
  return names;
}

}  // namespace

ExportReport export_dataset(const store::Reader& store,
                            const recipe::Recipe& recipe,
                            const ExportOptions& options) {
  const bool is_parquet = options.form == kParquet;
  if (!is_parquet) formats::dataset_form(options.form);  // known, or an Error
  store::require_sealed(store);
  ExportReport report;
  report.set = chosen_set(store, options.set);
  const std::vector<ExportRow> rows = export_rows(store, report.set);
  for (const ExportRow& row : rows) report.num_cut_off += !row.ends;
  report.num_written =
      int64_t(rows.size()) - (is_parquet ? 0 : report.num_cut_off);
  if (report.num_written == 0) {
    throw_no_rows(store, recipe, report.set, report.num_cut_off);
  }
  const PartialFolder partial(options.folder);
  ExportContext context{store, recipe, options, report,
                        is_parquet ? "train.parquet" : "train.jsonl"};
  const auto add = [&](const std::string& name) {
    report.files.push_back(name);
    return partial.path() + "/" + name;
  };
  write_data(add(context.data_file), rows, options);
  write_file_atomic(add("README.md"), data_card(context));
  write_json_file(add("dataset_info.json"), llama_factory_entry(context), 2);
  write_file_atomic(add("axolotl.yaml"), axolotl_stanza(context));
  for (const std::string& name :
       put_prompt(store, recipe, report.set, partial.path())) {
    add(name);
  }
  Json manifest = export_manifest(context);
  manifest["outputs"] = Json::array();
  for (const std::string& name : report.files) {
    manifest["outputs"].push_back(
        to_json(hashed_file(name, partial.path() + "/" + name)));
  }
  write_json_file(add("manifest.json"), manifest, 2);
  partial.publish();
  return report;
}

}  // namespace selfalign::exports
