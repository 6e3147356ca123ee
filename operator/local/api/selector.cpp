#include "operator/local/api/selector.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "operator/local/api/api_error.h"

namespace stepdown::local::api {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
}

/// Tokens of the selector grammar: words and the marks ( ) , ! = == != < >.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { next(); }

  const std::string& token() const { return token_; }
  bool word() const { return word_; }
  bool done() const { return token_.empty() && !word_; }

  void next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    token_.clear();
    word_ = false;
    if (at_ >= text_.size()) return;
    if (is_word(text_[at_])) {
      word_ = true;
      while (at_ < text_.size() && is_word(text_[at_])) token_ += text_[at_++];
      return;
    }
    token_ = text_[at_++];
    if ((token_ == "=" || token_ == "!") && at_ < text_.size() && text_[at_] == '=') token_ += text_[at_++];
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw bad_request("unable to parse requirement: found '" + token_ + "', expected: " + expected);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::string token_;
  bool word_ = false;
};

std::vector<std::string> value_list(Lexer& lexer) {
  if (lexer.token() != "(") lexer.fail("'('");
  std::vector<std::string> values;
  do {
    lexer.next();
    if (!lexer.word()) {
      if (lexer.token() != ")" && lexer.token() != ",") lexer.fail("identifier");
      values.emplace_back();
      continue;
    }
    values.push_back(lexer.token());
    lexer.next();
  } while (lexer.token() == ",");
  if (lexer.token() != ")") lexer.fail("',' or ')'");
  lexer.next();
  return values;
}

const Json* find_path(const Json& object, std::string_view path) {
  const Json* node = &object;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (!node->is_object()) return nullptr;
    const auto it = node->find(key);
    if (it == node->end()) return nullptr;
    node = &*it;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return node;
}

std::string printed(const Json* value) {
  if (value == nullptr || value->is_null()) return {};
  return value->is_string() ? value->get<std::string>() : value->dump();
}

// What the API server indexes beyond metadata.name and metadata.namespace.
const std::map<std::string, std::set<std::string, std::less<>>, std::less<>> kSelectable = {
    {"pods",
     {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
      "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"}},
    {"events",
     {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
      "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
      "reportingComponent", "source", "type", "regarding.kind", "regarding.namespace", "regarding.name",
      "regarding.uid", "reportingController"}},
    {"secrets", {"type"}},
    {"namespaces", {"status.phase"}},
    {"nodes", {"spec.unschedulable"}},
    {"jobs", {"status.successful"}},
    {"replicasets", {"status.replicas"}},
    {"services", {"spec.clusterIP", "spec.type"}},
};

}  // namespace

LabelSelector::LabelSelector(std::string_view text) {
  Lexer lexer(text);
  while (!lexer.done()) {
    Term term;
    bool negated = false;
    if (lexer.token() == "!") {
      negated = true;
      lexer.next();
    }
    if (!lexer.word()) lexer.fail("!, identifier");
    term.key = lexer.token();
    lexer.next();
    const std::string op = lexer.token();
    if (negated || lexer.done() || op == ",") {
      term.op = negated ? Operator::kAbsent : Operator::kExists;
    } else if (op == "=" || op == "==" || op == "!=" || op == "<" || op == ">") {
      lexer.next();
      term.op = op == "!="  ? Operator::kNotIn
                : op == ">" ? Operator::kGreater
                : op == "<" ? Operator::kLess
                            : Operator::kIn;
      term.values.push_back(lexer.word() ? lexer.token() : "");
      if (lexer.word()) lexer.next();
    } else if (op == "in" || op == "notin") {
      lexer.next();
      term.op = op == "in" ? Operator::kIn : Operator::kNotIn;
      term.values = value_list(lexer);
    } else {
      lexer.fail("in, notin, =, ==, !=, gt, lt");
    }
    terms_.push_back(std::move(term));
    if (lexer.done()) break;
    if (lexer.token() != ",") lexer.fail("',' or 'end of string'");
    lexer.next();
    if (lexer.done()) lexer.fail("identifier after ','");
  }
}

bool LabelSelector::matches(const Json& object) const {
  const Json* labels = find_path(object, "metadata.labels");
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    const Json* value = nullptr;
    if (labels != nullptr && labels->is_object()) {
      if (const auto it = labels->find(term.key); it != labels->end() && it->is_string()) value = &*it;
    }
    const auto listed = [&] {
      return std::find(term.values.begin(), term.values.end(), value->get<std::string>()) !=
             term.values.end();
    };
    switch (term.op) {
      case Operator::kIn:
        return value != nullptr && listed();
      case Operator::kNotIn:
        return value == nullptr || !listed();
      case Operator::kExists:
        return value != nullptr;
      case Operator::kAbsent:
        return value == nullptr;
      default:
        break;
    }
    if (value == nullptr) return false;
    const long long have = std::strtoll(value->get<std::string>().c_str(), nullptr, 10);
    const long long want = std::strtoll(term.values.front().c_str(), nullptr, 10);
    return term.op == Operator::kGreater ? have > want : have < want;
  });
}

FieldSelector::FieldSelector(std::string_view text) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (part.empty()) continue;
    const std::size_t mark = part.find('=');
    if (mark == std::string_view::npos || mark == 0) {
      throw bad_request("invalid field selector: " + in_quotes(part) +
                        "; can't understand it: no '=' or '!='");
    }
    Term term;
    term.equal = part[mark - 1] != '!';
    term.path = part.substr(0, term.equal ? mark : mark - 1);
    term.value = part.substr(mark + (mark + 1 < part.size() && part[mark + 1] == '=' ? 2 : 1));
    terms_.push_back(std::move(term));
  }
}

bool FieldSelector::matches(const Json& object) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    return (printed(find_path(object, term.path)) == term.value) == term.equal;
  });
}

void FieldSelector::check_supported(std::string_view plural, bool custom) const {
  const auto extra = custom ? kSelectable.end() : kSelectable.find(plural);
  for (const Term& term : terms_) {
    if (term.path == "metadata.name" || term.path == "metadata.namespace") continue;
    if (extra != kSelectable.end() && extra->second.contains(term.path)) continue;
    throw bad_request("field label not supported: " + term.path);
  }
}

std::string FieldSelector::name() const {
  for (const Term& term : terms_) {
    if (term.path == "metadata.name" && term.equal) return term.value;
  }
  return {};
}

}  // namespace stepdown::local::api
