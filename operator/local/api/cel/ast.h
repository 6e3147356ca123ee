#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::local::api::cel {

enum class NodeKind {
  kLiteral,      ///< `literal`
  kIdentifier,   ///< `text`
  kSelect,       ///< children[0].text
  kHas,          ///< has(children[0].text)
  kIndex,        ///< children[0][children[1]]
  kCall,         ///< text(children…); a method's receiver is children[0]
  kUnary,        ///< text children[0]
  kBinary,       ///< children[0] text children[1]
  kConditional,  ///< children[0] ? children[1] : children[2]
  kList,         ///< [children…]
  kMap,          ///< {children[0]: children[1], …}
  kMacro,        ///< children[0].text(variable, children[1][, children[2]])
};

struct Node {
  NodeKind kind = NodeKind::kLiteral;
  std::string text;
  nlohmann::json literal;
  std::string variable;  ///< of a macro
  bool method = false;   ///< of a call: children[0] is the receiver
  std::size_t at = 0;    ///< where errors of it are shown: its operator, dot or parenthesis, from 0
  std::vector<Node> children;
};

}  // namespace stepdown::local::api::cel
