#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "operator/local/api/garbage_collector.h"
#include "operator/local/api/router.h"
#include "operator/local/supervisor/crds.h"

namespace {

using namespace stepdown::local::api;

/// The whole API server but for the network, with our own CRDs.
class Server {
 public:
  Server() : cluster_(":memory:", 1000), tokens_("key"), router_(cluster_, tokens_, "/nonexistent") {
    bootstrap(cluster_);
    for (const std::string_view definition : stepdown::local::embedded_crds()) {
      Request request;
      request.method = "POST";
      request.path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
      request.content_type = "application/yaml";
      request.user = kAdmin;
      request.body = definition;
      if (router_.handle(request).code != 201) std::abort();
    }
  }

  /// "METHOD PATH CONTENT-TYPE\nBODY"
  void ask(const std::string& text) {
    const std::size_t line = std::min(text.find('\n'), text.size());
    const std::size_t first = std::min(text.find(' '), line);
    const std::size_t second = std::min(text.find(' ', first + 1), line);
    Request request;
    request.user = kAdmin;
    request.method = text.substr(0, first);
    if (first < line) request.path = text.substr(first + 1, second - first - 1);
    if (second < line) request.content_type = text.substr(second + 1, line - second - 1);
    if (line < text.size()) request.body = text.substr(line + 1);
    const std::size_t mark = request.path.find('?');
    if (mark != std::string::npos) {
      const std::string pair = request.path.substr(mark + 1);
      const std::size_t equal = std::min(pair.find('='), pair.size());
      request.query.emplace(pair.substr(0, equal), equal < pair.size() ? pair.substr(equal + 1) : "");
      request.path.resize(mark);
    }
    const Response response = router_.handle(request);
    if (response.code == 500 && response.body.find("InternalError") != std::string::npos) std::abort();
  }

 private:
  static inline const User kAdmin{"admin", {"system:masters"}};

  Cluster cluster_;
  Tokens tokens_;
  Router router_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server server;
  server.ask({reinterpret_cast<const char*>(data), size});
  return 0;
}
