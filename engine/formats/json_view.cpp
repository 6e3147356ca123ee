#include "engine/formats/json_view.h"

#include <memory>
#include <utility>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::formats {
namespace {

constexpr std::int64_t kMaxLength = 1 << 30;
constexpr const char* kMend = "the file is truncated or damaged; copy or download it again";

}  // namespace

JsonView JsonView::parse(std::string_view text, const std::string& file) {
  try {
    auto root = std::make_shared<const nlohmann::json>(nlohmann::json::parse(text));
    const nlohmann::json* top = root.get();
    return {std::move(root), top, file};
  } catch (const nlohmann::json::parse_error& error) {
    throw InputError("not valid JSON", file + ": byte " + std::to_string(error.byte), kMend);
  } catch (const nlohmann::json::out_of_range&) {
    throw InputError("a number that no double holds", file, kMend);
  }
}

std::optional<JsonView> JsonView::member(const std::string& key) const {
  if (!json_->is_object()) return std::nullopt;
  const auto found = json_->find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  return JsonView(root_, &*found, where_ + (where_.ends_with(".json") ? ": $." : ".") + key);
}

JsonView JsonView::required(const std::string& key) const {
  auto found = member(key);
  if (!found) fail("'" + key + "' is missing", "give a complete model folder");
  return *std::move(found);
}

std::vector<JsonView> JsonView::items() const {
  if (!json_->is_array()) fail("is no array", "the file is damaged");
  std::vector<JsonView> all;
  all.reserve(json_->size());
  for (std::size_t i = 0; i < json_->size(); ++i) {
    all.push_back(JsonView(root_, &(*json_)[i], where_ + "[" + std::to_string(i) + "]"));
  }
  return all;
}

std::string JsonView::text() const {
  if (!json_->is_string()) fail("is no string", "the file is damaged");
  return json_->get<std::string>();
}

bool JsonView::boolean() const {
  if (!json_->is_boolean()) fail("is neither true nor false", "the file is damaged");
  return json_->get<bool>();
}

double JsonView::number() const {
  if (!json_->is_number()) fail("is no number", "the file is damaged");
  return json_->get<double>();
}

std::int64_t JsonView::length() const {
  if (!json_->is_number_integer()) fail("is no integer", "the file is damaged");
  if (json_->is_number_unsigned() && json_->get<std::uint64_t>() > kMaxLength)
    fail("is too large", "the file is damaged");
  const auto value = json_->get<std::int64_t>();
  if (value < 0) fail("is negative", "the file is damaged");
  return value;
}

std::int64_t JsonView::positive() const {
  const std::int64_t value = length();
  if (value == 0) fail("is 0", "the file is damaged");
  return value;
}

std::string JsonView::text(const std::string& key, std::string fallback) const {
  const auto found = member(key);
  return found ? found->text() : std::move(fallback);
}

bool JsonView::boolean(const std::string& key, bool fallback) const {
  const auto found = member(key);
  return found ? found->boolean() : fallback;
}

double JsonView::number(const std::string& key, double fallback) const {
  const auto found = member(key);
  return found ? found->number() : fallback;
}

void JsonView::fail(const std::string& what, const std::string& mend) const {
  throw InputError(what, where_, mend);
}

std::optional<JsonView> read_json(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return JsonView::parse(read_file(path), path.string());
}

}  // namespace stepdown::formats
