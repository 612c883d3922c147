// SPDX-License-Identifier: Apache-2.0
#include "stages/length_checks.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/testing.h"
#include "recipe/prompts.h"

namespace selfalign::stages {
namespace {

using testing::HasSubstr;

class LengthChecks : public testing::Test {
 protected:
  LengthChecks() { recipe_.prompts_folder = "prompts"; }

  void write(const std::string& name, const std::string& text) const {
    write_file_atomic(scratch_.path() + "/" + name, text);
  }
  void check() const {
    check_lengths(recipe_, scratch_.path() + "/r.yaml",
                  [](const std::string& text) { return int64_t(text.size()); });
  }
  std::string refusal() const {
    return error_of([this] { check(); }).what();
  }

  ScratchFolder scratch_;
  recipe::Recipe recipe_;
};

// A token a byte. What would end as no_room, or as samples without an answer,
// hours later.
TEST_F(LengthChecks, RefusesWhatThePromptsTakeWhole) {
  write("r.yaml",
        "model:\n  max_context: 100\nengrave: {rank: 4, max_length: 9}\n");
  recipe_.stages = {"align", "engrave", "verbose"};
  recipe_.align.sampling.max_new_tokens = 11;
  recipe_.verbose.sampling.max_new_tokens = 12;
  const recipe::Prompts prompts = recipe::load_prompts(recipe_.prompts_folder);
  const auto bytes = [](const recipe::ChatPrompt& prompt) {
    return int64_t((prompt.prompt + recipe::chat_turn(prompt, "")).size());
  };
  const int64_t align = int64_t((recipe::align_prefix(prompts) +
                                 recipe::align_suffix(prompts, ""))
                                    .size()) +
                        11;
  const int64_t engrave = bytes(prompts.engraved) + 2;
  const int64_t verbose = bytes(prompts.verbose_distill) + 12;
  const int64_t final = bytes(prompts.verbose) + 2;
  ASSERT_GT(align, verbose);
  recipe_.model.max_context = int(align);
  recipe_.engrave.max_length = int(engrave);
  recipe_.final.max_length = int(final);
  check();
  recipe_.engrave.max_length = int(engrave) - 1;
  EXPECT_THAT(refusal(),
              HasSubstr(str("r.yaml:3:32: engrave.max_length: expected at "
                            "least ",
                            engrave,
                            " tokens, which the short prompt with a "
                            "turn take, found ",
                            engrave - 1, "; raise it")));
  recipe_.engrave.max_length = int(engrave);
  recipe_.final.max_length = int(final) - 1;  // not in the file
  EXPECT_THAT(refusal(),
              HasSubstr(str("r.yaml:1:1: final.max_length: expected at least ",
                            final)));
  recipe_.final.max_length = int(final);
  recipe_.model.max_context = int(align) - 1;
  EXPECT_THAT(refusal(), HasSubstr(str("r.yaml:2:16: model.max_context: "
                                       "expected at least ",
                                       align)));
  recipe_.stages = {"engrave", "verbose"};
  check();
  recipe_.model.max_context = int(verbose) - 1;
  EXPECT_THAT(refusal(), HasSubstr(str("expected at least ", verbose)));
  recipe_.stages = {"tune"};
  check();
  recipe_.tune.max_length = 1;
  EXPECT_THAT(refusal(), HasSubstr("tune.max_length: expected at least"));
}

}  // namespace
}  // namespace selfalign::stages
