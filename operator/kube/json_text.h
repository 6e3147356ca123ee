#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

/// JSON as an API server sends it, looked through before it is parsed: what nobody reads costs no tree.
/// Whether the text is valid the parser tells.
namespace stepdown::kube {

/// Past the end of the value that begins at `at`; npos when it does not end.
std::size_t value_end(std::string_view text, std::size_t at);

/// metadata.managedFields, some third of an object's text, made empty.
std::string without_managed_fields(std::string_view text);

/// A list in two parts; both empty when the text is no whole object.
struct ListText {
  std::string rest;        ///< the list without its items
  std::string_view items;  ///< the array; empty where there is none
};
ListText split_list(std::string_view text);
/// False when the array is cut short.
bool for_each_element(std::string_view array, const std::function<void(std::string_view)>& element);

}  // namespace stepdown::kube
