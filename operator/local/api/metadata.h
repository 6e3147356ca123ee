#pragma once

#include <initializer_list>

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// The text of metadata.`key`; empty when it is absent.
std::string meta(const Json& object, const char* key);
std::string spec_text(const Json& object, const char* key);
/// The value at `path`; null when any step is absent.
const Json& at(const Json& object, std::initializer_list<const char*> path);
/// The string itself; empty for any other value.
std::string text_of(const Json& value);
/// metadata.finalizers and the like, as texts.
std::vector<std::string> meta_list(const Json& object, const char* key);
bool is_deleting(const Json& object);
std::int64_t generation_of(const Json& object);

/// 400 unless `object` is an object whose metadata has the shape of ObjectMeta.
void require_shape(const Json& object, const Schema& object_meta);
/// What the API server checks of every object's metadata. `old`: null on creation.
std::vector<Cause> check_metadata(const Json& object, const Json* old, const Resource& resource);

}  // namespace stepdown::local::api
