#include "operator/local/api/tokens.h"

#include <ctime>

#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace stepdown::local::api {
namespace {

using Json = nlohmann::json;

std::string base64url(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  while (out.ends_with('=')) out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

std::string unbase64url(std::string_view text) {
  std::string padded(text);
  for (char& c : padded) c = c == '-' ? '+' : c == '_' ? '/' : c;
  std::size_t padding = 0;
  for (; padded.size() % 4 != 0; ++padding) padded += '=';
  std::string out(padded.size(), '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(padded.data()), static_cast<int>(padded.size()));
  if (size < 0 || static_cast<std::size_t>(size) < padding) return {};
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string hmac(const std::string& key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return {reinterpret_cast<const char*>(digest), size};
}

}  // namespace

std::string Tokens::mint(const Account& account, long long lifetime_seconds) const {
  const long long now = std::time(nullptr);
  const Json claims = {
      {"iss", "https://kubernetes.default.svc"},
      {"sub", "system:serviceaccount:" + account.space + ":" + account.name},
      {"aud", Json::array({"https://kubernetes.default.svc"})},
      {"iat", now},
      {"nbf", now},
      {"exp", now + lifetime_seconds},
      {"kubernetes.io",
       {{"namespace", account.space}, {"serviceaccount", {{"name", account.name}, {"uid", account.uid}}}}}};
  const std::string body = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims.dump());
  return body + "." + base64url(hmac(key_, body));
}

std::optional<Tokens::Account> Tokens::verify(std::string_view token) const {
  const std::size_t last = token.rfind('.');
  if (last == std::string_view::npos) return std::nullopt;
  const std::string_view body = token.substr(0, last);
  const std::string wanted = base64url(hmac(key_, body));
  const std::string_view given = token.substr(last + 1);
  if (given.size() != wanted.size() || CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) != 0)
    return std::nullopt;
  const std::size_t dot = body.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const Json claims = Json::parse(unbase64url(body.substr(dot + 1)), nullptr, false);
  if (!claims.is_object() || !claims.contains("exp") || claims["exp"].get<long long>() < std::time(nullptr))
    return std::nullopt;
  const Json& own = claims.at("kubernetes.io");
  return Account{own.at("namespace"), own.at("serviceaccount").at("name"),
                 own.at("serviceaccount").at("uid")};
}

}  // namespace stepdown::local::api
