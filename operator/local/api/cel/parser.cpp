#include "operator/local/api/cel/parser.h"

#include <array>
#include <set>

#include "operator/local/api/cel/lexer.h"
#include "operator/local/api/cel/program.h"

namespace stepdown::local::api::cel {
namespace {

constexpr int kMaxDepth = 64;

// Binary operators from the loosest to the tightest level.
constexpr std::array<std::array<std::string_view, 7>, 5> kLevels = {
    {{"||"}, {"&&"}, {"<", "<=", ">", ">=", "==", "!=", "in"}, {"+", "-"}, {"*", "/", "%"}}};
const std::set<std::string_view> kMacros = {"all", "exists", "exists_one", "existsOne", "map", "filter"};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }

  Node whole() {
    Node node = expression();
    if (token_.kind != TokenKind::kEnd) fail("unexpected '" + describe() + "'");
    return node;
  }

 private:
  struct Depth {
    explicit Depth(Parser& owner) : parser(owner) {
      if (++parser.depth_ > kMaxDepth) parser.fail("nested deeper than 64 levels");
    }
    ~Depth() { --parser.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    Parser& parser;
  };

  void advance() { token_ = lexer_.next(); }
  bool is(std::string_view mark) const { return token_.kind == TokenKind::kMark && token_.text == mark; }
  bool take(std::string_view mark) {
    if (!is(mark)) return false;
    advance();
    return true;
  }
  void expect(std::string_view mark) {
    if (!take(mark)) fail("expected '" + std::string(mark) + "', found '" + describe() + "'");
  }
  std::string describe() const {
    if (token_.kind == TokenKind::kEnd) return "<EOF>";
    return token_.kind == TokenKind::kLiteral
               ? token_.literal.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
               : token_.text;
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw SyntaxError("Syntax error at " + std::to_string(token_.at) + ": " + why);
  }

  Node expression() {
    const Depth depth(*this);
    Node condition = binary(0);
    const std::size_t at = token_.at;
    if (!take("?")) return condition;
    Node node;
    node.at = at;
    node.kind = NodeKind::kConditional;
    node.children.push_back(std::move(condition));
    node.children.push_back(binary(0));
    expect(":");
    node.children.push_back(expression());
    return node;
  }

  std::string operator_at(std::size_t level) const {
    for (const std::string_view op : kLevels[level]) {
      if (op.empty()) break;
      const bool word = op == "in";
      if (token_.text == op && token_.kind == (word ? TokenKind::kIdentifier : TokenKind::kMark))
        return std::string(op);
    }
    return {};
  }

  Node binary(std::size_t level) {
    if (level == kLevels.size()) return unary();
    Node left = binary(level + 1);
    int chained = 0;
    for (std::string op = operator_at(level); !op.empty(); op = operator_at(level)) {
      if (++chained > 4 * kMaxDepth) fail("too many operators in a row");
      Node node;
      node.at = token_.at;
      advance();
      node.kind = NodeKind::kBinary;
      node.text = op;
      node.children.push_back(std::move(left));
      node.children.push_back(binary(level + 1));
      left = std::move(node);
    }
    return left;
  }

  Node unary() {
    const Depth depth(*this);
    for (const std::string_view op : {"!", "-"}) {
      if (!is(op)) continue;
      Node node;
      node.at = token_.at;
      advance();
      node.kind = NodeKind::kUnary;
      node.text = op;
      node.children.push_back(unary());
      return node;
    }
    return member();
  }

  Node member() {
    Node node = primary();
    int chained = 0;
    while (is(".") || is("[")) {
      if (++chained > 4 * kMaxDepth) fail("too many selections in a row");
      const std::size_t at = token_.at;
      if (take("[")) {
        if (is("?")) fail("optional indexing is not supported");
        Node index;
        index.kind = NodeKind::kIndex;
        index.at = at;
        index.children.push_back(std::move(node));
        index.children.push_back(expression());
        expect("]");
        node = std::move(index);
        continue;
      }
      advance();
      if (is("?")) fail("optional selection is not supported");
      if (token_.kind != TokenKind::kIdentifier) fail("expected a field name, found '" + describe() + "'");
      std::string name = token_.text;
      advance();
      if (is("(")) {
        node = call(std::move(name), std::move(node));
      } else {
        Node select;
        select.kind = NodeKind::kSelect;
        select.at = at;
        select.text = std::move(name);
        select.children.push_back(std::move(node));
        node = std::move(select);
      }
    }
    return node;
  }

  std::vector<Node> list_until(std::string_view end) {
    std::vector<Node> nodes;
    while (!is(end)) {
      nodes.push_back(expression());
      if (!take(",")) break;
    }
    expect(end);
    return nodes;
  }

  Node call(std::string name, Node receiver) {
    Node node;
    node.at = token_.at;
    expect("(");
    std::vector<Node> arguments = list_until(")");
    if (kMacros.contains(name)) {
      const bool mapping = name == "map" && arguments.size() == 3;
      if (arguments.size() != 2 && !mapping) fail("macro '" + name + "' takes a variable and an expression");
      if (arguments[0].kind != NodeKind::kIdentifier)
        fail("macro '" + name + "' needs a variable name first");
      node.kind = NodeKind::kMacro;
      node.text = name == "existsOne" ? "exists_one" : name;
      node.variable = arguments[0].text;
      node.children.push_back(std::move(receiver));
      for (std::size_t i = 1; i < arguments.size(); ++i) node.children.push_back(std::move(arguments[i]));
      return node;
    }
    node.kind = NodeKind::kCall;
    node.text = std::move(name);
    node.method = true;
    node.children.push_back(std::move(receiver));
    for (Node& argument : arguments) node.children.push_back(std::move(argument));
    return node;
  }

  Node primary() {
    Node node;
    node.at = token_.at;
    if (token_.kind == TokenKind::kLiteral) {
      node.literal = token_.literal;
      advance();
      return node;
    }
    if (take("(")) {
      node = expression();
      expect(")");
      return node;
    }
    if (take("[")) {
      node.kind = NodeKind::kList;
      node.children = list_until("]");
      return node;
    }
    if (take("{")) {
      node.kind = NodeKind::kMap;
      while (!is("}")) {
        node.children.push_back(expression());
        expect(":");
        node.children.push_back(expression());
        if (!take(",")) break;
      }
      expect("}");
      return node;
    }
    if (token_.kind != TokenKind::kIdentifier) fail("unexpected '" + describe() + "'");
    std::string name = token_.text;
    advance();
    if (name == "true" || name == "false") {
      node.literal = name == "true";
      return node;
    }
    if (name == "null") return node;
    if (name == "in") fail("unexpected 'in'");
    if (!is("(")) {
      node.kind = NodeKind::kIdentifier;
      node.text = std::move(name);
      return node;
    }
    node.at = token_.at;
    advance();
    std::vector<Node> arguments = list_until(")");
    if (name == "has") {
      if (arguments.size() != 1 || arguments[0].kind != NodeKind::kSelect)
        fail("invalid argument to has() macro");
      const std::size_t at = node.at;
      node = std::move(arguments[0]);
      node.kind = NodeKind::kHas;
      node.at = at;
      return node;
    }
    node.kind = NodeKind::kCall;
    node.text = std::move(name);
    node.children = std::move(arguments);
    return node;
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
};

}  // namespace

Node parse(std::string_view text) {
  return Parser(text).whole();
}

}  // namespace stepdown::local::api::cel
