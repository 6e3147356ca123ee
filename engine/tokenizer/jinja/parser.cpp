#include "engine/tokenizer/jinja/parser.h"

#include <initializer_list>
#include <utility>

#include "engine/tokenizer/jinja/expression_parser.h"

namespace stepdown::tokenizer::jinja {
namespace {

class TemplateParser {
 public:
  explicit TemplateParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Block run() {
    Block block = parse_block({});
    if (tokens_.peek().kind != TokenKind::kEnd) fail(tokens_.peek().place, "unexpected end of block");
    return block;
  }

 private:
  /// Statements up to a tag whose name is in `ends`; stops in front of that name.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(tokens_);
    Block block;
    for (;;) {
      Token token = tokens_.next();
      if (token.kind == TokenKind::kEnd) {
        if (ends.size() > 0) fail(token.place, "'" + std::string(*(ends.end() - 1)) + "' is missing");
        return block;
      }
      if (token.kind == TokenKind::kData) {
        block.push_back({StatementKind::kText, token.place, std::move(token.text), {}, {}, {}, {}, {}});
      } else if (token.kind == TokenKind::kPrintBegin) {
        block.push_back({StatementKind::kPrint, token.place, {}, {}, parse_tuple(tokens_), {}, {}, {}});
        tokens_.expect(TokenKind::kPrintEnd, "}}");
      } else {
        for (const std::string_view end : ends) {
          if (tokens_.peek().kind == TokenKind::kName && tokens_.peek().text == end) return block;
        }
        parse_statement(block);
      }
    }
  }

  void parse_statement(Block& block) {
    const Token name = tokens_.expect(TokenKind::kName, "a statement's name");
    if (name.text == "if") {
      block.push_back(parse_if(name.place));
    } else if (name.text == "for") {
      block.push_back(parse_for(name.place));
    } else if (name.text == "set") {
      block.push_back(parse_set(name.place));
    } else if (name.text == "break" || name.text == "continue") {
      if (loops_ == 0) fail(name.place, "'" + name.text + "' outside a loop");
      block.push_back({name.text == "break" ? StatementKind::kBreak : StatementKind::kContinue,
                       name.place,
                       {},
                       {},
                       {},
                       {},
                       {},
                       {}});
      end_tag();
    } else if (name.text == "macro") {
      block.push_back(parse_macro(name.place));
    } else if (name.text == "call") {
      block.push_back(parse_call_block(name.place));
    } else if (name.text == "filter") {
      block.push_back(parse_filter_block(name.place));
    } else if (name.text ==
               "generation") {  // transformers' mark of what the assistant wrote: no effect on the text
      end_tag();
      for (Statement& statement : parse_block({"endgeneration"})) block.push_back(std::move(statement));
      tokens_.next();
      end_tag();
    } else {
      fail(name.place, "statement '" + name.text + "' is not supported");
    }
  }

  Statement parse_if(const Place& place) {
    const Nesting nesting(tokens_);  // elif chains nest
    Statement statement{StatementKind::kIf, place, {}, {}, parse_expression(tokens_), {}, {}, {}};
    end_tag();
    statement.body = parse_block({"elif", "else", "endif"});
    const Token next = tokens_.next();
    if (next.text == "elif") {
      statement.otherwise.push_back(parse_if(next.place));
      return statement;
    }
    end_tag();
    if (next.text == "else") {
      statement.otherwise = parse_block({"endif"});
      tokens_.next();
      end_tag();
    }
    return statement;
  }

  Statement parse_for(const Place& place) {
    Statement statement{StatementKind::kFor, place, {}, parse_targets(), {}, {}, {}, {}};
    if (!tokens_.accept_name("in")) fail(tokens_.peek().place, "'in' is missing");
    statement.expression = parse_without_condition(tokens_);
    if (tokens_.accept_name("if")) statement.filter = parse_expression(tokens_);
    end_tag();
    ++loops_;
    statement.body = parse_block({"else", "endfor"});
    --loops_;
    if (tokens_.next().text == "else") {
      end_tag();
      statement.otherwise = parse_block({"endfor"});
      tokens_.next();
    }
    end_tag();
    return statement;
  }

  Statement parse_set(const Place& place) {
    Statement statement{StatementKind::kSet, place, {}, parse_targets(), {}, {}, {}, {}};
    if (statement.targets.size() == 1 && tokens_.accept(".")) {
      statement.text = statement.targets[0];
      statement.targets[0] = tokens_.expect(TokenKind::kName, "an attribute").text;
    }
    if (tokens_.accept("=")) {
      statement.expression = parse_tuple(tokens_);
      end_tag();
      return statement;
    }
    statement.kind = StatementKind::kSetBlock;
    if (tokens_.is("|")) statement.expression = parse_filters(tokens_, make_name(place, kBlockText));
    end_tag();
    close(statement, "endset");
    return statement;
  }

  Statement parse_macro(const Place& place) {
    Statement statement{StatementKind::kMacro, place, {}, {}, {}, {}, {}, {}};
    statement.text = tokens_.expect(TokenKind::kName, "the macro's name").text;
    parse_signature(statement);
    end_tag();
    const int outside = std::exchange(loops_, 0);
    close(statement, "endmacro");
    loops_ = outside;
    return statement;
  }

  Statement parse_call_block(const Place& place) {
    Statement statement{StatementKind::kCallBlock, place, {}, {}, {}, {}, {}, {}};
    if (tokens_.is("(")) parse_signature(statement);
    statement.expression = parse_expression(tokens_);
    if (statement.expression->kind != ExpressionKind::kCall) fail(place, "'call' needs a macro's call");
    end_tag();
    const int outside = std::exchange(loops_, 0);
    close(statement, "endcall");
    loops_ = outside;
    return statement;
  }

  Statement parse_filter_block(const Place& place) {
    Statement statement{StatementKind::kFilterBlock, place, {}, {}, {}, {}, {}, {}};
    const Token name = tokens_.expect(TokenKind::kName, "a filter's name");
    statement.expression = parse_filters(tokens_, parse_filter(tokens_, name, make_name(place, kBlockText)));
    end_tag();
    close(statement, "endfilter");
    return statement;
  }

  /// ( name, name = default, … )
  void parse_signature(Statement& statement) {
    tokens_.expect_operator("(");
    while (!tokens_.accept(")")) {
      const Token name = tokens_.expect(TokenKind::kName, "a parameter");
      statement.targets.push_back(name.text);
      if (tokens_.accept("=")) {
        statement.defaults.push_back(parse_expression(tokens_));
      } else if (!statement.defaults.empty()) {
        fail(name.place, "a parameter without default behind one with a default");
      }
      if (!tokens_.is(")")) tokens_.expect_operator(",");
    }
  }

  void close(Statement& statement, std::string_view end) {
    statement.body = parse_block({end});
    tokens_.next();
    end_tag();
  }

  std::vector<std::string> parse_targets() {
    const bool enclosed = tokens_.accept("(");
    std::vector<std::string> targets = {tokens_.expect(TokenKind::kName, "a name").text};
    while (tokens_.accept(",")) targets.push_back(tokens_.expect(TokenKind::kName, "a name").text);
    if (enclosed) tokens_.expect_operator(")");
    return targets;
  }

  void end_tag() { tokens_.expect(TokenKind::kBlockEnd, "%}"); }

  TokenStream tokens_;
  int loops_ = 0;
};

}  // namespace

Block parse(std::string_view source) {
  return TemplateParser(lex(source)).run();
}

}  // namespace stepdown::tokenizer::jinja
