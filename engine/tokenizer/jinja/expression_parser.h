#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/jinja/ast.h"

namespace stepdown::tokenizer::jinja {

/// The tokens still to be parsed, which end with kEnd for ever.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek() const { return tokens_[at_]; }
  const Token& peek_after() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token next();
  bool is(std::string_view op) const { return peek().kind == TokenKind::kOperator && peek().text == op; }
  bool is_name(std::string_view name) const { return peek().kind == TokenKind::kName && peek().text == name; }
  bool accept(std::string_view op);
  bool accept_name(std::string_view name);
  Token expect(TokenKind kind, std::string_view what);
  void expect_operator(std::string_view op);

 private:
  friend class Nesting;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

/// Counts one level of nesting for as long as it lives; fails beyond the limit.
class Nesting {
 public:
  explicit Nesting(TokenStream& tokens);
  ~Nesting() { --tokens_.depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  TokenStream& tokens_;
};

ExpressionPtr parse_expression(TokenStream& tokens);
/// An expression, or several with commas between, which make a list.
ExpressionPtr parse_tuple(TokenStream& tokens);
/// A filter whose name was read, with its arguments.
ExpressionPtr parse_filter(TokenStream& tokens, const Token& name, ExpressionPtr object);
/// `| filter(…) | …` and `is test` behind an object.
ExpressionPtr parse_filters(TokenStream& tokens, ExpressionPtr object);
/// A name as an expression.
ExpressionPtr make_name(const Place& place, std::string name);
/// Stops before `if`, which a for loop's filter needs.
ExpressionPtr parse_without_condition(TokenStream& tokens);

}  // namespace stepdown::tokenizer::jinja
