#include "operator/local/api/table.h"

#include <ctime>

#include "operator/local/api/clock.h"
#include "operator/local/api/json_path.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

constexpr const char* kNameHelp =
    "Name must be unique within a namespace. Is required when creating resources.";

/// Non-empty parameter of one media range, e.g. "as" in "application/json;as=Table;v=v1".
std::string parameter(std::string_view range, std::string_view name) {
  while (true) {
    const std::size_t mark = range.find(';');
    if (mark == std::string_view::npos) return {};
    range.remove_prefix(mark + 1);
    while (range.starts_with(' ')) range.remove_prefix(1);
    const std::string_view part = range.substr(0, range.find(';'));
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
      return std::string(part.substr(name.size() + 1));
  }
}

Json custom_cell(const Column& column, const Json& object) {
  if (column.path.empty()) return meta(object, "name");
  const auto found = JsonPath(column.path).find(object);
  if (found.empty() || found.front()->is_null()) return nullptr;
  const Json& value = *found.front();
  if (column.type == "date") {
    const long long at = value.is_string() ? parse_rfc3339(value.get<std::string>()) : 0;
    return at == 0 ? Json("<invalid>") : Json(human_duration(std::time(nullptr) - at));
  }
  if (column.type == "integer" || column.type == "number" || column.type == "boolean") {
    const bool fits = column.type == "boolean" ? value.is_boolean() : value.is_number();
    return fits ? value : Json();
  }
  if (value.is_string()) return value;
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json cells(const Resource& resource, const Json& object) {
  if (!resource.custom) return builtin_cells(resource, object);
  Json row = Json::array();
  for (const Column& column : resource.columns) row.push_back(custom_cell(column, object));
  return row;
}

}  // namespace

View view_of(const std::string& accept, const std::string& include_object) {
  View view;
  if (!include_object.empty()) view.include_object = include_object;
  std::string_view rest = accept;
  bool json = accept.empty();
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view range = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    while (range.starts_with(' ')) range.remove_prefix(1);
    const std::string_view media = range.substr(0, range.find(';'));
    if (media == "*/*" || media == "application/*") json = true;
    if (media != "application/json") continue;
    const std::string as = parameter(range, "as");
    if (const std::string version = parameter(range, "v"); !version.empty()) view.version = version;
    if (as == "Table") view.as = View::As::kTable;
    if (as == "PartialObjectMetadata") view.as = View::As::kPartial;
    if (as == "PartialObjectMetadataList") view.as = View::As::kPartialList;
    return view;
  }
  if (!json) {
    throw ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json",
                   Json::object());
  }
  return view;
}

Json partial_metadata(const Json& object, const View& view) {
  return {{"kind", "PartialObjectMetadata"},
          {"apiVersion", "meta.k8s.io/" + view.version},
          {"metadata", object.at("metadata")}};
}

Json table(const Resource& resource, const std::vector<Json>& objects, const Json& list_metadata,
           const View& view, bool with_columns) {
  Json columns = Json::array();
  if (with_columns) {
    for (const Column& column : resource.columns) {
      columns.push_back({{"name", column.name},
                         {"type", column.type},
                         {"format", column.format},
                         {"description", column.name == "Name" ? kNameHelp : column.description},
                         {"priority", column.priority}});
    }
  }
  Json rows = Json::array();
  for (const Json& object : objects) {
    Json row = {{"cells", cells(resource, object)}};
    if (view.include_object == "Object") row["object"] = object;
    if (view.include_object == "Metadata") row["object"] = partial_metadata(object, view);
    if (view.include_object == "None") row["object"] = nullptr;
    rows.push_back(std::move(row));
  }
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/" + view.version},
          {"metadata", list_metadata},
          {"columnDefinitions", std::move(columns)},
          {"rows", std::move(rows)}};
}

}  // namespace stepdown::local::api
