#include "operator/local/api/server.h"

#include <filesystem>
#include <thread>

#include "tests/unit/raw_http.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdown::local::api {
namespace {

using namespace std::chrono_literals;

TEST(ApiServerTest, RefusesWhatIsNoHttp) {
  const auto folder =
      std::filesystem::path(testing::TempDir()) / ("api_server_test_" + std::to_string(::getpid()));
  ServerOptions options;
  options.folder = folder;
  {
    Server server(options);
    std::thread serving([&server] { server.run(); });
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls(SSL_CTX_new(TLS_client_method()),
                                                                SSL_CTX_free);
    EXPECT_THAT(raw_http::complaints(
                    {server.port(), "/healthz", "/api/v1/namespaces", 5s, tls.get(), raw_http::kLeftOut}),
                testing::IsEmpty());
    server.stop();
    serving.join();
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace stepdown::local::api
