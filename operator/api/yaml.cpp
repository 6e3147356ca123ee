#include "operator/api/yaml.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>
#include <utility>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace stepdown::api {
namespace {

/// Deeper nesting, and more nodes through aliases, than any manifest holds.
constexpr int kDeepest = 64;
constexpr std::size_t kMostNodes = 200'000;

/// One document of a stream.
struct Part {
  std::string_view text;
  int first_line = 0;  ///< from 0
};

/// At lines that begin with "---", as kubectl does; YAML::LoadAll does not end on some malformed streams.
std::vector<Part> split(std::string_view text) {
  std::vector<Part> parts = {{text.substr(0, 0), 0}};
  bool has_content = false;  // else the marker begins this document: only comments and directives came before
  int line = 0;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view words = text.substr(begin, end - begin);
    const bool marker = words.starts_with("---") &&
                        (words.size() == 3 || std::isspace(static_cast<unsigned char>(words[3])) != 0);
    if (marker && has_content) parts.push_back({text.substr(begin, 0), line});
    const char first = words.front();
    has_content = marker || has_content ||
                  (first != '#' && first != '%' && std::isspace(static_cast<unsigned char>(first)) == 0);
    Part& part = parts.back();
    part.text = {part.text.data(), part.text.size() + words.size()};
    begin = end;
  }
  return parts;
}

std::string place(std::string_view origin, int first_line, const YAML::Mark& mark) {
  return std::string(origin) + ":" + std::to_string(first_line + mark.line + 1);
}

class Converter {
 public:
  Converter(std::string_view origin, int first_line) : origin_(origin), first_line_(first_line) {}

  nlohmann::json convert(const YAML::Node& node, int depth = 0) {
    if (depth > kDeepest) fail("nested too deeply", node, "flatten it");
    if (++nodes_ > kMostNodes) fail("too many nodes", node, "split the file");
    switch (node.Type()) {
      case YAML::NodeType::Sequence: {
        auto out = nlohmann::json::array();
        for (const auto& each : node) out.push_back(convert(each, depth + 1));
        return out;
      }
      case YAML::NodeType::Map: {
        auto out = nlohmann::json::object();
        auto merged = nlohmann::json::object();
        for (const auto& entry : node) {
          const YAML::Node& key = entry.first;
          if (!key.IsScalar()) fail("a key must be a string", key, "quote it");
          require_utf8(key);
          if (key.Scalar() == "<<" && key.Tag() != "!") {
            merge(merged, entry.second, depth + 1);
            continue;
          }
          if (out.contains(key.Scalar())) fail("key " + key.Scalar() + " is repeated", key, "keep one");
          out[key.Scalar()] = convert(entry.second, depth + 1);
        }
        merged.update(out);
        return merged;
      }
      case YAML::NodeType::Scalar:
        require_utf8(node);
        return scalar(node);
      default:
        return nullptr;
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what, const YAML::Node& node, const std::string& mend) const {
    throw InputError(what, place(origin_, first_line_, node.Mark()), mend);
  }

  /// A merge key's mapping, or list of mappings, the first of which counts (yaml.org/type/merge.html).
  void merge(nlohmann::json& into, const YAML::Node& node, int depth) {
    const nlohmann::json found = convert(node, depth);
    for (const nlohmann::json& each : found.is_array() ? found : nlohmann::json::array({found})) {
      if (!each.is_object()) fail("<< merges mappings alone", node, "refer to one by its anchor");
      for (const auto& [key, value] : each.items()) {
        if (!into.contains(key)) into[key] = value;
      }
    }
  }

  void require_utf8(const YAML::Node& node) const {
    if (!is_utf8(node.Scalar())) fail("text is not UTF-8", node, "save the file as UTF-8");
  }

  /// YAML 1.1's, as kubectl reads them.
  static std::optional<bool> boolean(const std::string& text) {
    for (const char* each : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}) {
      if (text == each) return true;
    }
    for (const char* each : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}) {
      if (text == each) return false;
    }
    return std::nullopt;
  }

  /// 12, 1_000, 0x1f, 0b11, and 017 or 0o17 in octal: YAML 1.1's and Go's.
  static std::optional<std::int64_t> integer(std::string text) {
    if (text.starts_with('_')) return std::nullopt;
    std::erase(text, '_');
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.erase(0, 1);
    constexpr std::pair<std::string_view, int> kBases[] = {{"0x", 16}, {"0b", 2}, {"0o", 8}, {"0", 8}};
    int base = 10;
    for (const auto& [prefix, radix] : kBases) {
      if (base != 10 || text.size() <= prefix.size() || !text.starts_with(prefix)) continue;
      text.erase(0, prefix.size());
      base = radix;
    }
    if (negative) text.insert(0, "-");
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional(out) : std::nullopt;
  }

  static nlohmann::json scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (node.Tag() == "!") return text;  // quoted
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
    if (const auto truth = boolean(text)) return *truth;
    static const std::regex kFloat(R"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)");
    if (text.size() > 64) return text;
    if (const auto found = integer(text)) return *found;
    if (!std::regex_match(text, kFloat)) return text;
    const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
    const char* const end = text.data() + text.size();
    double number = 0;
    if (std::from_chars(begin, end, number).ec == std::errc{} && std::isfinite(number)) return number;
    return text;
  }

  std::string origin_;
  int first_line_;
  std::size_t nodes_ = 0;
};

/// "a.b[0][key]" is a, b, 0, key.
std::vector<std::string> steps_of(std::string_view path) {
  std::vector<std::string> steps;
  std::string step;
  for (const char each : path) {
    if (each != '.' && each != '[' && each != ']') {
      step += each;
    } else if (!step.empty()) {
      steps.push_back(std::move(step));
      step.clear();
    }
  }
  if (!step.empty()) steps.push_back(std::move(step));
  return steps;
}

/// One step down; the mark is the key's, which is the line that people look for.
bool descend(YAML::Node& node, const std::string& step, YAML::Mark& mark) {
  std::size_t index = 0;
  for (const auto& each : node) {
    const bool found =
        node.IsMap() ? each.first.IsScalar() && each.first.Scalar() == step : std::to_string(index++) == step;
    if (!found) continue;
    const YAML::Node next = node.IsMap() ? each.second : YAML::Node(each);
    mark = node.IsMap() ? each.first.Mark() : next.Mark();
    node.reset(next);
    return true;
  }
  return false;
}

}  // namespace

struct YamlLines::Document {
  int first_line = 0;
  YAML::Node root;
};

YamlLines::YamlLines() = default;
YamlLines::~YamlLines() = default;
YamlLines::YamlLines(YamlLines&&) noexcept = default;
YamlLines& YamlLines::operator=(YamlLines&&) noexcept = default;

int YamlLines::of(std::size_t document, std::string_view path) const {
  if (document >= documents_.size()) return 1;
  YAML::Node node;
  node.reset(documents_[document].root);
  YAML::Mark mark = node.Mark();
  for (const std::string& step : steps_of(path)) {
    if (!descend(node, step, mark)) break;
  }
  return documents_[document].first_line + mark.line + 1;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = decode_utf8(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

namespace {

/// Nothing of an empty document. `root` is what was parsed, where that much could be read.
std::optional<nlohmann::json> read_part(const Part& part, std::string_view origin, YAML::Node& root) {
  try {
    root.reset(YAML::Load(std::string(part.text)));
    if (!root.IsDefined() || root.IsNull()) return std::nullopt;
    return Converter(origin, part.first_line).convert(root);
  } catch (const YAML::Exception& error) {
    throw InputError(error.msg, place(origin, part.first_line, error.mark), "mend the YAML there");
  }
}

}  // namespace

std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin) {
  std::vector<nlohmann::json> documents;
  for (const Part& part : split(text)) {
    YAML::Node root;
    if (auto document = read_part(part, origin, root)) documents.push_back(std::move(*document));
  }
  return documents;
}

std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin,
                                                std::vector<InputError>& faults, YamlLines& lines) {
  std::vector<nlohmann::json> documents;
  lines = {};
  for (const Part& part : split(text)) {
    YAML::Node root(YAML::NodeType::Map);
    try {
      auto document = read_part(part, origin, root);
      if (!document) continue;
      documents.push_back(std::move(*document));
    } catch (const InputError& error) {
      faults.push_back(error);
      documents.emplace_back(nullptr);
    }
    lines.documents_.push_back({part.first_line, root});
  }
  return documents;
}

}  // namespace stepdown::api
