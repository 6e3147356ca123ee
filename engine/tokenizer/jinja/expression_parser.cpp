#include "engine/tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace stepdown::tokenizer::jinja {
namespace {

using Kind = ExpressionKind;
using Node = std::unique_ptr<Expression>;

Node make(Kind kind, const Place& place, std::string name = {}) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->place = place;
  node->name = std::move(name);
  return node;
}

/// Every node takes its children through here: trees that are too tall to walk recursively are refused.
void adopt(Expression& parent, ExpressionPtr child, std::string keyword = {}) {
  constexpr int kTallest = 250;
  if (child) parent.height = std::max(parent.height, child->height + 1);
  if (parent.height > kTallest) fail(parent.place, "expression is nested too deeply");
  if (keyword.empty()) {
    parent.children.push_back(std::move(child));
  } else {
    parent.keywords.emplace_back(std::move(keyword), std::move(child));
  }
}

template <typename... Children>
Node make(Kind kind, const Place& place, std::string name, Children... children) {
  Node node = make(kind, place, std::move(name));
  (adopt(*node, std::move(children)), ...);
  return node;
}

Node literal(const Place& place, Value value) {
  Node node = make(Kind::kLiteral, place);
  node->value = std::move(value);
  return node;
}

void parse_arguments(TokenStream& tokens, Expression& call) {
  while (!tokens.accept(")")) {
    if (tokens.peek().kind == TokenKind::kName && tokens.peek_after().kind == TokenKind::kOperator &&
        tokens.peek_after().text == "=") {
      const std::string name = tokens.next().text;
      tokens.next();
      adopt(call, parse_expression(tokens), name);
    } else {
      adopt(call, parse_expression(tokens));
    }
    if (!tokens.is(")")) tokens.expect_operator(",");
  }
}

ExpressionPtr parse_subscript(TokenStream& tokens, ExpressionPtr object, const Place& place) {
  std::vector<ExpressionPtr> parts(1);
  if (!tokens.is(":")) parts[0] = parse_expression(tokens);
  while (parts.size() < 3 && tokens.accept(":")) {
    parts.emplace_back();
    if (!tokens.is(":") && !tokens.is("]")) parts.back() = parse_expression(tokens);
  }
  tokens.expect_operator("]");
  if (parts.size() == 1) return make(Kind::kItem, place, "", std::move(object), std::move(parts[0]));
  parts.resize(3);
  return make(Kind::kSlice, place, "", std::move(object), std::move(parts[0]), std::move(parts[1]),
              std::move(parts[2]));
}

Node parse_dict(TokenStream& tokens, const Place& place) {
  Node dict = make(Kind::kDict, place);
  while (!tokens.accept("}")) {
    adopt(*dict, parse_expression(tokens));
    tokens.expect_operator(":");
    adopt(*dict, parse_expression(tokens));
    if (!tokens.is("}")) tokens.expect_operator(",");
  }
  return dict;
}

Node parse_number(const Token& token) {
  std::int64_t integer = 0;
  double number = 0;
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.kind == TokenKind::kInteger) {
    if (std::from_chars(begin, end, integer).ec != std::errc()) fail(token.place, "integer is too large");
    return literal(token.place, integer);
  }
  if (std::from_chars(begin, end, number).ec != std::errc()) fail(token.place, "number is out of range");
  return literal(token.place, number);
}

ExpressionPtr parse_primary(TokenStream& tokens) {
  Token token = tokens.next();
  switch (token.kind) {
    case TokenKind::kName:
      if (token.text == "true" || token.text == "True") return literal(token.place, true);
      if (token.text == "false" || token.text == "False") return literal(token.place, false);
      if (token.text == "none" || token.text == "None") return literal(token.place, Value());
      return make(Kind::kName, token.place, token.text);
    case TokenKind::kString:
      while (tokens.peek().kind == TokenKind::kString) token.text += tokens.next().text;
      return literal(token.place, std::move(token.text));
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number(token);
    default:
      break;
  }
  if (token.text == "(") {
    if (tokens.accept(")")) return make(Kind::kList, token.place);
    ExpressionPtr inner = parse_tuple(tokens);
    tokens.expect_operator(")");
    return inner;
  }
  if (token.text == "[") {
    Node list = make(Kind::kList, token.place);
    while (!tokens.accept("]")) {
      adopt(*list, parse_expression(tokens));
      if (!tokens.is("]")) tokens.expect_operator(",");
    }
    return list;
  }
  if (token.text == "{") return parse_dict(tokens, token.place);
  fail(token.place, token.text.empty() ? "an expression is missing" : "unexpected '" + token.text + "'");
}

ExpressionPtr parse_postfix(TokenStream& tokens, ExpressionPtr object) {
  for (;;) {
    const Place place = tokens.peek().place;
    if (tokens.accept(".")) {
      Token name = tokens.next();
      if (name.kind == TokenKind::kInteger) {
        object = make(Kind::kItem, place, "", std::move(object), ExpressionPtr(parse_number(name)));
      } else if (name.kind == TokenKind::kName) {
        object = make(Kind::kAttribute, place, name.text, std::move(object));
      } else {
        fail(name.place, "an attribute's name is missing");
      }
    } else if (tokens.accept("[")) {
      object = parse_subscript(tokens, std::move(object), place);
    } else if (tokens.accept("(")) {
      Node call = make(Kind::kCall, place, "", std::move(object));
      parse_arguments(tokens, *call);
      object = std::move(call);
    } else {
      return object;
    }
  }
}

bool starts_test_argument(const TokenStream& tokens) {
  const Token& token = tokens.peek();
  switch (token.kind) {
    case TokenKind::kName:
      return token.text != "else" && token.text != "or" && token.text != "and" && token.text != "is" &&
             token.text != "if" && token.text != "in" && token.text != "not";
    case TokenKind::kString:
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return true;
    default:
      return tokens.is("[") || tokens.is("{");
  }
}

ExpressionPtr parse_unary(TokenStream& tokens, bool with_filter);

ExpressionPtr parse_test(TokenStream& tokens, ExpressionPtr object, const Place& place) {
  const bool negated = tokens.accept_name("not");
  const Token name = tokens.expect(TokenKind::kName, "a test's name");
  Node test = make(Kind::kTest, place, name.text, std::move(object));
  if (tokens.accept("(")) {
    parse_arguments(tokens, *test);
  } else if (starts_test_argument(tokens)) {
    adopt(*test, parse_postfix(tokens, parse_primary(tokens)));
  }
  if (!negated) return test;
  return make(Kind::kUnary, place, "not", ExpressionPtr(std::move(test)));
}

ExpressionPtr parse_unary(TokenStream& tokens, bool with_filter) {
  const Nesting nesting(tokens);
  const Place place = tokens.peek().place;
  ExpressionPtr node;
  if (tokens.accept("-")) {
    node = make(Kind::kUnary, place, "-", parse_unary(tokens, false));
  } else if (tokens.accept("+")) {
    node = make(Kind::kUnary, place, "+", parse_unary(tokens, false));
  } else {
    node = parse_postfix(tokens, parse_primary(tokens));
  }
  return with_filter ? parse_filters(tokens, std::move(node)) : std::move(node);
}

/// Binary operators from the loosest to the tightest level, all left-associative.
constexpr std::array<std::string_view, 2> kSums = {"+", "-"};
constexpr std::array<std::string_view, 1> kJoins = {"~"};
constexpr std::array<std::string_view, 4> kProducts = {"*", "//", "/", "%"};
constexpr std::array<std::span<const std::string_view>, 3> kLevels = {kSums, kJoins, kProducts};

ExpressionPtr parse_binary(TokenStream& tokens, std::size_t level) {
  if (level == kLevels.size()) return parse_unary(tokens, true);
  ExpressionPtr left = parse_binary(tokens, level + 1);
  for (;;) {
    const Token op = tokens.peek();
    bool found = false;
    for (const std::string_view candidate : kLevels[level]) found = found || tokens.is(candidate);
    if (!found) return left;
    tokens.next();
    left = make(Kind::kBinary, op.place, op.text, std::move(left), parse_binary(tokens, level + 1));
  }
}

ExpressionPtr parse_compare(TokenStream& tokens) {
  const Place place = tokens.peek().place;
  ExpressionPtr first = parse_binary(tokens, 0);
  Node compare;
  for (;;) {
    std::string op;
    for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (tokens.is(candidate)) op = candidate;
    }
    if (tokens.is_name("in")) op = "in";
    if (tokens.is_name("not") && tokens.peek_after().kind == TokenKind::kName &&
        tokens.peek_after().text == "in") {
      tokens.next();
      op = "not in";
    }
    if (op.empty()) break;
    tokens.next();
    if (!compare) compare = make(Kind::kCompare, place, "", std::move(first));
    compare->names.push_back(op);
    adopt(*compare, parse_binary(tokens, 0));
  }
  if (compare) return compare;
  return first;
}

ExpressionPtr parse_not(TokenStream& tokens) {
  const Nesting nesting(tokens);
  const Place place = tokens.peek().place;
  if (tokens.accept_name("not")) return make(Kind::kUnary, place, "not", parse_not(tokens));
  return parse_compare(tokens);
}

ExpressionPtr parse_and(TokenStream& tokens) {
  ExpressionPtr left = parse_not(tokens);
  for (Place place = tokens.peek().place; tokens.accept_name("and"); place = tokens.peek().place) {
    left = make(Kind::kBinary, place, "and", std::move(left), parse_not(tokens));
  }
  return left;
}

}  // namespace

Token TokenStream::next() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::accept(std::string_view op) {
  if (!is(op)) return false;
  next();
  return true;
}

bool TokenStream::accept_name(std::string_view name) {
  if (!is_name(name)) return false;
  next();
  return true;
}

Token TokenStream::expect(TokenKind kind, std::string_view what) {
  if (peek().kind != kind) {
    fail(peek().place,
         "expected " + std::string(what) + (peek().text.empty() ? "" : ", found '" + peek().text + "'"));
  }
  return next();
}

void TokenStream::expect_operator(std::string_view op) {
  if (!accept(op)) {
    fail(peek().place,
         "expected '" + std::string(op) + "'" + (peek().text.empty() ? "" : ", found '" + peek().text + "'"));
  }
}

Nesting::Nesting(TokenStream& tokens) : tokens_(tokens) {
  constexpr int kDeepest = 200;
  if (++tokens_.depth_ > kDeepest) {
    --tokens_.depth_;
    fail(tokens_.peek().place, "nested deeper than " + std::to_string(kDeepest) + " levels");
  }
}

ExpressionPtr make_name(const Place& place, std::string name) {
  return make(Kind::kName, place, std::move(name));
}

ExpressionPtr parse_filter(TokenStream& tokens, const Token& name, ExpressionPtr object) {
  Node filter = make(Kind::kFilter, name.place, name.text, std::move(object));
  if (tokens.accept("(")) parse_arguments(tokens, *filter);
  return filter;
}

ExpressionPtr parse_filters(TokenStream& tokens, ExpressionPtr object) {
  for (;;) {
    const Place place = tokens.peek().place;
    if (tokens.accept("|")) {
      object = parse_filter(tokens, tokens.expect(TokenKind::kName, "a filter's name"), std::move(object));
    } else if (tokens.accept_name("is")) {
      object = parse_test(tokens, std::move(object), place);
    } else {
      return object;
    }
  }
}

ExpressionPtr parse_without_condition(TokenStream& tokens) {
  ExpressionPtr left = parse_and(tokens);
  for (Place place = tokens.peek().place; tokens.accept_name("or"); place = tokens.peek().place) {
    left = make(Kind::kBinary, place, "or", std::move(left), parse_and(tokens));
  }
  return left;
}

ExpressionPtr parse_expression(TokenStream& tokens) {
  const Nesting nesting(tokens);
  ExpressionPtr value = parse_without_condition(tokens);
  const Place place = tokens.peek().place;
  if (!tokens.accept_name("if")) return value;
  ExpressionPtr condition = parse_without_condition(tokens);
  ExpressionPtr otherwise = tokens.accept_name("else") ? parse_expression(tokens) : nullptr;
  return make(Kind::kCondition, place, "", std::move(condition), std::move(value), std::move(otherwise));
}

ExpressionPtr parse_tuple(TokenStream& tokens) {
  const Place place = tokens.peek().place;
  ExpressionPtr first = parse_expression(tokens);
  if (!tokens.is(",")) return first;
  Node list = make(Kind::kList, place, "", std::move(first));
  while (tokens.accept(",")) {
    const TokenKind kind = tokens.peek().kind;
    if (tokens.is(")") || kind == TokenKind::kPrintEnd || kind == TokenKind::kBlockEnd) break;
    adopt(*list, parse_expression(tokens));
  }
  return list;
}

}  // namespace stepdown::tokenizer::jinja
