// SPDX-License-Identifier: Apache-2.0
// run.db: bytes of a database, or edits (four bytes of place, one of value) of
// a small one that is made at the start, so that no file here depends on the
// schema. It is opened, read whole and checked.
#include "fuzz.h"
#include "store/checks.h"
#include "store/store.h"

namespace store = selfalign::store;

namespace {

store::Row row_of(uint64_t key, int64_t seq, std::vector<uint64_t> parents) {
  return {key, "align.answers", seq, std::move(parents), {{"text", "a"}}};
}

std::string make_database() {
  const std::string folder = fuzz_folder();
  {
    const auto made = store::Store::open(folder);
    made->add_rows({row_of(1, 0, {}), row_of(2, 1, {1})});
    made->add_completion({{.key = 1, .text = "So."}, "", "fuzz", 1.0});
    made->set_verdicts(
        {{1, "filter.1", true, "", ""}, {2, "filter.1", false, "short", ""}});
    made->add_review({1, "me", store::Decision::kKeep, "", "", 1.0});
    made->commit_manifest({"align.answers", 2, 1, "digest", {{"n", 1}}});
    made->set_meta("name", "value");
  }
  std::ifstream in(folder + "/run.db", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string edited(std::string_view edits) {
  static const std::string database = make_database();
  std::string bytes = database;
  for (; edits.size() >= 5; edits.remove_prefix(5)) {
    size_t place = 0;
    for (int i = 0; i < 4; ++i) {
      place = place << 8 | static_cast<unsigned char>(edits[i]);
    }
    bytes[place % bytes.size()] = edits[4];
  }
  return bytes;
}

void read_all(const store::Reader& run) {
  store::find_problems(run);
  run.run_digest();
  run.manifests();
  for (const std::string& stage : run.stages()) {
    for (const store::Row& row : run.rows(stage)) {
      run.completion(row.key);
      run.verdicts(row.key);
      run.children(row.key);
    }
    run.activity(stage);
    run.reviews(stage);
    for (const std::string& filter : run.filters(stage)) {
      run.kept(stage, filter);
      run.rejections(stage, filter);
      run.account(stage, filter, run.num_rows(stage));
      run.digest(stage, filter, run.num_rows(stage));
      store::heirs_of_nothing(run, stage, filter, run.num_rows(stage));
    }
  }
}

}  // namespace

void fuzz_one(std::string_view bytes) {
  const bool is_whole = bytes.starts_with("SQLite format 3");
  const std::string database = is_whole ? std::string(bytes) : edited(bytes);
  const std::string folder = fuzz_folder();
  fuzz_write(folder + "/run.db", database);
  const auto run = store::Reader::open(folder);
  run->snapshot([&] { read_all(*run); });
}
