#include "operator/controller/status_server.h"

#include "tests/unit/raw_http.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdown::controller {
namespace {

using namespace std::chrono_literals;

TEST(StatusServerTest, RefusesWhatIsNoHttp) {
  const StatusServer server("127.0.0.1:0",
                            {[] { return std::string(); }, [] { return std::string("a 1\n"); }});
  EXPECT_THAT(raw_http::complaints({server.port(), "/healthz", "/metrics", 5s, nullptr, raw_http::kLeftOut}),
              testing::IsEmpty());
}

}  // namespace
}  // namespace stepdown::controller
