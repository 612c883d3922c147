#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/progress.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

TEST(Log, WritesLinesFromItsLevelOn) {
  CaptureStderr();
  log_debug("dropped");
  log_info("plain");
  log_error("bad");
  EXPECT_EQ(GetCapturedStderr(), "plain\nerror: bad\n");
}

TEST(Log, WritesJsonWhenAsked) {
  CaptureStderr();
  set_log_json(true);
  log_warning("a \"b\"");
  log_event("text", R"({"event":"mine"})");
  set_log_json(false);
  const std::string lines = GetCapturedStderr();
  const size_t end = lines.find('\n');
  const Json first = parse_json(lines.substr(0, end), "log");
  EXPECT_EQ(json_string(first, "text", "log"), "a \"b\"");
  EXPECT_EQ(json_string(first, "level", "log"), "warning");
  EXPECT_GT(json_number(first, "time_s", "log"), 1e9);
  EXPECT_EQ(lines.substr(end + 1), "{\"event\":\"mine\"}\n");
}

TEST(Progress, EndsWithOneLine) {
  CaptureStderr();
  {
    Progress progress("align", 10, "rows");
    progress.set_start(4);
    progress.update(10, "2 rejected");
  }
  const std::string line = GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr("align: 10/10 rows, "));
  EXPECT_THAT(line, HasSubstr("; 2 rejected\n"));
  CaptureStderr();
  { Progress untouched("align", 10, "rows"); }
  EXPECT_EQ(GetCapturedStderr(), "");
}

}  // namespace
}  // namespace selfalign
