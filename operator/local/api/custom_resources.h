#pragma once

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// Fills in names, conversion and status (NamesAccepted, Established) of a CustomResourceDefinition.
void complete_definition(Json& crd, const Json* old);

/// What a CRD must hold beyond its own schema: structural schemas, CEL rules that compile, names that fit. A
/// CRD that uses what this server lacks is refused here.
std::vector<Cause> check_definition(const Json& crd, const Json& builtin_schemas);

/// One resource a served version. Call it with checked definitions alone.
std::vector<std::shared_ptr<const Resource>> resources_of(const Json& crd,
                                                          const std::shared_ptr<const Json>& builtin_schemas);

/// The schema as OpenAPI publishes it: with apiVersion, kind and metadata.
Json published_schema(const Json& version, const std::string& group, const std::string& version_name,
                      const std::string& kind);

}  // namespace stepdown::local::api
