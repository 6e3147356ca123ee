#include "operator/local/api/protobuf_body.h"

#include <bit>
#include <ctime>

#include "operator/kube/base64.h"
#include "operator/local/api/api_error.h"
#include "operator/local/api/body.h"
#include "operator/local/api/builtins.h"
#include "operator/local/api/protobuf.h"

namespace stepdown::local::api {
namespace {

using namespace std::string_view_literals;
constexpr std::string_view kMagic = "k8s\0"sv;
constexpr int kMaxDepth = 64;

const Json& layouts() {
  static const Json kLayouts = Json::parse(recorded_messages());
  return kLayouts;
}

std::int64_t signed_value(const ProtobufField& field) {
  return static_cast<std::int64_t>(field.value);
}

Json time_text(std::string_view bytes, bool micro) {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  bool any = false;
  for (ProtobufReader reader(bytes); const auto field = reader.next();) {
    any = true;
    (field->number == 1 ? seconds : nanos) = signed_value(*field);
  }
  const auto when = static_cast<std::time_t>(seconds);
  std::tm parts{};
  if (!any || gmtime_r(&when, &parts) == nullptr || parts.tm_year < 0 || parts.tm_year > 8099)
    return nullptr;  // Go's zero time
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string out = text;
  if (micro) {
    std::string fraction = std::to_string(1'000'000 + (nanos / 1000) % 1'000'000);
    out += "." + fraction.substr(fraction.size() - 6);
  }
  return out + "Z";
}

/// Types whose JSON is no object of their fields; nullopt when `type` is none of them.
std::optional<Json> special(const std::string& type, std::string_view bytes) {
  if (type == "Time" || type == "MicroTime") return time_text(bytes, type == "MicroTime");
  const bool raw = type == "FieldsV1" || type == "RawExtension";
  if (!raw && type != "Quantity" && type != "Duration" && type != "IntOrString") return std::nullopt;
  std::string text;
  std::int64_t kind = 0;
  std::int64_t number = 0;
  for (ProtobufReader reader(bytes); const auto field = reader.next();) {
    if (field->delimited) text = field->bytes;
    if (field->number == 1 && !field->delimited) kind = signed_value(*field);
    if (field->number == 2 && !field->delimited) number = signed_value(*field);
  }
  if (raw) return text.empty() ? Json() : parse_json(text);
  if (type == "IntOrString") return kind == 0 ? Json(number) : Json(text);
  if (type == "Duration") return std::to_string(kind / 1'000'000'000) + "s";
  return text;
}

Json decode_message(const std::string& name, std::string_view bytes, int depth);

Json decode_value(const std::string& type, const ProtobufField& field, int depth) {
  if (type == "int") return signed_value(field);
  if (type == "bool") return field.value != 0;
  if (type == "double") return std::bit_cast<double>(field.value);
  if (!field.delimited) throw bad_request("the body is no well-formed protobuf message");
  if (type == "string") return std::string(field.bytes);
  if (type == "bytes") return kube::base64_encode(field.bytes);
  if (auto value = special(type, field.bytes)) return std::move(*value);
  return decode_message(type, field.bytes, depth + 1);
}

/// What Go leaves out of its JSON: zero values that are no pointers.
bool is_zero(const Json& value) {
  return value.is_null() || value == "" || (value.is_structured() && value.empty()) ||
         (value.is_number() && value == 0) || (value.is_boolean() && !value.get<bool>());
}

Json decode_message(const std::string& name, std::string_view bytes, int depth) {
  if (depth > kMaxDepth) throw bad_request("the protobuf message is nested deeper than 64 levels");
  // A list type of its own (Verbs, ExtraValue) is a message with one repeated field; none is written by
  // clients.
  const Json& fields = layouts()["messages"].contains(name) ? layouts()["messages"][name] : Json::object();
  Json out = Json::object();
  for (ProtobufReader reader(bytes); const auto field = reader.next();) {
    const auto known = fields.find(std::to_string(field->number));
    if (known == fields.end()) continue;  // a newer client's field
    const std::string key = (*known)[0];
    std::string type = (*known)[1];
    const bool pointer = type.starts_with('*');
    if (pointer) type.erase(0, 1);
    if (type.starts_with("[]")) {
      out[key].push_back(decode_value(type.substr(2), *field, depth));
    } else if (type.starts_with("map:")) {
      std::string entry;
      Json value = type == "map:string" ? Json("") : Json();
      for (ProtobufReader pair(field->bytes); const auto part = pair.next();) {
        if (part->number == 1) entry = part->bytes;
        if (part->number == 2) value = decode_value(type.substr(4), *part, depth);
      }
      out[key][entry] = std::move(value);
    } else {
      Json value = decode_value(type, *field, depth);
      if (key.empty()) {  // an embedded struct: its fields stand here
        if (value.is_object()) out.update(value);
      } else if (pointer ? !value.is_null() : !is_zero(value)) {
        out[key] = std::move(value);
      }
    }
  }
  return out;
}

}  // namespace

Json parse_protobuf(std::string_view body) {
  if (!body.starts_with(kMagic))
    throw bad_request(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  std::string api_version;
  std::string kind;
  std::string_view raw;
  for (ProtobufReader reader(body.substr(kMagic.size())); const auto field = reader.next();) {
    if (field->number == 1) {
      for (ProtobufReader type(field->bytes); const auto part = type.next();)
        (part->number == 1 ? api_version : kind) = part->bytes;
    }
    if (field->number == 2) raw = field->bytes;
  }
  const Json& kinds = layouts()["kinds"];
  // DeleteOptions come under the version of what they delete.
  const auto known = kinds.find(kind == "DeleteOptions" ? "v1 DeleteOptions" : api_version + " " + kind);
  if (known == kinds.end()) {
    throw unsupported_media_type("this server does not read " + api_version + " " + kind +
                                 " as protobuf; send application/json");
  }
  Json object = decode_message(known->get<std::string>(), raw, 0);
  object["apiVersion"] = api_version;
  object["kind"] = kind;
  return object;
}

}  // namespace stepdown::local::api
