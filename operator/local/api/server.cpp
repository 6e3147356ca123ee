#include "operator/local/api/server.h"

#include <charconv>

#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/http_framing.h"
#include "engine/base/listen.h"
#include "engine/base/log.h"
#include "operator/local/api/certificates.h"
#include "operator/local/api/connections.h"
#include "operator/local/api/garbage_collector.h"
#include "operator/local/api/kubeconfig.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/router.h"
#include "operator/local/state_folder.h"

namespace stepdown::local::api {
namespace {

namespace fs = std::filesystem;

constexpr int kReadSeconds =
    5;  // for the next bytes of a request that has begun; clients are on this machine
constexpr std::size_t kMaxConnections = 1024;
constexpr std::size_t kMaxBody = std::size_t{3} << 20;  // as the API server's
constexpr std::size_t kMaxPath = 1024;  // names are at most 253 long; a longer path is no resource

template <typename T, void (*kFree)(T*)>
struct Freed {
  void operator()(T* held) const { kFree(held); }
};
using X509Ptr = std::unique_ptr<X509, Freed<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;

BioPtr memory(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

X509Ptr read_certificate(const std::string& pem) {
  X509Ptr certificate(PEM_read_bio_X509(memory(pem).get(), nullptr, nullptr, nullptr));
  if (!certificate) throw Error("unreadable certificate", "pki", "remove the pki folder to make new ones");
  return certificate;
}

bool set_up_tls(SSL_CTX& context, const Certificates& certificates) {
  const X509Ptr server = read_certificate(certificates.server);
  const KeyPtr key(PEM_read_bio_PrivateKey(memory(certificates.server_key).get(), nullptr, nullptr, nullptr));
  const X509Ptr authority = read_certificate(certificates.ca);
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER,
                     nullptr);  // a client certificate may be shown, none is demanded
  X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get());
  SSL_CTX_add_client_CA(&context, authority.get());
  // Session tickets would carry a client's identity past a change of keys.
  SSL_CTX_set_options(&context, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  return key && SSL_CTX_use_certificate(&context, server.get()) == 1 &&
         SSL_CTX_use_PrivateKey(&context, key.get()) == 1;
}

std::vector<std::string> subject_texts(X509_NAME* name, int id) {
  std::vector<std::string> texts;
  for (int at = X509_NAME_get_index_by_NID(name, id, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, id, at)) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    texts.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                       static_cast<std::size_t>(ASN1_STRING_length(data)));
  }
  return texts;
}

/// The user that a verified client certificate names: CN is the user, O its groups.
std::optional<User> certificate_user(const SSL* ssl) {
  const X509Ptr certificate(SSL_get1_peer_certificate(ssl));
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return std::nullopt;
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto names = subject_texts(name, NID_commonName);
  if (names.empty()) return std::nullopt;
  return User{names.front(), subject_texts(name, NID_organizationName)};
}

bool connected(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_ESTABLISHED;
}

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& options)
      : folder(open_state_folder(options.folder)),
        lock(folder / "api.lock"),
        certificates(load_certificates(folder / "pki")),
        tokens(load_secret(folder / "pki" / "service-accounts.key")),
        cluster(folder / "objects.db", options.history),
        router(cluster, tokens, folder / "pods"),
        http([this](SSL_CTX& context) { return set_up_tls(context, certificates); }) {
    if (!http.is_valid())
      throw Error("cannot set up TLS", (folder / "pki").string(), "remove the pki folder to make new keys");
    configure();
    bind(options.port);
    bootstrap(cluster);
    write_kubeconfig(folder / "kubeconfig", port, certificates);
  }

  void configure() {
    serve_by<Connections>(http, kMaxConnections);
    http.set_keep_alive_max_count(1'000'000);
    http.set_keep_alive_timeout(90);
    http.set_read_timeout(kReadSeconds);
    http.set_write_timeout(30);
    http.set_payload_max_length(kMaxBody);
    http.set_tcp_nodelay(true);
    // Patterns are matched by std::regex, whose recursion grows with the path.
    http.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      const std::string_view unclear = framing_fault(request);
      if (request.path.size() <= kMaxPath && unclear.empty())
        return httplib::Server::HandlerResponse::Unhandled;
      const ApiError error = unclear.empty() ? ApiError(414, "", "the request's path is too long")
                                             : bad_request(std::string(unclear));
      answer(response, json_response(error.code(), error.status()), nullptr, nullptr);
      return httplib::Server::HandlerResponse::Handled;
    });
    http.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int code = response.status;
      const ApiError error(code,
                           code == 413   ? "RequestEntityTooLarge"
                           : code == 404 ? "NotFound"
                                         : "BadRequest",
                           code == 413 ? "Request entity too large: limit is 3145728"
                                       : "the server could not read or route the request");
      response.set_content(error.status().dump(), "application/json");
    });
    const auto with_body = [this](const httplib::Request& request, httplib::Response& response,
                                  const httplib::ContentReader& read) {
      std::string body;
      // httplib would wait for the end of the connection when nothing announces a body.
      if (request.has_header("Content-Length") || request.has_header("Transfer-Encoding")) {
        read([&](const char* bytes, std::size_t size) {
          body.append(bytes, size);
          return body.size() <= kMaxBody;
        });
      }
      if (body.size() > kMaxBody) {
        response.status = 413;
        return;
      }
      serve(request, response, std::move(body));
    };
    http.Get(".*", [this](const httplib::Request& request, httplib::Response& response) {
      serve(request, response, {});
    });
    http.Post(".*", with_body);
    http.Put(".*", with_body);
    http.Patch(".*", with_body);
    http.Delete(".*", with_body);
  }

  /// The last start's port is kept, so that a restart finds its clients again.
  void bind(int wanted) {
    const fs::path file = folder / "port";
    if (wanted == 0 && fs::exists(file)) {
      const std::string text = read_file(file);
      std::from_chars(text.data(), text.data() + text.size(), wanted);
      port = wanted > 0 ? bind_alone(http, "127.0.0.1", wanted) : 0;
      if (port > 0) return;
      throw InputError("port " + std::to_string(wanted) + " of the last start is taken", "127.0.0.1",
                       "end who listens there, or choose one with --port");
    }
    port = bind_alone(http, "127.0.0.1", wanted);
    if (port == 0) {
      throw InputError("cannot listen on port " + std::to_string(wanted), "127.0.0.1",
                       "end who listens there, or choose another with --port");
    }
    write_file_atomically(file, std::to_string(port) + "\n");
  }

  std::optional<User> authenticate(const httplib::Request& request) {
    const std::string header = request.get_header_value("Authorization");
    if (!header.empty()) {
      if (!header.starts_with("Bearer ")) return std::nullopt;
      const auto account = tokens.verify(std::string_view(header).substr(7));
      if (!account) return std::nullopt;
      const auto stored = cluster.store().get({"serviceaccounts", account->space, account->name});
      if (!stored || meta(*stored, "uid") != account->uid) return std::nullopt;
      return User{
          "system:serviceaccount:" + account->space + ":" + account->name,
          {"system:serviceaccounts", "system:serviceaccounts:" + account->space, "system:authenticated"}};
    }
    if (request.ssl != nullptr) {
      if (auto user = certificate_user(request.ssl)) {
        user->groups.emplace_back("system:authenticated");
        return user;
      }
    }
    return User{};
  }

  void serve(const httplib::Request& source, httplib::Response& response, std::string body) {
    Request request;
    request.method = source.method;
    request.path = source.path;
    request.query = source.params;
    request.accept = source.get_header_value("Accept");
    request.content_type = source.get_header_value("Content-Type");
    request.user_agent = source.get_header_value("User-Agent");
    request.body = std::move(body);
    const auto user = authenticate(source);
    const bool open = request.path == "/version" || request.path.starts_with("/healthz") ||
                      request.path.starts_with("/livez") || request.path.starts_with("/readyz");
    if (!user || (user->name.empty() && !open)) {
      answer(response, json_response(401, unauthorized().status()), nullptr, nullptr);
      return;
    }
    request.user = *user;
    request.impersonate.name = source.get_header_value("Impersonate-User");
    const auto groups = source.headers.equal_range("Impersonate-Group");
    for (auto it = groups.first; it != groups.second; ++it) request.impersonate.groups.push_back(it->second);
    Response routed = router.handle(request);
    // httplib compresses a stream without flushing it: events would reach a client that accepts gzip only
    // when the watch ends. It decides by this header, after us.
    if (routed.stream) const_cast<httplib::Request&>(source).headers.erase("Accept-Encoding");
    answer(response, std::move(routed), source.ssl, &stopping);
  }

  static void answer(httplib::Response& response, Response from, const SSL* ssl,
                     const std::atomic<bool>* stopping) {
    response.status = from.code;
    for (const std::string& warning : from.warnings)
      response.set_header("Warning", "299 - " + in_quotes(warning));
    if (!from.stream) {
      response.set_content(from.body, from.content_type);
      return;
    }
    const int descriptor = SSL_get_fd(ssl);
    std::shared_ptr<Stream> stream = std::move(from.stream);
    response.set_chunked_content_provider(
        from.content_type, [stream, descriptor, stopping](std::size_t, httplib::DataSink& sink) {
          if (stopping->load() || !connected(descriptor)) return false;
          const auto chunk = stream->next();
          if (!chunk) {
            sink.done();
            return true;
          }
          return chunk->empty() || sink.write(chunk->data(), chunk->size());
        });
  }

  fs::path folder;
  FolderLock lock;
  Certificates certificates;
  Tokens tokens;
  Cluster cluster;
  Router router;
  httplib::SSLServer http;
  Listener<httplib::SSLServer> listener{http};
  int port = 0;
  std::atomic<bool> stopping = false;
};

Server::Server(const ServerOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Server::~Server() {
  stop();
}

int Server::port() const {
  return impl_->port;
}

void Server::run() {
  GarbageCollector collector(impl_->cluster);
  log::info("the embedded API serves", {{"url", "https://127.0.0.1:" + std::to_string(impl_->port)},
                                        {"kubeconfig", (impl_->folder / "kubeconfig").string()}});
  if (!impl_->listener.run())
    throw Error("the API server stopped listening", "127.0.0.1:" + std::to_string(impl_->port));
}

void Server::stop() {
  impl_->stopping = true;
  impl_->cluster.store().stop();
  impl_->listener.stop();
}

}  // namespace stepdown::local::api
