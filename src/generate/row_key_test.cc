// SPDX-License-Identifier: Apache-2.0
#include "generate/row_key.h"

#include <gtest/gtest.h>

#include <set>

namespace selfalign::generate {
namespace {

TEST(RowKey, IsThatOfEverythingAnAnswerIsDrawnFromAndOfNothingElse) {
  Request request;
  request.prefix = std::make_shared<const std::string>("About.\n\n");
  request.suffix = "User: Hi";
  const uint64_t key = row_key("model", request, 7, 0);
  std::set<uint64_t> keys = {key, row_key("other", request, 7, 0),
                             row_key("model", request, 8, 0),
                             row_key("model", request, 7, 1)};
  const auto changed = [&request](auto change) {
    Request other = request;
    change(other);
    return row_key("model", other, 7, 0);
  };
  keys.insert(changed([](Request& r) { r.prefix = nullptr; }));
  keys.insert(changed([](Request& r) { r.suffix += "?"; }));
  keys.insert(changed([](Request& r) { r.cuts = {4}; }));
  keys.insert(changed([](Request& r) { r.prompt_tokens = {5}; }));
  keys.insert(changed([](Request& r) { r.sampling.temperature = 0.5; }));
  keys.insert(changed([](Request& r) { r.sampling.logit_bias[3] = 1; }));
  EXPECT_EQ(keys.size(), 10u);
  EXPECT_EQ(key, changed([](Request& r) {
              r.sampling.max_new_tokens = 9;
              r.sampling.stop = {"."};
              r.messages = {{"user", "Hi"}};
              r.key = 5;
            }));
}

}  // namespace
}  // namespace selfalign::generate
