#include "operator/gateway/proxy/trace_context.h"

#include <gtest/gtest.h>

namespace stepdown::gateway {
namespace {

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kSpan = "b7ad6b7169203331";

TEST(TraceContextTest, KeepsAValidTraceAndReplacesAnyOther) {
  struct Case {
    std::string parent;
    bool kept;
  };
  const Case cases[] = {
      {"00-" + kTrace + "-" + kSpan + "-01", true},
      {"00-" + kTrace + "-" + kSpan + "-00", true},
      {"cc-" + kTrace + "-" + kSpan + "-01-what-comes-later", true},
      {"cc-" + kTrace + "-" + kSpan + "-01.what", false},
      {"00-" + kTrace + "-" + kSpan + "-01-more", false},
      {"ff-" + kTrace + "-" + kSpan + "-01", false},
      {"00-" + std::string(32, '0') + "-" + kSpan + "-01", false},
      {"00-" + kTrace + "-" + std::string(16, '0') + "-01", false},
      {"00-" + kTrace.substr(1) + "G-" + kSpan + "-01", false},
      {"00-0AF7651916CD43DD8448EB211C80319C-" + kSpan + "-01", false},
      {"00-" + kTrace + "-" + kSpan + "-0", false},
      {"", false},
  };
  std::mt19937_64 random(1);
  for (const Case& c : cases) {
    const TraceContext context = trace_context({{"TraceParent", c.parent}, {"TraceState", "a=1"}}, random);
    EXPECT_EQ(context.trace_id == kTrace, c.kept) << c.parent;
    EXPECT_EQ(context.state, c.kept ? "a=1" : "") << c.parent;
    EXPECT_EQ(context.trace_id.size(), 32U);
    EXPECT_EQ(context.sampled(), c.kept && c.parent.substr(54, 1) == "1") << c.parent;
  }
}

TEST(TraceContextTest, WritesAHeaderThatItReads) {
  std::mt19937_64 random(1);
  const TraceContext fresh = trace_context({}, random);
  const std::string span = random_span_id(random);
  const TraceContext again = trace_context({{"traceparent", traceparent(fresh, span)}}, random);
  EXPECT_EQ(again.trace_id, fresh.trace_id);
  EXPECT_NE(random_span_id(random), span);
}

}  // namespace
}  // namespace stepdown::gateway
