#pragma once

#include "operator/local/api/cluster.h"
#include "operator/local/api/request.h"

namespace stepdown::local::api {

/// Role-based access control over the stored Roles and bindings. Members of system:masters may do anything.
/// Both throw ApiError 401 or 403.
void authorize(Cluster& cluster, const User& user, const Target& target);
/// Paths that are no resources: discovery and OpenAPI are open to every authenticated user.
void authorize_path(Cluster& cluster, const Request& request);
/// Whose rights count for the request: those of whom it impersonates (kubectl --as), if the user may.
User effective_user(Cluster& cluster, const Request& request);
/// Answers a SelfSubjectReview ("kubectl auth whoami") and a SelfSubjectRulesReview ("can-i --list").
Json review_self(const Request& request);
Json review_rules(Cluster& cluster, const Request& request);
/// Answers a SelfSubjectAccessReview ("kubectl auth can-i").
Json review_access(Cluster& cluster, const Request& request);

}  // namespace stepdown::local::api
