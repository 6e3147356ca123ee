#include "engine/fetch/sources/signature_v4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/fetch/url.h"

namespace stepdown::fetch {
namespace {

std::string hmac(const std::string& key, const std::string& text) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(out.data()), &length) == nullptr) {
    throw Error("HMAC-SHA256 is unavailable", "OpenSSL");
  }
  out.resize(length);
  return out;
}

std::string hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4U];
    out += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

}  // namespace

std::string canonical_query(const std::map<std::string, std::string>& query) {
  std::string out;
  for (const auto& [name, value] : query) {
    out += (out.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
  }
  return out;
}

std::map<std::string, std::string> sign(const SignedParts& parts, const AwsKeys& keys) {
  const std::string empty_body = sha256_hex("");
  std::map<std::string, std::string> headers = parts.headers;
  headers["host"] = parts.host;
  headers["x-amz-content-sha256"] = empty_body;
  headers["x-amz-date"] = parts.time;
  if (!keys.session_token.empty()) headers["x-amz-security-token"] = keys.session_token;
  std::string canonical_headers, names;
  for (const auto& [name, value] : headers) {
    canonical_headers += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string request = parts.method + "\n" + parts.path + "\n" + canonical_query(parts.query) + "\n" +
                              canonical_headers + "\n" + names + "\n" + empty_body;
  const std::string day = parts.time.substr(0, 8);
  const std::string scope = day + "/" + parts.region + "/" + parts.service + "/aws4_request";
  const std::string text = "AWS4-HMAC-SHA256\n" + parts.time + "\n" + scope + "\n" + sha256_hex(request);
  const std::string key =
      hmac(hmac(hmac(hmac("AWS4" + keys.secret_key, day), parts.region), parts.service), "aws4_request");
  headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=" + keys.access_key + "/" + scope +
                             ", SignedHeaders=" + names + ", Signature=" + hex(hmac(key, text));
  headers.erase("host");
  return headers;
}

}  // namespace stepdown::fetch
