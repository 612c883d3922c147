// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "cli/model_flags.h"

namespace selfalign::cli {
namespace {

using testing::HasSubstr;

// What the option makes of an argument: its value, or the error.
template <typename Value, typename Declare>
std::string parsed(const std::string& argument, const Declare& declare) {
  CLI::App app;
  CLI::App* command = app.add_subcommand("do", "");
  Value value{};
  declare(*command, value);
  expand_home_folders(app);
  try {
    app.parse("do " + argument);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return str(value);
}

TEST(Options, ANumberIsInItsRange) {
  const auto rate = [](const std::string& text) {
    return parsed<double>("--rate=" + text, [](CLI::App& app, double& value) {
      app.add_option("--rate", value)
          ->check(in_range(Range<double>{1e-12, 10.0}));
    });
  };
  EXPECT_EQ(rate("4e-4"), "0.0004");
  for (const char* text : {"0", "-1", "nan", "inf", "-inf", "11", "x"}) {
    EXPECT_THAT(rate(text), HasSubstr(str("expected a number from 1e-12 to 10, "
                                          "found \"",
                                          text, "\"")));
  }
}

TEST(Options, EngineSettingsHaveTheRangesOfTheRecipe) {
  const auto slots = [](const std::string& text) {
    return parsed<int>(text, [](CLI::App& app, int& value) {
      static ModelFlags flags;
      flags.add_compute(app);
      flags.add_engine(app);
      value = 7;
    });
  };
  EXPECT_EQ(slots("--slots 4096"), "7");
  EXPECT_THAT(slots("--slots 4097"), HasSubstr("from 1 to 4096"));
  EXPECT_THAT(slots("--max-context 1"), HasSubstr("from 2 to 16777216"));
  EXPECT_THAT(slots("--dtype float16"), HasSubstr("--dtype"));
  EXPECT_THAT(slots("--device tpu"), HasSubstr("--device"));
}

TEST(Options, AnAddressWithAPasswordIsRefusedAndNotShown) {
  for (const std::string argument :
       {"--model http://user:hidden@host/v1#m",
        "--adapter a=HTTPS://hidden@host", "--model http://host?key=hidden"}) {
    const std::string error =
        parsed<std::string>(argument, [](CLI::App& app, std::string& value) {
          app.add_option("--model,--adapter", value);
        });
    EXPECT_THAT(error, HasSubstr("SELFALIGN_REMOTE_KEY")) << argument;
    EXPECT_THAT(error, testing::Not(HasSubstr("hidden"))) << argument;
  }
}

TEST(Options, TheTildeIsTheHomeFolderInPaths) {
  const char* known = std::getenv("HOME");
  const std::string old = known != nullptr ? known : "/";
  ::setenv("HOME", "/people/ada", 1);
  const auto option = [](const char* name) {
    return [name](CLI::App& app, std::string& value) {
      app.add_option(name, value);
    };
  };
  EXPECT_EQ(parsed<std::string>("--model=~/m.gguf", option("--model")),
            "/people/ada/m.gguf");
  EXPECT_EQ(parsed<std::string>("~/r.yaml", option("recipe")),
            "/people/ada/r.yaml");
  for (const char* name : {"--adapter", "--answers", "--questions"}) {
    EXPECT_EQ(parsed<std::string>(str(name, "=mine=~/a"), option(name)),
              "mine=/people/ada/a");
    EXPECT_EQ(parsed<std::string>(str(name, "=~/a"), option(name)),
              "/people/ada/a");
  }
  EXPECT_THAT(parsed<std::string>("--output='$HOME/x'", option("--output")),
              HasSubstr("the shell's variable in \"$HOME/x\""));
  // Text is no path.
  EXPECT_EQ(parsed<std::string>("~/x", option("text")), "~/x");
  ::setenv("HOME", old.c_str(), 1);
}

}  // namespace
}  // namespace selfalign::cli
