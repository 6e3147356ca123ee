#include "operator/local/api/json_path.h"

#include <cstdlib>

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {
namespace {

[[noreturn]] void fail(std::string_view text, const std::string& why) {
  throw bad_request("invalid JSONPath " + in_quotes(text) + ": " + why);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::vector<std::string> dotted(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    const std::size_t dot = path.find('.');
    if (const std::string_view name = path.substr(0, dot); !name.empty()) names.emplace_back(name);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot);
  }
  return names;
}

const Json* descend(const Json& root, const std::vector<std::string>& names) {
  const Json* node = &root;
  for (const std::string& name : names) {
    if (!node->is_object()) return nullptr;
    const auto it = node->find(name);
    if (it == node->end()) return nullptr;
    node = &*it;
  }
  return node;
}

}  // namespace

JsonPath::Step JsonPath::bracket(std::string_view inside, std::string_view whole) {
  Step step{};
  inside = trimmed(inside);
  if (inside == "*") {
    step.kind = Step::Kind::kAll;
  } else if (inside.starts_with("?(") && inside.ends_with(")")) {
    step.kind = Step::Kind::kFilter;
    std::string_view body = trimmed(inside.substr(2, inside.size() - 3));
    if (!body.starts_with('@')) fail(whole, "a filter must start with @");
    body.remove_prefix(1);
    for (const std::string_view op : {"==", "!="}) {
      if (const std::size_t at = body.find(op); at != std::string_view::npos) {
        step.op = op;
        step.literal = trimmed(body.substr(at + 2));
        body = trimmed(body.substr(0, at));
        break;
      }
    }
    if (step.literal.size() >= 2 && step.literal.front() == '\'' && step.literal.back() == '\'') {
      step.literal = in_quotes(std::string_view(step.literal).substr(1, step.literal.size() - 2));
    }
    if (!step.op.empty() && !Json::accept(step.literal)) fail(whole, "a filter compares with a literal");
    step.filter_path = dotted(body);
  } else if (inside.size() >= 2 && (inside.front() == '\'' || inside.front() == '"') &&
             inside.back() == inside.front()) {
    step.kind = Step::Kind::kField;
    step.name = inside.substr(1, inside.size() - 2);
  } else {
    step.kind = Step::Kind::kIndex;
    const std::string digits(inside);
    char* end = nullptr;
    step.index = std::strtoll(digits.c_str(), &end, 10);
    if (digits.empty() || *end != '\0') fail(whole, "unsupported subscript [" + digits + "]");
  }
  return step;
}

JsonPath::JsonPath(std::string_view text) {
  const std::string_view whole = text;
  if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
  if (text.starts_with('$')) text.remove_prefix(1);
  if (text.empty()) fail(whole, "it is empty");
  while (!text.empty()) {
    if (text.front() == '[') {
      // The closing bracket outside quotes.
      char quote = '\0';
      std::size_t end = 1;
      for (; end < text.size(); ++end) {
        const char c = text[end];
        if (quote != '\0') {
          if (c == quote) quote = '\0';
        } else if (c == '\'' || c == '"') {
          quote = c;
        } else if (c == ']') {
          break;
        }
      }
      if (end >= text.size()) fail(whole, "unterminated [");
      steps_.push_back(bracket(text.substr(1, end - 1), whole));
      text.remove_prefix(end + 1);
      continue;
    }
    if (text.front() != '.') fail(whole, "expected . or [");
    text.remove_prefix(1);
    std::string name;
    while (!text.empty() && text.front() != '.' && text.front() != '[') {
      if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);  // \. within a name
      name += text.front();
      text.remove_prefix(1);
    }
    if (name.empty()) fail(whole, "recursive descent and empty names are not supported");
    Step step{};
    step.kind = name == "*" ? Step::Kind::kAll : Step::Kind::kField;
    step.name = std::move(name);
    steps_.push_back(std::move(step));
  }
}

std::vector<const Json*> JsonPath::find(const Json& root) const {
  std::vector<const Json*> nodes = {&root};
  for (const Step& step : steps_) {
    std::vector<const Json*> next;
    for (const Json* node : nodes) {
      if (step.kind == Step::Kind::kField) {
        if (!node->is_object()) continue;
        if (const auto it = node->find(step.name); it != node->end()) next.push_back(&*it);
      } else if (step.kind == Step::Kind::kIndex) {
        if (!node->is_array()) continue;
        const long long size = static_cast<long long>(node->size());
        const long long at = step.index < 0 ? size + step.index : step.index;
        if (at >= 0 && at < size) next.push_back(&(*node)[static_cast<std::size_t>(at)]);
      } else if (node->is_structured()) {
        for (const Json& item : *node) {
          if (step.kind == Step::Kind::kFilter) {
            const Json* value = descend(item, step.filter_path);
            if (value == nullptr) continue;
            if (!step.op.empty() && (*value == Json::parse(step.literal)) != (step.op == "==")) continue;
          }
          next.push_back(&item);
        }
      }
    }
    nodes = std::move(next);
  }
  return nodes;
}

}  // namespace stepdown::local::api
