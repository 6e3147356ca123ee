#include "operator/controller/status_server.h"

#include "tests/unit/raw_http.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "engine/base/error.h"

namespace stepdown::controller {
namespace {

using namespace std::chrono_literals;

TEST(StatusServerTest, RefusesWhatIsNoHttp) {
  const StatusServer server("127.0.0.1:0",
                            {[] { return std::string(); }, [] { return std::string("a 1\n"); }});
  EXPECT_THAT(raw_http::complaints({server.port(), "/healthz", "/metrics", 5s, nullptr, raw_http::kLeftOut}),
              testing::IsEmpty());
}

int status_at(const std::string& host, int port) {
  const auto answer = httplib::Client(host, port).Get("/healthz");
  return answer ? answer->status : 0;
}

bool has_ipv6() {
  httplib::Server trial;
  return trial.bind_to_any_port("::1") > 0;
}

const StatusServer::Pages kPages{[] { return std::string(); }, [] { return std::string(); }};

TEST(StatusServerTest, WithoutAHostListensOnEveryAddressOfBothFamilies) {
  const StatusServer server(":0", kPages);
  EXPECT_EQ(status_at("127.0.0.1", server.port()), 200);
  if (!has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
  EXPECT_EQ(status_at("::1", server.port()), 200) << "pods of an IPv6 cluster are probed at such an address";
}

TEST(StatusServerTest, ListensOnAnIpv6AddressAsUrlsWriteIt) {
  if (!has_ipv6()) GTEST_SKIP() << "this machine has no IPv6";
  const StatusServer server("[::1]:0", kPages);
  EXPECT_EQ(status_at("::1", server.port()), 200);
  EXPECT_EQ(status_at("127.0.0.1", server.port()), 0);
}

TEST(StatusServerTest, APortThatIsTakenIsToldOf) {
  const StatusServer server(":0", kPages);
  EXPECT_THROW(StatusServer(":" + std::to_string(server.port()), kPages), InputError);
}

}  // namespace
}  // namespace stepdown::controller
