#pragma once

#include <string>

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// Who writes, and through which door.
struct Writer {
  std::string manager;
  std::string subresource;  ///< "status" or empty
  std::string time;         ///< RFC 3339, seconds
};

/// Sets metadata.managedFields of `object` after an update or creation by `writer` (server-side apply's view
/// of all other writes). `live` is the state before it: for a creation an empty object.
void record_update(const Json& live, Json& object, const Resource& resource, const Writer& writer);

/// Server-side apply: merges `config` into `live` (an empty object: it is created), takes away what the
/// writer applied before and no one else owns, and records ownership. Throws ApiError 409 on a conflict
/// unless `force`.
Json apply_config(const Json& live, const Json& config, const Resource& resource, const Writer& writer,
                  bool force);

/// Equal but for the times in managedFields: such a write changes nothing.
bool same_but_times(const Json& left, const Json& right);

}  // namespace stepdown::local::api
