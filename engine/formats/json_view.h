#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::formats {

/// Typed reading of a JSON file that somebody else wrote: every error names the file, the path inside it and
/// what was expected. A null member counts as absent.
class JsonView {
 public:
  /// Parses `text`; `file` names it in errors. Throws InputError with the byte where the syntax breaks.
  static JsonView parse(std::string_view text, const std::string& file);

  std::optional<JsonView> member(const std::string& key) const;  ///< also nullopt when this is no object
  JsonView required(const std::string& key) const;
  std::vector<JsonView> items() const;  ///< of an array, else an error
  bool has(const std::string& key) const { return member(key).has_value(); }

  std::string text() const;
  bool boolean() const;
  double number() const;
  /// An integer of 0 … 2³⁰: a length, a count or an id.
  std::int64_t length() const;
  std::int64_t positive() const;

  std::string text(const std::string& key, std::string fallback) const;
  bool boolean(const std::string& key, bool fallback) const;
  double number(const std::string& key, double fallback) const;

  const nlohmann::json& json() const { return *json_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void fail(const std::string& what, const std::string& mend) const;

 private:
  JsonView(std::shared_ptr<const nlohmann::json> root, const nlohmann::json* json, std::string where)
      : root_(std::move(root)), json_(json), where_(std::move(where)) {}

  std::shared_ptr<const nlohmann::json> root_;  ///< keeps the document alive
  const nlohmann::json* json_;
  std::string where_;
};

/// The parsed file; nullopt when it does not exist.
std::optional<JsonView> read_json(const std::filesystem::path& path);

}  // namespace stepdown::formats
