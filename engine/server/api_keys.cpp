#include "engine/server/api_keys.h"

#include <sstream>

#include <openssl/crypto.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::server {

std::vector<std::string> read_api_keys(const std::filesystem::path& file) {
  std::vector<std::string> keys;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty() && line.front() != '#') keys.push_back(line);
  }
  if (keys.empty()) throw InputError("holds no key", file.string(), "write one key a line");
  return keys;
}

bool is_authorized(std::string_view header, const std::vector<std::string>& keys) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!header.starts_with(kScheme)) return false;
  header.remove_prefix(kScheme.size());
  bool known = false;
  for (const std::string& key : keys)
    known |= key.size() == header.size() && CRYPTO_memcmp(key.data(), header.data(), key.size()) == 0;
  return known;
}

}  // namespace stepdown::server
