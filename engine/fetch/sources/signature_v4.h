#pragma once

#include <map>
#include <string>
#include <string_view>

namespace stepdown::fetch {

struct AwsKeys {
  std::string access_key;
  std::string secret_key;
  std::string session_token;

  bool empty() const { return access_key.empty() || secret_key.empty(); }
};

/// What is signed of a request without a body.
struct SignedParts {
  std::string method = "GET";
  std::string host;                                 ///< as the Host header says it
  std::string path;                                 ///< encoded once, as it goes on the wire
  std::map<std::string, std::string> query;         ///< not encoded
  std::map<std::string, std::string> headers = {};  ///< further ones, in lower case, that are signed too
  std::string region;
  std::string service = "s3";
  std::string time;  ///< "20130524T000000Z"
};

/// "a=b&c=d" in the order and encoding that the signature is made over.
std::string canonical_query(const std::map<std::string, std::string>& query);

/// AWS Signature Version 4: the headers to add to the request, Authorization among them.
std::map<std::string, std::string> sign(const SignedParts& parts, const AwsKeys& keys);

}  // namespace stepdown::fetch
