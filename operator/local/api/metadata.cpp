#include "operator/local/api/metadata.h"

#include <algorithm>

#include "operator/local/api/formats.h"
#include "operator/local/api/schema_walk.h"

namespace stepdown::local::api {
namespace {

constexpr const char* kSubdomain =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* kLabel =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kServiceName =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end "
    "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr const char* kQualified =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

void check_name(const std::string& name, const Resource& resource, std::vector<Cause>& causes) {
  const std::string field = "metadata.name";
  if (name.empty()) {
    causes.push_back(required_field(field, "name or generateName is required"));
  } else if (resource.group == "rbac.authorization.k8s.io") {  // path segment names
    if (name == "." || name == ".." || name.find_first_of("/%") != std::string::npos) {
      causes.push_back(invalid_field(field, in_quotes(name), "may not contain '/' or '%'"));
    }
  } else if (resource.storage == "services") {
    const bool ok = is_dns_label(name) && name.front() >= 'a' && name.front() <= 'z';
    if (!ok) causes.push_back(invalid_field(field, in_quotes(name), kServiceName));
  } else if (resource.storage == "namespaces") {
    if (!is_dns_label(name)) causes.push_back(invalid_field(field, in_quotes(name), kLabel));
  } else if (!is_dns_subdomain(name)) {
    causes.push_back(invalid_field(field, in_quotes(name), kSubdomain));
  }
}

std::string joined(std::vector<std::string> list) {
  std::string out;
  for (const std::string& entry : list) out += (out.empty() ? "" : ", ") + in_quotes(entry);
  return out;
}

}  // namespace

std::string meta(const Json& object, const char* key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return {};
  const auto it = metadata->find(key);
  return it != metadata->end() && it->is_string() ? it->get<std::string>() : std::string();
}

const Json& at(const Json& object, std::initializer_list<const char*> path) {
  static const Json kNull;
  const Json* node = &object;
  for (const char* key : path) {
    if (!node->is_object()) return kNull;
    const auto it = node->find(key);
    if (it == node->end()) return kNull;
    node = &*it;
  }
  return *node;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string spec_text(const Json& object, const char* key) {
  const auto spec = object.find("spec");
  if (spec == object.end() || !spec->is_object()) return {};
  const auto it = spec->find(key);
  return it != spec->end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::vector<std::string> meta_list(const Json& object, const char* key) {
  std::vector<std::string> out;
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object() || !metadata->contains(key)) return out;
  for (const Json& entry : (*metadata)[key]) {
    if (entry.is_string()) out.push_back(entry);
  }
  return out;
}

bool is_deleting(const Json& object) {
  return !meta(object, "deletionTimestamp").empty();
}

std::int64_t generation_of(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains("generation")) return 0;
  const Json& generation = (*metadata)["generation"];
  return generation.is_number_integer() ? generation.get<std::int64_t>() : 0;
}

void require_shape(const Json& object, const Schema& object_meta) {
  if (!object.is_object()) throw bad_request("the object provided is unrecognized (must be a JSON object)");
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || metadata->is_null()) return;
  if (!metadata->is_object()) throw bad_request("metadata must be an object");
  const auto causes = validate(*metadata, nullptr, object_meta);
  for (const Cause& cause : causes) {
    if (cause.reason != "FieldValueTypeInvalid" && cause.reason != "FieldValueRequired") continue;
    throw bad_request("json: cannot unmarshal into ObjectMeta: metadata." + cause.field + ": " +
                      cause.message);
  }
}

std::vector<Cause> check_metadata(const Json& object, const Json* old, const Resource& resource) {
  std::vector<Cause> causes;
  if (old == nullptr) check_name(meta(object, "name"), resource, causes);
  const Json& metadata = object.at("metadata");
  if (metadata.contains("labels") && metadata["labels"].is_object()) {
    for (const auto& [key, value] : metadata["labels"].items()) {
      if (!is_qualified_name(key))
        causes.push_back(invalid_field("metadata.labels", in_quotes(key), kQualified));
      if (value.is_string() && !is_label_value(value.get<std::string>())) {
        causes.push_back(invalid_field("metadata.labels", value.dump(), kLabelValue));
      }
    }
  }
  if (metadata.contains("annotations") && metadata["annotations"].is_object()) {
    std::size_t size = 0;
    for (const auto& [key, value] : metadata["annotations"].items()) {
      if (!is_qualified_name(key))
        causes.push_back(invalid_field("metadata.annotations", in_quotes(key), kQualified));
      size += key.size() + (value.is_string() ? value.get_ref<const std::string&>().size() : 0);
    }
    if (size > 256 * 1024) {
      causes.push_back(
          {"FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations"});
    }
  }
  if (old != nullptr && is_deleting(*old)) {
    const auto before = meta_list(*old, "finalizers");
    std::vector<std::string> added;
    for (const std::string& name : meta_list(object, "finalizers")) {
      if (std::find(before.begin(), before.end(), name) == before.end()) added.push_back(name);
    }
    if (!added.empty()) {
      causes.push_back(forbidden_field(
          "metadata.finalizers",
          "no new finalizers can be added if the object is being deleted, found new finalizers "
          "[]string{" +
              joined(added) + "}"));
    }
  }
  return causes;
}

}  // namespace stepdown::local::api
