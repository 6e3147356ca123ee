#include "operator/local/api/field_set.h"

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {
namespace {

constexpr int kMaxDepth = 256;

[[noreturn]] void malformed(const std::string& element) {
  throw bad_request("metadata.managedFields: invalid path element " + in_quotes(element) + " in fieldsV1");
}

void check_element(const std::string& element) {
  if (element.starts_with("f:")) return;
  if (element.starts_with("i:")) malformed(element);  // nothing that Kubernetes writes today
  if (!element.starts_with("k:") && !element.starts_with("v:")) malformed(element);
  const Json value = Json::parse(element.substr(2), nullptr, false);
  if (value.is_discarded() || (element.front() == 'k' && !value.is_object())) malformed(element);
}

void decode_into(FieldSet& set, const Json& fields, int depth) {
  if (!fields.is_object() || depth > kMaxDepth)
    throw bad_request("metadata.managedFields: fieldsV1 must be an object");
  if (fields.empty()) set.member = true;
  for (const auto& [element, below] : fields.items()) {
    if (element == ".") {
      set.member = true;
      continue;
    }
    check_element(element);
    decode_into(set.children[element], below, depth + 1);
  }
}

std::string printed(const std::string& element) {
  const std::string body = element.substr(2);
  if (element.front() == 'f') return "." + body;
  if (element.front() == 'v') return "[=" + body + "]";
  std::string out = "[";
  const Json keys = Json::parse(body, nullptr, false);
  if (!keys.is_object()) return "[" + body + "]";
  for (const auto& [name, value] : keys.items()) {
    if (out.size() > 1) out += ",";
    out += name + "=" + value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return out + "]";
}

void list_paths(const FieldSet& set, const std::string& prefix, std::vector<std::string>& out) {
  for (const auto& [element, child] : set.children) {
    if (child.member) out.push_back(prefix + printed(element));
  }
  for (const auto& [element, child] : set.children) list_paths(child, prefix + printed(element), out);
}

}  // namespace

bool FieldSet::empty() const {
  if (member) return false;
  for (const auto& [element, child] : children) {
    if (!child.empty()) return false;
  }
  return true;
}

void FieldSet::unite(const FieldSet& other) {
  member |= other.member;
  for (const auto& [element, child] : other.children) children[element].unite(child);
}

void FieldSet::subtract(const FieldSet& other) {
  if (other.member) member = false;
  for (const auto& [element, child] : other.children) {
    if (const auto it = children.find(element); it != children.end()) it->second.subtract(child);
  }
  trim();
}

FieldSet FieldSet::intersection(const FieldSet& other) const {
  FieldSet both;
  both.member = member && other.member;
  for (const auto& [element, child] : children) {
    const auto it = other.children.find(element);
    if (it == other.children.end()) continue;
    if (FieldSet below = child.intersection(it->second); !below.empty())
      both.children.emplace(element, std::move(below));
  }
  return both;
}

void FieldSet::trim() {
  for (auto it = children.begin(); it != children.end();) {
    it->second.trim();
    it = it->second.empty() ? children.erase(it) : std::next(it);
  }
}

std::vector<std::string> FieldSet::paths() const {
  std::vector<std::string> out;
  list_paths(*this, "", out);
  return out;
}

FieldSet FieldSet::decode(const Json& fields_v1) {
  FieldSet set;
  decode_into(set, fields_v1, 0);
  set.member = false;  // the root is no field
  return set;
}

Json FieldSet::encode() const {
  Json out = Json::object();
  if (member && !children.empty()) out["."] = Json::object();
  for (const auto& [element, child] : children) out[element] = child.encode();
  return out;
}

bool operator==(const FieldSet& left, const FieldSet& right) {
  return left.member == right.member && left.children == right.children;
}

}  // namespace stepdown::local::api
