#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"

/// Which objects are a model's own: labels alone prove nothing, anybody may write them.
namespace stepdown::controller {

/// By controller reference; what a model leaves behind on purpose, its QuantRevisions and its claim, by
/// label.
bool belongs_to(std::string_view kind, const nlohmann::json& object, const kube::ObjectKey& model,
                const std::string& uid);

/// For a child that cannot be made since another's object has its name: what it is, and the way out.
std::string taken_message(std::string_view kind, const nlohmann::json& object);

/// `managed_fields` once what the manager wrote by creating the object is its own as if it had applied it, so
/// that a field which its next apply leaves out goes; nullopt where that is so already.
std::optional<nlohmann::json> owned_by_apply(const nlohmann::json& managed_fields, std::string_view manager);

}  // namespace stepdown::controller
