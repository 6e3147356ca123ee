#include "operator/local/api/builtins.h"

#include <algorithm>
#include <set>

#include "operator/local/api/admission.h"

// The recorded tables travel inside the program. STEPDOWN_BUILTINS is their folder at build time.
asm(".section .rodata\n"
    ".global stepdown_builtins_begin, stepdown_builtins_end, stepdown_messages_begin, stepdown_messages_end\n"
    ".global stepdown_descriptions_begin, stepdown_descriptions_end\n"
    "stepdown_builtins_begin:\n"
    ".incbin \"" STEPDOWN_BUILTINS
    "/builtins.json\"\n"
    "stepdown_builtins_end:\n"
    "stepdown_messages_begin:\n"
    ".incbin \"" STEPDOWN_BUILTINS
    "/messages.json\"\n"
    "stepdown_messages_end:\n"
    "stepdown_descriptions_begin:\n"
    ".incbin \"" STEPDOWN_BUILTINS
    "/descriptions.json\"\n"
    "stepdown_descriptions_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char stepdown_builtins_begin[];
extern const char stepdown_builtins_end[];
extern const char stepdown_messages_begin[];
extern const char stepdown_messages_end[];
extern const char stepdown_descriptions_begin[];
extern const char stepdown_descriptions_end[];
}

namespace stepdown::local::api {
namespace {

// Subresources that a server without kubelets behind it can answer; the others are 404, as for any unknown
// path.
const std::set<std::string, std::less<>> kServedSubresources = {"status", "scale",    "log",     "binding",
                                                                "token",  "finalize", "eviction"};

std::shared_ptr<const Resource> row(const Json& source, SchemaSet& schemas,
                                    const std::shared_ptr<SchemaSet>& owner) {
  auto resource = std::make_shared<Resource>();
  resource->group = source.at("group");
  resource->version = source.at("version");
  resource->kind = source.at("kind");
  resource->plural = source.at("plural");
  resource->singular = source.at("singular");
  resource->list_kind = resource->kind + "List";
  resource->namespaced = source.at("namespaced");
  resource->short_names = source.value("shortNames", std::vector<std::string>());
  resource->categories = source.value("categories", std::vector<std::string>());
  resource->verbs = source.at("verbs").get<std::vector<std::string>>();
  for (const Json& name : source.at("subresources")) {
    if (kServedSubresources.contains(name.get<std::string>()))
      resource->subresources.insert(name.get<std::string>());
  }
  for (const Json& column : source.at("columns")) {
    resource->columns.push_back({column[0], column[1], column[2], column[3], {}, {}});
  }
  resource->schema_name = source.at("schema");
  resource->schema = schemas.named(resource->schema_name);
  resource->schemas = owner;
  const bool event = resource->plural == "events";  // one store, two shapes
  resource->storage =
      resource->group.empty() || event ? resource->plural : resource->plural + "." + resource->group;
  resource->storage_version = event ? "v1" : resource->api_version();
  return resource;
}

}  // namespace

std::string_view recorded_messages() {
  return {stepdown_messages_begin, static_cast<std::size_t>(stepdown_messages_end - stepdown_messages_begin)};
}

Json recorded_descriptions() {
  return Json::parse(stepdown_descriptions_begin, stepdown_descriptions_end);
}

Builtins load_builtins() {
  Json table = Json::parse(stepdown_builtins_begin, stepdown_builtins_end);
  Builtins builtins;
  builtins.schemas = std::move(table.at("schemas"));
  add_static_defaults(builtins.schemas);
  builtins.compiled = std::make_shared<SchemaSet>(builtins.schemas);
  for (const Json& source : table.at("resources")) {
    builtins.resources.push_back(row(source, *builtins.compiled, builtins.compiled));
  }
  builtins.object_meta = builtins.compiled->named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  return builtins;
}

}  // namespace stepdown::local::api
