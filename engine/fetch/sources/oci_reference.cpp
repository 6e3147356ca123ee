#include "engine/fetch/sources/oci_reference.h"

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"
#include "engine/base/hash.h"

namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongestTag = 128;
constexpr std::size_t kMostParameters = 16;

bool is_repository(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
  constexpr std::size_t kLongest = 255;
  return !text.empty() && text.size() <= kLongest &&
         text.find_first_not_of(kAllowed) == std::string_view::npos &&
         text.find("//") == std::string_view::npos && text.find("..") == std::string_view::npos &&
         std::isalnum(static_cast<unsigned char>(text.front())) != 0 && text.back() != '/';
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kLongestTag && text.front() != '.' && text.front() != '-' &&
         std::ranges::all_of(text, [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
         });
}

void skip_blanks(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with(',') || text.starts_with('\t')) text.remove_prefix(1);
}

}  // namespace

OciReference parse_oci_reference(std::string_view text) {
  const std::string whole(text);
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0) {
    throw InputError("not a registry and a repository", whole, "such as oci://ghcr.io/org/model:v1");
  }
  OciReference out{.host = std::string(text.substr(0, slash))};
  text.remove_prefix(slash + 1);
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    out.digest = std::string(text.substr(at + 1));
    if (!is_sha256_digest(out.digest)) throw InputError("not a sha256: digest: " + out.digest, whole);
    text = text.substr(0, at);
  }
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    out.tag = std::string(text.substr(colon + 1));
    if (!is_tag(out.tag)) throw InputError("not a tag: " + out.tag, whole);
    text = text.substr(0, colon);
  }
  if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
  out.repository = std::string(text);
  if (!is_repository(out.repository)) {
    throw InputError("not a repository: " + out.repository, whole,
                     "lower-case letters, digits and . _ - / alone");
  }
  if (out.host == "docker.io" || out.host == "index.docker.io") {
    out.host = "registry-1.docker.io";
    if (out.repository.find('/') == std::string::npos) out.repository = "library/" + out.repository;
  }
  return out;
}

Challenge parse_challenge(std::string_view header) {
  Challenge out;
  skip_blanks(header);
  const auto end = std::min(header.find(' '), header.size());
  for (const char c : header.substr(0, end)) {
    out.scheme += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  header.remove_prefix(end);
  while (out.parameters.size() < kMostParameters) {
    skip_blanks(header);
    const auto equals = header.find('=');
    if (equals == std::string_view::npos || equals == 0) return out;
    std::string name(header.substr(0, equals)), value;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    header.remove_prefix(equals + 1);
    if (header.starts_with('"')) {
      header.remove_prefix(1);
      while (!header.empty() && header.front() != '"') {
        if (header.front() == '\\' && header.size() > 1) header.remove_prefix(1);
        value += header.front();
        header.remove_prefix(1);
      }
      if (!header.empty()) header.remove_prefix(1);
    } else {
      const auto stop = std::min(header.find_first_of(", "), header.size());
      value = std::string(header.substr(0, stop));
      header.remove_prefix(stop);
    }
    out.parameters.emplace(std::move(name), std::move(value));
  }
  return out;
}

}  // namespace stepdown::fetch
