#include "operator/kube/time.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::kube {
namespace {

TEST(Time, RoundTrips) {
  for (const char* text : {"1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2026-11-23T21:04:05Z"}) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(format_time(*time), text);
  }
  EXPECT_EQ(format_micro_time(*parse_time("2026-01-02T03:04:05.678Z")), "2026-01-02T03:04:05.678000Z");
  EXPECT_EQ(format_micro_time(*parse_time("2026-01-02T03:04:05.123456789Z")), "2026-01-02T03:04:05.123456Z");
  EXPECT_EQ(format_time(*parse_time("2026-01-02T00:30:00+02:00")), "2026-01-01T22:30:00Z");
  EXPECT_EQ(format_time(*parse_time("2026-01-01T23:30:00-01:30")), "2026-01-02T01:00:00Z");
}

TEST(Time, RefusesWhatIsNone) {
  for (const char* text :
       {"", "now", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx",
        "2026-1-01T00:00:00Z", "2026-01-01T-1:00:00Z", "2026-01-01T00:00:00+2:00"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(Time, ALongWaitStaysATime) {
  const nlohmann::json object = {{"n", 5}, {"most", INT64_MAX}, {"least", INT64_MIN}};
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(seconds_at(object, "/n", 1), std::chrono::seconds(5));
  EXPECT_EQ(seconds_at(object, "/none", 1), std::chrono::seconds(1));
  EXPECT_GT(now + seconds_at(object, "/most", 1), now);
  EXPECT_LT(now + seconds_at(object, "/least", 1), now);
}

}  // namespace
}  // namespace stepdown::kube
