#include "engine/fetch/source.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongest = 1024;

struct Scheme {
  std::string_view text;
  std::string_view kind;
  bool plain;
};
constexpr std::array<Scheme, 4> kSchemes = {{
    {"oci://", "oci", false},
    {"oci+http://", "oci", true},
    {"s3://", "s3", false},
    {"hf://", "hf", false},
}};
constexpr std::array<std::string_view, 3> kOptions = {"endpoint", "region", "style"};

const Scheme* scheme_of(std::string_view text) {
  const auto* found =
      std::ranges::find_if(kSchemes, [&](const Scheme& scheme) { return text.starts_with(scheme.text); });
  return found == kSchemes.end() ? nullptr : found;
}

void read_options(std::string_view text, Source& source) {
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const std::string_view option = text.substr(0, end);
    const auto equals = option.find('=');
    const std::string name(option.substr(0, equals));
    if (equals == std::string_view::npos || std::ranges::find(kOptions, name) == kOptions.end() ||
        source.kind == "oci" || (source.kind == "hf" && name != "endpoint")) {
      throw InputError("no such option: " + std::string(option), source.text,
                       "s3 takes endpoint, region and style, hf takes endpoint, oci none");
    }
    source.options[name] = std::string(option.substr(equals + 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::string Source::option(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? "" : found->second;
}

bool is_remote(std::string_view text) {
  return scheme_of(text) != nullptr;
}

Source parse_source(std::string_view text) {
  const Scheme* scheme = scheme_of(text);
  if (scheme == nullptr) {
    throw InputError("not a source that can be fetched", std::string(text.substr(0, 200)),
                     "give oci://host/repository:tag, s3://bucket/prefix or hf://owner/name");
  }
  const bool plain_text = std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
  if (text.size() > kLongest || !plain_text) {
    throw InputError("a source has at most 1024 characters, without spaces",
                     std::string(text.substr(0, 200)));
  }
  Source source{.text = std::string(text), .kind = std::string(scheme->kind), .plain = scheme->plain};
  text.remove_prefix(scheme->text.size());
  const auto question = std::min(text.find('?'), text.size());
  source.path = std::string(text.substr(0, question));
  read_options(text.substr(std::min(question + 1, text.size())), source);
  while (source.path.ends_with('/')) source.path.pop_back();
  if (source.path.empty()) throw InputError("the source names nothing", source.text);
  return source;
}

}  // namespace stepdown::fetch
