#include "operator/kube/base64.h"
#include "operator/local/api/conversion.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/reader.h"
#include "operator/local/api/selector.h"

namespace stepdown::local::api {
namespace {

/// The token of limit/continue: the snapshot and the last key told.
void read_token(const std::string& token, ListQuery& query) {
  const Json parsed = Json::parse(kube::base64_decode(token).value_or(""), nullptr, false);
  const bool valid = parsed.is_object() && parsed.value("rv", Json()).is_number_integer() &&
                     parsed.value("space", Json()).is_string() && parsed.value("name", Json()).is_string();
  if (!valid) throw bad_request("continue key is not valid");
  query.revision = parsed["rv"].get<std::int64_t>();
  query.after_space = parsed["space"];
  query.after_name = parsed["name"];
}

ListQuery query_of(const Resource& resource, const Target& target, const Request& request) {
  ListQuery query;
  query.storage = resource.storage;
  query.space = target.space;
  const auto limit = request.number("limit");
  if (limit && *limit > 0) query.limit = static_cast<std::size_t>(*limit);
  const std::string match = request.param("resourceVersionMatch");
  const auto version = request.number("resourceVersion");
  if (const std::string token = request.param("continue"); !token.empty()) {
    if (version && *version != 0)
      throw bad_request("specifying resource version is not allowed when using continue");
    read_token(token, query);
    return query;
  }
  if (!match.empty() && !version) {
    throw bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (match == "Exact") {
    if (*version == 0)
      throw bad_request("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
    query.revision = *version;
  } else if (!match.empty() && match != "NotOlderThan") {
    throw bad_request("resourceVersionMatch: Unsupported value: " + in_quotes(match) +
                      ": supported values: \"Exact\", \"NotOlderThan\"");
  }
  return query;
}

}  // namespace

Json shown(const Resource& resource, const Json& object, const View& view) {
  if (view.as == View::As::kTable)
    return table(resource, {object}, {{"resourceVersion", meta(object, "resourceVersion")}}, view, true);
  if (view.as == View::As::kPartial) return partial_metadata(object, view);
  return object;
}

Response list_objects(Cluster& cluster, const Resource& resource, const Target& target,
                      const Request& request) {
  const View view = view_of(request.accept, request.param("includeObject"));
  const LabelSelector labels(request.param("labelSelector"));
  const FieldSelector fields(request.param("fieldSelector"));
  fields.check_supported(resource.plural, resource.custom);
  ListQuery query = query_of(resource, target, request);
  if (const auto version = request.number("resourceVersion");
      version && *version > cluster.store().revision()) {
    throw ApiError(
        504, "Timeout",
        "Too large resource version: " + std::to_string(*version) +
            ", current: " + std::to_string(cluster.store().revision()),
        {{"causes",
          Json::array({{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}})},
         {"retryAfterSeconds", 1}});
  }
  const std::size_t wanted = query.limit;
  std::vector<Json> objects;
  Json list_metadata = Json::object();
  // Selectors thin a page out: read on until it is full.
  while (true) {
    Page page;
    try {
      page = cluster.store().list(query);
    } catch (const ApiError& error) {
      if (request.param("continue").empty()) throw;
      throw expired(
          "The provided continue parameter is too old to display a consistent list result. You can start a "
          "new list without "
          "the continue parameter.");
    }
    query.revision = page.revision;
    for (Json& object : page.objects) {
      query.after_space = meta(object, "namespace");
      query.after_name = meta(object, "name");
      Json converted = from_storage(std::move(object), resource);
      if (!labels.matches(converted) || !fields.matches(converted)) continue;
      objects.push_back(std::move(converted));
      if (wanted != 0 && objects.size() == wanted) break;
    }
    list_metadata["resourceVersion"] = std::to_string(page.revision);
    if (wanted == 0 || !page.more || page.objects.empty()) {
      if (wanted == 0 || objects.size() < wanted || !page.more) break;
    }
    if (objects.size() == wanted) {
      list_metadata["continue"] = kube::base64_encode(
          Json({{"rv", page.revision}, {"space", query.after_space}, {"name", query.after_name}}).dump());
      break;
    }
  }
  if (list_metadata.contains("continue") && labels.empty() && fields.empty()) {
    ListQuery rest = query;
    rest.limit = 0;
    list_metadata["remainingItemCount"] = cluster.store().list(rest).objects.size();
  }
  if (view.as == View::As::kTable)
    return json_response(200, table(resource, objects, list_metadata, view, true));
  Json items = Json::array();
  const bool partial = view.as == View::As::kPartialList || view.as == View::As::kPartial;
  for (Json& object : objects) {
    if (partial) {
      items.push_back(partial_metadata(object, view));
      continue;
    }
    if (!resource.custom) {  // typed lists tell kind and version once
      object.erase("kind");
      object.erase("apiVersion");
    }
    items.push_back(std::move(object));
  }
  if (partial) {
    return json_response(200, {{"kind", "PartialObjectMetadataList"},
                               {"apiVersion", "meta.k8s.io/" + view.version},
                               {"metadata", list_metadata},
                               {"items", std::move(items)}});
  }
  return json_response(200, {{"kind", resource.list_kind},
                             {"apiVersion", resource.api_version()},
                             {"metadata", list_metadata},
                             {"items", std::move(items)}});
}

}  // namespace stepdown::local::api
