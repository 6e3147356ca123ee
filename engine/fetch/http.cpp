#include "engine/fetch/http.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <httplib.h>

#include "engine/base/version.h"

namespace stepdown::fetch {
namespace {

constexpr int kMostRedirects = 5;
constexpr std::size_t kMostHeaders = 200;
constexpr std::size_t kKeptOfErrors = 64 << 10;
constexpr std::uint64_t kLeastProgress = 16 << 10;  // bytes in each period of `silence`

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::unique_ptr<httplib::ClientImpl> connect(const Url& url, const HttpSettings& settings) {
  std::unique_ptr<httplib::ClientImpl> client;
  if (url.tls) {
    auto tls = std::make_unique<httplib::SSLClient>(url.host, url.port);
    tls->enable_server_certificate_verification(true);
    if (!settings.ca_file.empty()) tls->set_ca_cert_path(settings.ca_file);
    client = std::move(tls);
  } else {
    client = std::make_unique<httplib::ClientImpl>(url.host, url.port);
  }
  client->set_connection_timeout(settings.connect_timeout);
  client->set_read_timeout(settings.silence);
  client->set_write_timeout(settings.silence);
  client->set_follow_location(false);
  client->set_decompress(false);  // digests are of what was stored
  client->set_url_encode(false);
  client->set_tcp_nodelay(true);
  return client;
}

/// Hangs up on a server that lets too little come: a trickle of headers keeps no read timeout waiting.
class Watchdog {
 public:
  Watchdog(httplib::ClientImpl& client, std::chrono::seconds period)
      : thread_([this, &client, period](const std::stop_token& stop) {
          std::uint64_t before = 0;
          std::unique_lock lock(mutex_);
          while (!woken_.wait_for(lock, stop, period, [] { return false; }) && !stop.stop_requested()) {
            const std::uint64_t now = bytes_;
            if (now - before < kLeastProgress) {
              fired_ = true;
              client.stop();
              return;
            }
            before = now;
          }
        }) {}
  void count(std::size_t bytes) { bytes_ += bytes; }
  bool fired() const { return fired_; }

 private:
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> fired_{false};
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::jthread thread_;  // last: joined before the rest goes
};

[[noreturn]] void fail(const httplib::ClientImpl& client, httplib::Error error, const Url& url,
                       const HttpSettings& settings) {
  if (error == httplib::Error::SSLServerVerification || error == httplib::Error::SSLLoadingCerts) {
    const auto* tls = dynamic_cast<const httplib::SSLClient*>(&client);
    const long verdict = tls != nullptr ? tls->get_openssl_verify_result() : X509_V_OK;
    if (error == httplib::Error::SSLLoadingCerts) {
      throw InputError("not a file of PEM certificates", settings.ca_file);
    }
    throw CertificateError(verdict == X509_V_OK ? "the server's certificate is not for this host"
                                                : std::string("the server's certificate is not trusted: ") +
                                                      X509_verify_cert_error_string(verdict),
                           url.origin(),
                           "give the authority that signed it: --ca-file, or ca.crt in the Secret");
  }
  throw NetworkError("no answer: " + httplib::to_string(error), url.origin(),
                     "check the address, DNS and that the server can be reached from here");
}

}  // namespace

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::optional<std::uint64_t> HttpAnswer::length() const {
  const std::string text = header("content-length");
  constexpr std::size_t kDigits = 18;
  if (text.empty() || text.size() > kDigits || text.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoull(text);
}

bool passes(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

Http::Http(HttpSettings settings) : settings_(std::move(settings)) {
  if (settings_.user_agent.empty()) settings_.user_agent = "stepdown/" + std::string(kVersion);
}

HttpAnswer Http::ask(const HttpRequest& request, std::size_t limit) const {
  return follow(request, limit, nullptr, nullptr);
}

HttpAnswer Http::stream(const HttpRequest& request, const std::function<bool(const HttpAnswer&)>& head,
                        const std::function<bool(std::string_view)>& sink) const {
  return follow(request, kKeptOfErrors, head, sink);
}

HttpAnswer Http::follow(HttpRequest request, std::size_t limit,
                        const std::function<bool(const HttpAnswer&)>& head,
                        const std::function<bool(std::string_view)>& sink) const {
  for (int hops = 0;; ++hops) {
    HttpAnswer answer = send(request, limit, head, sink);
    const bool moved = answer.status == 301 || answer.status == 302 || answer.status == 303 ||
                       answer.status == 307 || answer.status == 308;
    if (!moved || !request.follow || request.method != "GET") return answer;
    const auto next = resolve(request.url, answer.header("location"));
    if (!next) throw Error("a redirect to no http or https URL", request.url.origin());
    if (hops == kMostRedirects) throw Error("more than 5 redirects", request.url.origin());
    if (request.url.tls && !next->tls) {
      throw Error("a redirect from https to " + next->origin() + " is not followed", request.url.origin(),
                  "the server must redirect to https");
    }
    // Credentials are for the host they were given for; a store's signed URL refuses a second one, too.
    if (!next->same_origin(request.url)) request.headers.erase("Authorization");
    request.url = *next;
  }
}

HttpAnswer Http::send(const HttpRequest& request, std::size_t limit,
                      const std::function<bool(const HttpAnswer&)>& head,
                      const std::function<bool(std::string_view)>& sink) const {
  const auto client = connect(request.url, settings_);
  Watchdog watchdog(*client, settings_.silence);
  HttpAnswer answer{.url = request.url};
  bool refused = false, too_long = false, too_many = false, head_came = false;
  httplib::Request out;
  out.method = request.method;
  out.path = request.url.target;
  out.body = request.body;
  out.headers.emplace("Host", request.url.authority());
  out.headers.emplace("User-Agent", settings_.user_agent);
  out.headers.emplace("Accept-Encoding", "identity");
  if (!request.content_type.empty()) out.headers.emplace("Content-Type", request.content_type);
  for (const auto& [name, value] : request.headers) out.headers.emplace(name, value);
  const auto wanted = [&] { return head && (answer.status == 200 || answer.status == 206); };
  const auto take_head = [&](const httplib::Response& response) {
    head_came = true;
    answer.status = response.status;
    too_many = response.headers.size() > kMostHeaders;
    if (too_many) return false;
    for (const auto& [name, value] : response.headers) answer.headers.emplace(lower(name), value);
    return true;
  };
  out.response_handler = [&](const httplib::Response& response) {
    if (!take_head(response)) return false;
    refused = wanted() && !head(answer);
    return !refused;
  };
  out.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    watchdog.count(size);
    if (wanted()) {
      refused = !sink({data, size});
      return !refused;
    }
    const std::size_t room = limit - std::min(limit, answer.body.size());
    answer.body.append(data, std::min(size, room));
    too_long = size > room;
    return !too_long;
  };
  const httplib::Result result = client->send(out);
  if (result && !head_came) take_head(*result);  // httplib calls no handler for HEAD
  if ((result || refused) && !too_many) return answer;
  if (too_many) throw Error("an answer with more than 200 headers", request.url.origin());
  if (too_long && (head || answer.status >= 400)) return answer;  // of an error the beginning says enough
  if (too_long)
    throw Error("an answer of more than " + std::to_string(limit) + " bytes", request.url.origin());
  if (watchdog.fired()) {
    throw NetworkError("next to nothing came for " + std::to_string(settings_.silence.count()) + " s",
                       request.url.origin(), "check the network between here and the server");
  }
  if (head_came) throw NetworkError("the answer broke off", request.url.origin());
  fail(*client, result.error(), request.url, settings_);
}

}  // namespace stepdown::fetch
