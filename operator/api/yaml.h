#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/error.h"

namespace stepdown::api {

/// The documents of a YAML (or JSON) stream as JSON, empty ones left out. Plain scalars are typed as kubectl
/// types them: null, true/false, integers, floats; all else, and everything quoted, is a string. Throws
/// InputError with `origin`:line of a syntax error, a repeated key or a key that is no scalar.
std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin);

/// Where things stand in the text of a YAML stream.
class YamlLines {
 public:
  YamlLines();
  ~YamlLines();
  YamlLines(YamlLines&&) noexcept;
  YamlLines& operator=(YamlLines&&) noexcept;

  /// The line, from 1, of what `path` ("spec.quantization.candidates[1].bits",
  /// "spec.evaluation.slo[jsonPass]") names in the document of that index, or of the deepest part of it that
  /// is there; 1 without the document.
  int of(std::size_t document, std::string_view path) const;

 private:
  friend std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin,
                                                         std::vector<InputError>& faults, YamlLines& lines);
  struct Document;
  std::vector<Document> documents_;
};

/// The same as documents_from_yaml(), but a document that cannot be read is null, and its error in `faults`;
/// `lines` becomes that of the text, which is parsed once for both.
std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin,
                                                std::vector<InputError>& faults, YamlLines& lines);

/// One document: maps and lists of scalars in one line where they fit, keys in the order given, strings
/// quoted where documents_from_yaml() would read them as something else. Ends in a newline.
std::string to_yaml(const nlohmann::ordered_json& document);

/// yaml-cpp lets other bytes through, which no JSON may hold.
bool is_utf8(std::string_view text);

}  // namespace stepdown::api
