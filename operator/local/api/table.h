#pragma once

#include <string>

#include "operator/local/api/resource.h"

namespace stepdown::local::api {

/// How a client wants objects shown, from its Accept header and query.
struct View {
  enum class As { kObject, kTable, kPartial, kPartialList } as = As::kObject;
  std::string version = "v1";               ///< of meta.k8s.io
  std::string include_object = "Metadata";  ///< None, Metadata, Object: what a row carries
};

/// Throws ApiError 406 when nothing acceptable is asked for.
View view_of(const std::string& accept, const std::string& include_object);

/// A metav1.Table of `objects`; columns with it only when `with_columns` (later events of a watch omit them).
Json table(const Resource& resource, const std::vector<Json>& objects, const Json& list_metadata,
           const View& view, bool with_columns);
Json partial_metadata(const Json& object, const View& view);

/// The cells of a built-in kind, in the order of its recorded columns.
Json builtin_cells(const Resource& resource, const Json& object);

}  // namespace stepdown::local::api
