#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/fetch/credentials.h"
#include "engine/fetch/source.h"
#include "engine/fetch/sources/hub_tree.h"
#include "engine/fetch/sources/oci_manifest.h"
#include "engine/fetch/sources/oci_reference.h"
#include "engine/fetch/sources/s3_listing.h"
#include "engine/fetch/url.h"

namespace {

template <class Work>
void guarded(Work work) {
  try {
    work();
  } catch (const stepdown::InputError&) {
    return;
  }
}

}  // namespace

/// Everything that registries, stores and hubs answer. What passes the check leads nowhere but below the
/// result.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::fetch;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto check = [](std::vector<RemoteFile> files) {
    check_listing({.files = files}, "fuzz");
    for (const RemoteFile& file : files) {
      if (file.packing == Packing::kPlain && !is_safe_path(file.path)) __builtin_trap();
    }
  };
  guarded([&] { check(read_layers(text, "fuzz")); });
  guarded([&] { choose_manifest(text, "amd64", "fuzz"); });
  guarded([&] { check(needed_of(read_hub_tree(text, "fuzz"), "fuzz")); });
  guarded([&] { read_s3_listing(text, "fuzz"); });
  guarded([&] { parse_oci_reference(text); });
  guarded([&] { parse_hub_name(text, "fuzz"); });
  guarded([&] { parse_source(text); });
  guarded([&] { login_in_docker_config(text, "ghcr.io", "org/model"); });
  read_s3_error(text);
  parse_challenge(text);
  next_link(text);
  if (const auto url = parse_url(text); url && parse_url(url->text()) != url) __builtin_trap();
  return 0;
}
