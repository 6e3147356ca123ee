#include "operator/kube/events.h"

#include <future>
#include <thread>

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

TEST_F(EventsTest, OneThatTheServerIsSlowToTakeHoldsNoOtherUp) {
  std::promise<void> taken, other_written;
  EventRecorder recorder(Client(std::make_shared<FakeTransport>([&](const HttpRequest& request) {
                           if (request.body.find("first") == std::string::npos) return api_.answer(request);
                           taken.set_value();
                           const bool in_time = other_written.get_future().wait_for(
                                                    std::chrono::seconds(10)) == std::future_status::ready;
                           EXPECT_TRUE(in_time) << "the other waits for the first";
                           return api_.answer(request);
                         })),
                         "stepdown.dev/test", "pod-1", [this] { return now_; });
  json other = object_;
  other["metadata"]["name"] = "q";
  {
    const std::jthread slow([&] { recorder.normal(object_, "Promote", "Promoted", "first"); });
    ASSERT_EQ(taken.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
    recorder.normal(other, "Promote", "Promoted", "second");
    other_written.set_value();
  }
  EXPECT_EQ(api_.objects.size(), 2U);
}

TEST_F(EventsTest, WhatCouldNotBeWrittenIsWrittenTheNextTime) {
  api_.down = true;
  recorder_.normal(object_, "Promote", "Promoted", "25 %");
  api_.down = false;
  recorder_.normal(object_, "Promote", "Promoted", "25 %");
  ASSERT_EQ(api_.objects.size(), 1U);
  EXPECT_FALSE(api_.objects.begin()->second.contains("series"));
}

}  // namespace
}  // namespace stepdown::kube
