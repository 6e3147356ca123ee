#include "engine/fetch/check_source.h"

#include <array>

#include "engine/fetch/source.h"
#include "engine/fetch/sources/hub_tree.h"
#include "engine/fetch/sources/oci_reference.h"
#include "engine/fetch/sources/s3_name.h"

namespace stepdown::fetch {
namespace {

struct Kind {
  std::string_view name;
  void (*check)(const Source&);
};
constexpr std::array<Kind, 3> kKinds = {{
    {"oci", [](const Source& source) { parse_oci_reference(source.path); }},
    {"s3", [](const Source& source) { parse_s3_name(source.path, source.text); }},
    {"hf", [](const Source& source) { parse_hub_name(source.path, source.text); }},
}};

}  // namespace

void check_source(std::string_view text) {
  const Source source = parse_source(text);
  for (const Kind& kind : kKinds) {
    if (kind.name == source.kind) kind.check(source);
  }
}

}  // namespace stepdown::fetch
