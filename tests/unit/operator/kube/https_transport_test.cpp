// The transport against a real TLS server in this process.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <httplib.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "operator/kube/config.h"
#include "operator/kube/result.h"
#include "operator/kube/tls.h"
#include "operator/kube/transport.h"

namespace stepdown::kube {
namespace {

namespace fs = std::filesystem;

/// A key and a self-signed certificate, valid for 127.0.0.1.
struct Authority {
  Authority() : key(EVP_EC_gen("P-256")), certificate(X509_new()) {
    X509* x = certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, nullptr, nullptr, 0);
    for (const auto& [id, value] : {std::pair(NID_subject_alt_name, "IP:127.0.0.1"),
                                    std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
      X509_add_ext(x, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(x, key.get(), EVP_sha256());
  }
  std::string pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  }

  KeyPtr key;
  CertificatePtr certificate;
};

class TransportTest : public ::testing::Test {
 protected:
  TransportTest() {
    std::signal(SIGPIPE, SIG_IGN);
    serve();
  }
  ~TransportTest() override { http_->stop(); }

  void serve() {
    http_ = std::make_unique<httplib::SSLServer>(authority_.certificate.get(), authority_.key.get());
    http_->set_keep_alive_timeout(1);  // stop() waits for it
    const auto hello = [this](const httplib::Request& request, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      peers_.insert(request.remote_port);
      authorizations_.push_back(request.get_header_value("Authorization"));
      if (request.get_header_value("Authorization") == "Bearer old") response.status = 401;
      response.set_content("hi", "text/plain");
    };
    http_->Get("/hello", hello);
    http_->Post("/hello", hello);
    http_->Delete("/hello", hello);
    http_->Get("/slow", [](const httplib::Request&, httplib::Response&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
    http_->Get("/busy", [](const httplib::Request&, httplib::Response& response) {
      response.status = 429;
      response.set_header("Retry-After", "3");
    });
    http_->Get("/stream", [](const httplib::Request&, httplib::Response& response) {
      response.set_chunked_content_provider("application/json", [](std::size_t, httplib::DataSink& sink) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return sink.write("x\n", 2);
      });
    });
    if (port_ == 0) {
      port_ = http_->bind_to_any_port("127.0.0.1");
    } else {
      ASSERT_TRUE(http_->bind_to_port("127.0.0.1", port_));
    }
    thread_ = std::jthread([this] { http_->listen_after_bind(); });
    while (!http_->is_running()) std::this_thread::yield();  // stop() before that would do nothing
  }

  /// Every connection ends; the same port answers again.
  void restart() {
    http_->stop();
    thread_.join();
    serve();
  }

  Config config() const {
    Config config;
    config.server = "https://127.0.0.1:" + std::to_string(port_);
    config.certificate_authority = authority_.pem();
    config.origin = "test";
    return config;
  }
  static HttpRequest get(const std::string& path) {
    HttpRequest request;
    request.path = path;
    return request;
  }

  Authority authority_;
  std::unique_ptr<httplib::SSLServer> http_;
  int port_ = 0;
  std::mutex mutex_;
  std::set<int> peers_;
  std::vector<std::string> authorizations_;
  std::jthread thread_;
};

TEST_F(TransportTest, ReusesItsConnection) {
  const auto transport = make_https_transport(config());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(transport->send(get("/hello")).body, "hi");
  EXPECT_EQ(peers_.size(), 1U);
}

TEST_F(TransportTest, AConnectionThatTheServerClosedCostsNoRequestThatMayBeRepeated) {
  for (const char* method : {"GET", "POST", "DELETE"}) {
    const auto transport = make_https_transport(config());
    EXPECT_EQ(transport->send(get("/hello")).status, 200);
    restart();
    HttpRequest request = get("/hello");
    request.method = method;
    EXPECT_EQ(transport->send(request).body, "hi") << method;
  }
}

TEST_F(TransportTest, ARequestThatMayNotBeRepeatedFailsAtMostOnce) {
  const auto transport = make_https_transport(config());
  std::vector<std::jthread> clients;  // several connections idle, all of them stale after the restart
  for (int i = 0; i < 4; ++i) clients.emplace_back([&] { transport->send(get("/slow")); });
  clients.clear();
  restart();
  HttpRequest request = get("/hello");
  request.method = "POST";
  request.repeatable = false;
  int failures = 0;
  for (int i = 0; i < 4; ++i) {
    try {
      transport->send(request);
    } catch (const TransportError&) {
      ++failures;
    }
  }
  EXPECT_LE(failures, 1);
}

TEST_F(TransportTest, CarriesRetryAfter) {
  const HttpResponse busy = make_https_transport(config())->send(get("/busy"));
  EXPECT_EQ(busy.status, 429);
  EXPECT_EQ(busy.retry_after, std::chrono::seconds(3));
}

TEST_F(TransportTest, TrustsNoOtherAuthority) {
  Config other = config();
  other.certificate_authority = Authority().pem();
  // Not even when the system trusts the server's: the kubeconfig's authority is the only one that counts.
  const fs::path file = fs::temp_directory_path() / ("roots-" + std::to_string(::getpid()));
  std::ofstream(file) << authority_.pem();
  ::setenv("SSL_CERT_FILE", file.c_str(), 1);
  EXPECT_THROW(make_https_transport(other)->send(get("/hello")), TransportError);
  Config system = config();
  system.certificate_authority.clear();
  EXPECT_EQ(make_https_transport(system)->send(get("/hello")).body, "hi");
  ::unsetenv("SSL_CERT_FILE");
  fs::remove(file);
}

TEST_F(TransportTest, VerifiesTheName) {
  Config wrong = config();
  wrong.tls_server_name = "elsewhere.example";
  EXPECT_THROW(make_https_transport(wrong)->send(get("/hello")), TransportError);
}

TEST_F(TransportTest, ReadsTheTokenFileAgainAfterA401) {
  Config with_token = config();
  with_token.token_file = fs::temp_directory_path() / ("token-" + std::to_string(::getpid()));
  std::ofstream(with_token.token_file) << "good\n";
  const auto transport = make_https_transport(with_token);
  EXPECT_EQ(transport->send(get("/hello")).status, 200);
  std::ofstream(with_token.token_file) << "old\n";
  EXPECT_EQ(transport->send(get("/hello")).status, 200) << "the token that it knows is still good";
  fs::remove(with_token.token_file);

  std::ofstream(with_token.token_file) << "old\n";
  const auto stale = make_https_transport(with_token);
  EXPECT_EQ(stale->send(get("/hello")).status, 401);
  std::ofstream(with_token.token_file) << "new\n";
  EXPECT_EQ(stale->send(get("/hello")).status, 200);
  EXPECT_EQ(authorizations_.back(), "Bearer new");
  fs::remove(with_token.token_file);
}

TEST_F(TransportTest, ExecPluginGivesTheToken) {
  Config with_plugin = config();
  with_plugin.exec = ExecPlugin{
      "client.authentication.k8s.io/v1",
      "/bin/sh",
      {"-c", R"(echo "{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\",
                                  \"status\": {\"token\": \"$WHO\"}}")"},
      {{"WHO", "plugged"}},
      "",
      false};
  EXPECT_EQ(make_https_transport(with_plugin)->send(get("/hello")).status, 200);
  EXPECT_EQ(authorizations_.back(), "Bearer plugged");
  with_plugin.exec->args = {"-c", "exit 3"};
  EXPECT_THROW(make_https_transport(with_plugin)->send(get("/hello")), Error);
  with_plugin.exec->time_limit = std::chrono::seconds(1);
  for (const char* hangs : {"exec sleep 100", "exec >&-; exec sleep 100", "exec yes"}) {
    with_plugin.exec->args = {"-c", hangs};
    EXPECT_THROW(make_https_transport(with_plugin)->send(get("/hello")), Error) << hangs;
  }
}

TEST_F(TransportTest, StreamsEndByTheReceiverByStopAndBySilence) {
  const auto transport = make_https_transport(config());
  int chunks = 0;
  const auto three = [&chunks](std::string_view) { return ++chunks < 3; };
  EXPECT_EQ(transport->stream(get("/stream"), std::chrono::seconds(5), three, {}).status, 200);
  EXPECT_EQ(chunks, 3);

  std::stop_source stop;
  std::jthread stopper([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.request_stop();
  });
  EXPECT_EQ(transport
                ->stream(
                    get("/stream"), std::chrono::seconds(5), [](std::string_view) { return true; },
                    stop.get_token())
                .status,
            200);
}

TEST_F(TransportTest, ADeadServerIsAnErrorWithPlaceAndMend) {
  Config nowhere = config();
  nowhere.server = "https://127.0.0.1:1";
  try {
    make_https_transport(nowhere)->send(get("/hello"));
    ADD_FAILURE();
  } catch (const TransportError& error) {
    EXPECT_NE(error.where().find("https://127.0.0.1:1/hello"), std::string::npos);
    EXPECT_NE(error.mend(), "");
  }
}

TEST(PlainHttp, IsForLoopbackAlone) {
  Config config;
  config.server = "http://10.0.0.1:8080";
  EXPECT_THROW(make_https_transport(config), InputError);
  config.server = "http://127.0.0.1:8080";
  EXPECT_NO_THROW(make_https_transport(config));
}

}  // namespace
}  // namespace stepdown::kube
