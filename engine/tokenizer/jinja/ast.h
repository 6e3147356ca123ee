#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja/lexer.h"
#include "engine/tokenizer/jinja/value.h"

namespace stepdown::tokenizer::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kLiteral,    ///< value
  kName,       ///< name
  kList,       ///< children; tuples too
  kDict,       ///< children: key, value, key, value …
  kAttribute,  ///< children[0] . name
  kItem,       ///< children[0] [ children[1] ]
  kSlice,      ///< children[0] [ 1 : 2 : 3 ], absent parts are null
  kCall,       ///< children[0] ( children[1…], keywords )
  kFilter,     ///< children[0] | name ( children[1…], keywords )
  kTest,       ///< children[0] is name ( children[1…] )
  kUnary,      ///< name children[0]: "not", "-", "+"
  kBinary,     ///< children[0] name children[1]
  kCompare,    ///< children[0] names[0] children[1] names[1] children[2] …
  kCondition,  ///< children[1] if children[0] else children[2], which may be null
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kLiteral;
  Place place;
  int height = 1;  ///< of the tree below, bounded by the parser
  std::string name;
  Value value;
  std::vector<ExpressionPtr> children;
  std::vector<std::string> names;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
};

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind {
  kText,
  kPrint,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kFilterBlock,
  kMacro,
  kCallBlock,
  kBreak,
  kContinue
};

/// What stands for a block's text in the filters applied to it; no template can name it.
inline constexpr const char* kBlockText = "the block";

struct Statement {
  StatementKind kind = StatementKind::kText;
  Place place;
  std::string text;  ///< kText; kSet with an attribute: the namespace's name; kMacro: its name
  std::vector<std::string> targets;  ///< kFor and kSet: names that are bound; kMacro, kCallBlock: parameters
  ExpressionPtr expression;          ///< what to print, test, walk, bind or call; filters of a block
  ExpressionPtr filter;              ///< kFor: `if` behind the iterable
  Block body;
  Block otherwise;                           ///< kIf: else (an elif is an if in here); kFor: else
  std::vector<ExpressionPtr> defaults = {};  ///< kMacro, kCallBlock: of the last parameters
};

}  // namespace stepdown::tokenizer::jinja
