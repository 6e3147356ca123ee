#include "operator/kube/events.h"

#include "fake_api.h"
#include <gtest/gtest.h>

namespace stepdown::kube {
namespace {

using nlohmann::json;

class EventsTest : public ::testing::Test {
 protected:
  FakeApi api_;
  EventRecorder::Clock::time_point now_{std::chrono::hours(500'000)};
  EventRecorder recorder_{
      Client(std::make_shared<FakeTransport>([this](const HttpRequest& r) { return api_.answer(r); })),
      "stepdown.dev/test", "pod-1", [this] { return now_; }};
  const json object_ = json::parse(R"({"apiVersion": "v1", "kind": "Pod",
      "metadata": {"namespace": "n", "name": "p", "uid": "u"}})");
};

TEST_F(EventsTest, ASeriesIsOneObjectWrittenNowAndThen) {
  recorder_.warning(object_, "Promote", "Slow", "p99");
  ASSERT_EQ(api_.objects.size(), 1U);
  const json& event = api_.objects.begin()->second;
  EXPECT_FALSE(event.contains("series"));
  EXPECT_EQ(text_at(event, "/regarding/uid"), "u");
  EXPECT_EQ(text_at(event, "/type"), "Warning");
  recorder_.warning(object_, "Promote", "Slow", "p99");
  EXPECT_EQ(integer_at(event, "/series/count", 0), 2);
  for (int i = 0; i < 5; ++i) recorder_.warning(object_, "Promote", "Slow", "p99");
  EXPECT_EQ(integer_at(event, "/series/count", 0), 2) << "within 10 s";
  now_ += std::chrono::seconds(10);
  recorder_.warning(object_, "Promote", "Slow", "p99");
  EXPECT_EQ(integer_at(event, "/series/count", 0), 8);
  EXPECT_EQ(api_.objects.size(), 1U);
}

TEST_F(EventsTest, OtherEventsAndLaterOnesAreNew) {
  recorder_.normal(object_, "Promote", "Promoted", "25 %");
  now_ += std::chrono::seconds(1);
  recorder_.normal(object_, "Promote", "Promoted", "100 %");
  EXPECT_EQ(api_.objects.size(), 2U);
  now_ += std::chrono::minutes(7);
  recorder_.normal(object_, "Promote", "Promoted", "100 %");
  EXPECT_EQ(api_.objects.size(), 3U);
}

TEST_F(EventsTest, LongNotesAreCutBetweenCharactersAndFailuresAreNoErrors) {
  std::string note;
  for (int i = 0; i < 600; ++i) note += "ü";
  recorder_.normal(object_, "Promote", "Promoted", note);
  const std::string written = text_at(api_.objects.begin()->second, "/note");
  EXPECT_LE(written.size(), 1024U);
  EXPECT_TRUE(written.ends_with("ü..."));
  api_.down = true;
  EXPECT_NO_THROW(recorder_.normal(object_, "Promote", "Promoted", "other"));
}

}  // namespace
}  // namespace stepdown::kube
