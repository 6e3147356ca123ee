#include "engine/fetch/sources/s3_listing.h"

#include <array>
#include <optional>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

/// The text between <name> and </name>, the first in `xml`; S3's documents nest no element in one of its
/// name.
std::optional<std::string_view> element(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  const auto from = xml.find(open);
  if (from == std::string_view::npos) return std::nullopt;
  const auto to = xml.find(close, from + open.size());
  if (to == std::string_view::npos) return std::nullopt;
  return xml.substr(from + open.size(), to - from - open.size());
}

std::string unescape(std::string_view text) {
  struct Entity {
    std::string_view name;
    char value;
  };
  constexpr std::array<Entity, 6> kEntities = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#34;", '"'}}};
  std::string out;
  while (!text.empty()) {
    bool found = false;
    for (const Entity& entity : kEntities) {
      if (!text.starts_with(entity.name)) continue;
      out += entity.value;
      text.remove_prefix(entity.name.size());
      found = true;
      break;
    }
    if (found) continue;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// As encoding-type=url writes keys: %XX, and '+' for a space.
std::string decode_key(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool coded =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (coded) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::uint64_t read_size(std::string_view text, const std::string& where) {
  constexpr std::size_t kDigits = 18;
  if (text.empty() || text.size() > kDigits ||
      text.find_first_not_of("0123456789") != std::string_view::npos) {
    throw InputError("an object without a size in the listing", where);
  }
  return std::stoull(std::string(text));
}

}  // namespace

S3Page read_s3_listing(std::string_view xml, const std::string& where) {
  if (xml.find("<ListBucketResult") == std::string_view::npos) {
    throw InputError("the answer is no listing of a bucket", where, "check that the endpoint speaks S3");
  }
  // A server that does not know encoding-type does not tell of it, and gives keys as they are.
  const bool encoded = element(xml, "EncodingType") == "url";
  S3Page page;
  std::string_view rest = xml;
  constexpr std::string_view kEnd = "</Contents>";
  while (const auto contents = element(rest, "Contents")) {
    const auto key = element(*contents, "Key");
    if (!key) throw InputError("an object without a key in the listing", where);
    std::string name = unescape(*key);
    if (encoded) name = decode_key(name);
    std::string etag = unescape(element(*contents, "ETag").value_or(""));
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
    page.objects.push_back(
        {std::move(name), read_size(element(*contents, "Size").value_or(""), where), etag});
    rest = rest.substr(rest.find(kEnd) + kEnd.size());
  }
  if (element(xml, "IsTruncated") == "true") {
    page.next = unescape(element(xml, "NextContinuationToken").value_or(""));
    if (page.next.empty()) throw InputError("a listing that goes on without saying where", where);
  }
  return page;
}

std::string read_s3_error(std::string_view xml) {
  constexpr std::size_t kLongest = 300;
  const auto error = element(xml, "Error");
  if (!error) return "";
  const std::string code = unescape(element(*error, "Code").value_or(""));
  const std::string message = unescape(element(*error, "Message").value_or(""));
  return (code + (message.empty() ? "" : ": " + message)).substr(0, kLongest);
}

}  // namespace stepdown::fetch
