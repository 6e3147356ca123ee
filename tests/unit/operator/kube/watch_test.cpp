#include "operator/kube/watch.h"

#include <gtest/gtest.h>

namespace stepdown::kube {
namespace {

const std::string kTwoEvents =
    "{\"type\":\"ADDED\",\"object\":{\"n\":1}}\n\n{\"type\":\"DELETED\",\"object\":{\"n\":2}}\r\n";

TEST(WatchDecoder, TakesBytesInPiecesOfAnySize) {
  for (std::size_t size = 1; size <= kTwoEvents.size(); ++size) {
    WatchDecoder decoder;
    std::vector<WatchEvent> events;
    for (std::size_t at = 0; at < kTwoEvents.size(); at += size) {
      ASSERT_TRUE(decoder.feed(kTwoEvents.substr(at, size), [&](WatchEvent&& event) {
        events.push_back(std::move(event));
        return true;
      }));
    }
    ASSERT_EQ(events.size(), 2U) << "pieces of " << size;
    EXPECT_EQ(events[0].type, WatchEventType::kAdded);
    EXPECT_EQ(events[1].type, WatchEventType::kDeleted);
    EXPECT_EQ(events[1].object["n"], 2);
  }
}

TEST(WatchDecoder, SaysWhatIsWrong) {
  for (const char* line : {"nonsense\n", "[]\n", "{\"type\":\"ADDED\"}\n", "{\"type\":5,\"object\":{}}\n",
                           "{\"type\":\"NEW\",\"object\":{}}\n", "{\"type\":\"ADDED\",\"object\":[]}\n"}) {
    WatchDecoder decoder;
    EXPECT_FALSE(decoder.feed(line, [](WatchEvent&&) { return true; })) << line;
    EXPECT_NE(decoder.error(), "") << line;
  }
}

TEST(WatchDecoder, StopsWhenTheReceiverDoes) {
  WatchDecoder decoder;
  int events = 0;
  EXPECT_FALSE(decoder.feed(kTwoEvents, [&](WatchEvent&&) { return ++events < 1; }));
  EXPECT_EQ(events, 1);
  EXPECT_EQ(decoder.error(), "");
}

TEST(WatchDecoder, BoundsALine) {
  WatchDecoder decoder;
  const std::string chunk(1U << 20U, ' ');
  bool go_on = true;
  int chunks = 0;
  for (; go_on && chunks < 100; ++chunks) go_on = decoder.feed(chunk, [](WatchEvent&&) { return true; });
  EXPECT_EQ(chunks, 17);
  EXPECT_NE(decoder.error(), "");
}

}  // namespace
}  // namespace stepdown::kube
