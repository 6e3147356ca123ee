#pragma once

#include <span>
#include <string>

namespace stepdown::schema {

/// A regex of every text but these.
std::string regex_without(std::span<const std::string> texts);

}  // namespace stepdown::schema
