#include <mutex>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "engine/base/hash.h"
#include "engine/fetch/remote.h"
#include "engine/fetch/sources/oci_manifest.h"
#include "engine/fetch/sources/oci_reference.h"

/// OCI registries: the distribution specification 1.1 and Docker's token authentication.
namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongestManifest = 4 << 20;  // the specification's own limit
constexpr std::size_t kLongestToken = 1 << 20;
#if defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "amd64";
#endif

std::string basic(const std::string& username, const std::string& password) {
  const std::string both = username + ":" + password;
  std::string out((both.size() + 2) / 3 * 4 + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(both.data()), static_cast<int>(both.size()));
  out.resize(static_cast<std::size_t>(length));
  return "Basic " + out;
}

class OciRegistry final : public Remote {
 public:
  OciRegistry(const Source& source, const Tools& tools)
      : source_(source),
        tools_(tools),
        name_(parse_oci_reference(source.path)),
        root_(url_of((source.plain ? "http://" : "https://") + name_.host, source.text)),
        login_(registry_login(tools.credentials, name_.host, name_.repository)) {}

  Listing list(const std::string& revision) override {
    std::string reference = name_.reference();
    if (!revision.empty()) reference = revision;
    std::string manifest = get_manifest(reference);
    std::string digest = "sha256:" + sha256_hex(manifest);
    // Of indexes within indexes, as signing tools make them, few are to be expected.
    for (int depth = 0; const auto inner = choose_manifest(manifest, kArchitecture, source_.text); ++depth) {
      if (depth == 3) throw InputError("indexes within indexes", source_.text);
      digest = *inner;
      manifest = get_manifest(digest);
    }
    return {.resolved = (source_.plain ? "oci+http://" : "oci://") + name_.host + "/" + name_.repository +
                        "@" + digest,
            .revision = digest,
            .files = read_layers(manifest, source_.text)};
  }

  HttpRequest request(const RemoteFile& file) override {
    return with_authorization("/blobs/" + file.location);
  }

  bool renew(const HttpAnswer& refused) override {
    const Challenge challenge = parse_challenge(refused.header("www-authenticate"));
    const std::lock_guard lock(mutex_);
    if (challenge.scheme == "basic") {
      const std::string own = login_.username.empty() ? "" : basic(login_.username, login_.password);
      if (own.empty() || authorization_ == own) return false;
      authorization_ = own;
      return true;
    }
    if (challenge.scheme != "bearer") return false;
    const std::string token = ask_for_token(challenge);
    if (token.empty() || authorization_ == "Bearer " + token) return false;
    authorization_ = "Bearer " + token;
    return true;
  }

  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& what) const override {
    const std::string host = name_.host;
    if (answer.status == 401 || answer.status == 403) {
      if (login_.empty()) {
        throw InputError(
            host + " wants a login for " + what + " (HTTP " + std::to_string(answer.status) + ")",
            source_.text, "name a Secret of type kubernetes.io/dockerconfigjson in secretRef");
      }
      throw InputError(
          host + " refuses the login given for " + what + " (HTTP " + std::to_string(answer.status) + ")",
          source_.text, "check the user name, the password and its right to pull");
    }
    if (answer.status == 404) {
      throw InputError(host + " has no " + what, source_.text, "check repository and tag");
    }
    throw Error(host + " answers HTTP " + std::to_string(answer.status) + " for " + what, source_.text);
  }

 private:
  HttpRequest with_authorization(const std::string& target) {
    HttpRequest out{.url = root_};
    out.url.target = "/v2/" + name_.repository + target;
    const std::lock_guard lock(mutex_);
    if (!authorization_.empty()) out.headers["Authorization"] = authorization_;
    return out;
  }

  std::string get_manifest(const std::string& reference) {
    const auto ask = [&] {
      return ask_patiently(
          tools_.http, tools_.retries,
          [&] {
            HttpRequest request = with_authorization("/manifests/" + reference);
            request.headers["Accept"] = kManifestTypes;
            return request;
          },
          kLongestManifest);
    };
    HttpAnswer answer = ask();
    if (answer.status == 401 && renew(answer)) answer = ask();
    if (answer.status != 200) refuse(answer, "manifest " + reference);
    const std::string digest = "sha256:" + sha256_hex(answer.body);
    const std::string promised =
        is_sha256_digest(reference) ? reference : answer.header("docker-content-digest");
    if (is_sha256_digest(promised) && promised != digest) {
      throw InputError("the manifest has digest " + digest + ", not " + promised, source_.text,
                       "the registry, or something before it, changes what it stores");
    }
    return answer.body;
  }

  /// Empty: refused. The realm gets the login, so it must be as private as the registry itself.
  std::string ask_for_token(const Challenge& challenge) const {
    const auto parameter = [&](const char* name) {
      const auto found = challenge.parameters.find(name);
      return found == challenge.parameters.end() ? std::string() : found->second;
    };
    const auto realm = parse_url(parameter("realm"));
    if (!realm || (!realm->tls && !source_.plain)) {
      throw InputError("the registry names no https realm for tokens", source_.text);
    }
    const std::string scope =
        parameter("scope").empty() ? "repository:" + name_.repository + ":pull" : parameter("scope");
    HttpRequest request{.url = *realm};
    if (!login_.identity_token.empty()) {
      request.method = "POST";
      request.content_type = "application/x-www-form-urlencoded";
      request.body =
          "grant_type=refresh_token&client_id=stepdown&service=" + percent_encode(parameter("service")) +
          "&scope=" + percent_encode(scope) + "&refresh_token=" + percent_encode(login_.identity_token);
    } else {
      request.url.target += request.url.target.find('?') == std::string::npos ? "?" : "&";
      request.url.target +=
          "service=" + percent_encode(parameter("service")) + "&scope=" + percent_encode(scope);
      if (!login_.username.empty()) {
        request.headers["Authorization"] = basic(login_.username, login_.password);
      }
    }
    const HttpAnswer answer = ask_patiently(
        tools_.http, tools_.retries, [&] { return request; }, kLongestToken);
    if (answer.status != 200) return "";
    const auto body = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
    for (const char* name : {"token", "access_token"}) {
      if (!body.is_object()) break;
      const auto found = body.find(name);
      if (found == body.end() || !found->is_string()) continue;
      std::string token = found->get<std::string>();
      if (token.find_first_of("\r\n") == std::string::npos) return token;
    }
    return "";
  }

  const Source source_;
  const Tools tools_;
  const OciReference name_;
  const Url root_;
  const RegistryLogin login_;
  std::mutex mutex_;
  std::string authorization_;
};

}  // namespace

std::unique_ptr<Remote> open_oci(const Source& source, const Tools& tools) {
  return std::make_unique<OciRegistry>(source, tools);
}

}  // namespace stepdown::fetch
