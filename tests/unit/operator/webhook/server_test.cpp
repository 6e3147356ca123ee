#include "operator/webhook/server.h"

#include <filesystem>

#include "tests/unit/raw_http.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::webhook {
namespace {

using namespace std::chrono_literals;

const pki::Time kNow = std::chrono::system_clock::now();
const pki::Validity kDay{kNow, kNow + 24h};

/// The answer to a POST by a client that trusts this authority alone; empty when it could not be asked.
std::string ask(int port, const std::string& authority) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("stepdown-webhook-test-" + std::to_string(getpid()) + ".crt");
  write_file_atomically(file, authority);
  httplib::SSLClient client("127.0.0.1", port);
  client.set_ca_cert_path(file.c_str());
  client.enable_server_certificate_verification(true);
  const auto answer = client.Post("/validate", "hello", "application/json");
  std::filesystem::remove(file);
  return answer ? answer->body : "";
}

TEST(WebhookServer, ServesTheCertificateItWasGivenLast) {
  Server server(0, [](const std::string& body) { return Answer{200, body + " there"}; });
  const pki::KeyPair first = pki::make_authority("first", kDay), second = pki::make_authority("second", kDay);
  EXPECT_EQ(ask(server.port(), first.certificate), "") << "no certificate yet";
  const pki::Request names{.common_name = "x", .names = {"IP:127.0.0.1"}};
  server.use(pki::issue(first, names, kDay));
  EXPECT_EQ(ask(server.port(), first.certificate), "hello there");
  server.use(pki::issue(second, names, kDay));
  EXPECT_EQ(ask(server.port(), second.certificate), "hello there");
  EXPECT_EQ(ask(server.port(), first.certificate), "");
}

TEST(WebhookServer, KeepsItsCertificateWhenGivenNone) {
  Server server(0, [](const std::string&) { return Answer{200, "yes"}; });
  const pki::KeyPair authority = pki::make_authority("first", kDay);
  server.use(pki::issue(authority, {.common_name = "x", .names = {"IP:127.0.0.1"}}, kDay));
  EXPECT_THROW(server.use({"", ""}), InputError);
  EXPECT_EQ(ask(server.port(), authority.certificate), "yes");
}

TEST(WebhookServer, RefusesWhatIsNoHttp) {
  Server server(0, [](const std::string&) { return Answer{400, "no review"}; });
  server.use(
      pki::issue(pki::make_authority("first", kDay), {.common_name = "x", .names = {"IP:127.0.0.1"}}, kDay));
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  EXPECT_THAT(
      raw_http::complaints({server.port(), "/healthz", "/validate", 5s, tls.get(), raw_http::kLeftOut}),
      testing::IsEmpty());
}

TEST(WebhookServer, SendsItsClientsAwayWhenItLeaves) {
  Server server(0, [](const std::string&) { return Answer{200, "yes"}; });
  server.use(
      pki::issue(pki::make_authority("first", kDay), {.common_name = "x", .names = {"IP:127.0.0.1"}}, kDay));
  httplib::SSLClient client("127.0.0.1", server.port());
  client.enable_server_certificate_verification(false);
  client.set_keep_alive(true);
  const auto staying = client.Post("/validate", "hello", "application/json");
  ASSERT_TRUE(staying);
  EXPECT_NE(staying->get_header_value("Connection"), "close");
  server.leave();
  const auto leaving = client.Post("/validate", "hello", "application/json");
  ASSERT_TRUE(leaving) << "it answers on";
  EXPECT_EQ(leaving->body, "yes");
  EXPECT_EQ(leaving->get_header_value("Connection"), "close");
}

TEST(WebhookServer, RefusesAPortInUse) {
  const Server first(0, [](const std::string&) { return Answer{}; });
  EXPECT_THROW(Server(first.port(), [](const std::string&) { return Answer{}; }), Error);
}

}  // namespace
}  // namespace stepdown::webhook
