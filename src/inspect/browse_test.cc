// SPDX-License-Identifier: Apache-2.0
#include "inspect/browse.h"

#include <set>

#include "base/error.h"
#include "stages/row_reading.h"
#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

class BrowseTest : public stages::SmallRun {
 protected:
  std::string search(const SearchOptions& options, bool* more = nullptr) {
    std::string text;
    const bool left = search_run(*store_, options, [&](const SearchHit& hit) {
      text += str(hit.stage, ":", hit.seq, " ", hit.field, " ",
                  hit.text.substr(hit.begin, hit.length), "\n");
    });
    if (more) *more = left;
    return text;
  }
};

TEST_F(BrowseTest, SearchFindsEachTextWhereItWasMade) {
  EXPECT_EQ(search({.text = "POEM"}),
            "instruct.tasks:0 instruction poem\n"
            "instruct.tasks:3 instruction poem\n"
            "align.answers:0 thought poem\n");
  EXPECT_EQ(search({.text = "light scatters"}),
            "align.answers:2 raw text light scatters\n");
  EXPECT_EQ(search({.text = "light", .stage = "align.pairs"}),
            "align.pairs:1 response light\n");
  EXPECT_EQ(search({.text = "\\bro\\w+", .is_regex = true}),
            "instruct.tasks:0 instruction roses\n"
            "align.answers:0 raw text Roses\n");
}

TEST_F(BrowseTest, SearchStopsAtTheLimitAndSaysSo) {
  bool more = false;
  EXPECT_EQ(search({.text = "poem", .limit = 1}, &more),
            "instruct.tasks:0 instruction poem\n");
  EXPECT_TRUE(more);
  search({.text = "poem", .limit = 3}, &more);
  EXPECT_FALSE(more);
  EXPECT_EQ(kind_of([&] { search({.text = "x", .stage = "none"}); }),
            ErrorKind::kUsage);
}

TEST_F(BrowseTest, SamplesByVerdictAndReason) {
  const auto seqs = [&](SampleOptions options) {
    std::vector<int64_t> found;
    for (const store::SeenRow& seen : sample_run(*store_, options).rows) {
      found.push_back(seen.row.seq);
    }
    return found;
  };
  using Seqs = std::vector<int64_t>;
  EXPECT_EQ(seqs({}), (Seqs{0, 1, 2}));
  EXPECT_EQ(seqs({.kept = true}), (Seqs{0, 2}));
  EXPECT_EQ(seqs({.kept = false}), (Seqs{1}));
  EXPECT_EQ(seqs({.reason = "no_answer"}), (Seqs{1}));
  EXPECT_THROW(seqs({.reason = "garbled"}), Error);
  const SampleOptions two{.stage = "instruct.tasks", .count = 2, .seed = 5};
  EXPECT_EQ(seqs(two), seqs(two));
  EXPECT_EQ(sample_run(*store_, two).num_matching, 4);
  std::set<Seqs> draws;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    draws.insert(seqs({.stage = "instruct.tasks", .count = 2, .seed = seed}));
  }
  EXPECT_EQ(draws.size(), 6u);  // every pair of four comes up
}

TEST_F(BrowseTest, TheFilterInForceIsTheManifests) {
  store_->set_verdicts({{20, "align.paper.1", false, "weather", ""}});
  EXPECT_EQ(stages::filter_of(*store_, "align.answers", "paper"),
            recipe::profile_named("default").align.name);
  EXPECT_EQ(stages::filter_of(*store_, "align.pairs", "default"), "");
  store_->add_rows({{50, "new", 0, {}, Json::object()}});
  store_->set_verdicts(
      {{50, "new.default.2", true, "", ""}, {50, "new.paper.1", true, "", ""}});
  EXPECT_EQ(stages::filter_of(*store_, "new", "paper"), "new.paper.1");
}

}  // namespace
}  // namespace selfalign::inspect
