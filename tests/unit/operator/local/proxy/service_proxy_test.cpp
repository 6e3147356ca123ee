#include "operator/local/proxy/service_proxy.h"

#include <thread>

#include <gtest/gtest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

namespace stepdown::local {
namespace {

using nlohmann::json;

kube::ObjectPtr object(const char* text) {
  return std::make_shared<json>(json::parse(text));
}

TEST(ForwardingTable, ReadyEndpointsOrElseThoseThatStillServe) {
  const auto service = object(R"({"metadata": {"namespace": "n", "name": "s"},
      "spec": {"clusterIP": "127.96.1.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "u", "port": 5, "protocol": "UDP"}]}})");
  const auto headless = object(R"({"metadata": {"namespace": "n", "name": "h"},
      "spec": {"clusterIP": "None", "ports": [{"port": 80}]}})");
  const auto slice = [](const char* ready, const char* serving) {
    return object(
        (std::string(
             R"({"metadata": {"namespace": "n", "name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "ports": [{"name": "http", "port": 8080}], "endpoints": [
          {"addresses": ["127.1.1.1"], "conditions": {"ready": )") +
         ready + R"(, "serving": true}},
          {"addresses": ["127.1.1.2"], "conditions": {"ready": false, "serving": )" +
         serving + "}}]}")
            .c_str());
  };
  struct Case {
    const char* ready;
    const char* serving;
    std::vector<Address> backends;
  };
  for (const Case& c : {Case{"true", "true", {{"127.1.1.1", 8080}}},
                        Case{"false", "true", {{"127.1.1.1", 8080}, {"127.1.1.2", 8080}}},
                        Case{"false", "false", {{"127.1.1.1", 8080}}}}) {
    const auto table = forwarding_table({service, headless}, {slice(c.ready, c.serving)});
    ASSERT_EQ(table.size(), 1U);
    EXPECT_EQ(table.begin()->first, (Address{"127.96.1.1", 80}));
    EXPECT_EQ(table.begin()->second, c.backends) << c.ready << c.serving;
  }
}

/// An HTTP server on an address of its own that answers with its name.
class Backend {
 public:
  explicit Backend(std::string ip) : ip_(std::move(ip)) {
    http_.Get("/", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(ip_, "text/plain");
    });
    http_.Post("/", [](const httplib::Request& request, httplib::Response& response) {
      response.set_content(request.body, "text/plain");
    });
    port_ = http_.bind_to_any_port(ip_.c_str());
    thread_ = std::jthread([this] { http_.listen_after_bind(); });
    while (!http_.is_running()) std::this_thread::yield();  // stop() before that would do nothing
  }
  ~Backend() { http_.stop(); }
  Address address() const { return {ip_, port_}; }

 private:
  std::string ip_;
  httplib::Server http_;
  int port_ = 0;
  std::jthread thread_;
};

TEST(TcpForwarder, SpreadsAndPassesOverTheDead) {
  const Backend one("127.88.1.1");
  const Backend two("127.88.1.2");
  const Address dead{"127.88.1.3", 9};
  const Address front{"127.88.2.1", 18123};
  TcpForwarder forwarder;
  forwarder.set({{front, {one.address(), dead, two.address()}}});
  std::map<std::string, int> answers;
  for (int i = 0; i < 12; ++i) {
    httplib::Client client(front.ip, front.port);
    auto result = client.Get("/");
    for (int wait = 0; !result && i == 0 && wait < 100; ++wait) {  // until it listens
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      result = client.Get("/");
    }
    ASSERT_TRUE(result) << httplib::to_string(result.error());
    ++answers[result->body];
  }
  EXPECT_GE(answers["127.88.1.1"], 3);
  EXPECT_GE(answers["127.88.1.2"], 3);

  const std::string large(3 << 20, 'x');
  httplib::Client client(front.ip, front.port);
  const auto echoed = client.Post("/", large, "text/plain");
  ASSERT_TRUE(echoed);
  EXPECT_EQ(echoed->body, large);

  forwarder.set({{front, {}}});
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) {
    httplib::Client fresh(front.ip, front.port);
    refused = !fresh.Get("/");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace stepdown::local
