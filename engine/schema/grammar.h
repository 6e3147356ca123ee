#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/schema/decimal_range.h"
#include "engine/schema/literal_trie.h"
#include "engine/schema/string_pattern.h"

namespace stepdown::schema {

using NodeId = std::int32_t;
inline constexpr NodeId kNoNode = -1;
/// Containers nest at most this deep, in what is generated and in what is valid.
inline constexpr int kDeepest = 64;
inline constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int32_t kAnyCount = std::numeric_limits<std::int32_t>::max();

enum class NodeKind { kObject, kArray, kString, kBoundedNumber, kNumber, kLiterals, kAnyOf };

/// One rule of the grammar; which members count is the kind's affair.
struct Node {
  NodeKind kind = NodeKind::kAnyOf;
  /// Containers that every document of this node nests at least: 0 for scalars.
  int height = 0;

  // kObject: in the schema's order. `keys` numbers them.
  struct Property {
    std::string name;
    NodeId value;
    bool required;
  };
  std::vector<Property> properties;
  NodeId additional = kNoNode;  ///< what other properties hold; kNoNode: there are none
  std::shared_ptr<const StringPattern>
      names_written;  ///< of those others, as `written` and `meant`; null: any
  std::shared_ptr<const StringPattern> names_meant;

  // kArray: the first items each by its own rule, the rest by `items` (kNoNode: there is no rest).
  std::vector<NodeId> prefix;
  NodeId items = kNoNode;
  std::vector<NodeId> choices;  ///< one for each value that an item may have, where no two may be equal

  // kArray: how many items are asked for that `contains` is valid for; kNoNode: none are. Each is written as
  // one that is `counted` or as another, which is certainly none of them where those have an upper bound.
  NodeId contains = kNoNode;
  NodeId counted = kNoNode;
  NodeId other = kNoNode;
  std::int32_t least_contained = 0;
  std::int32_t most_contained = kAnyCount;

  // kArray: items; kString: code points; kObject: properties, of which 0 or 1 are asked for beside the
  // required.
  std::int64_t least = 0;
  std::int64_t most = kUnbounded;

  // kString
  std::shared_ptr<const StringPattern> written;  ///< over text that JSON need not escape: what is generated
  std::shared_ptr<const StringPattern> meant;    ///< over any text: what is valid

  // kBoundedNumber
  DecimalRange range;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool exclusive_minimum = false;
  bool exclusive_maximum = false;
  bool integer = false;

  // kLiterals: whole JSON texts. kObject: the properties' names as written in JSON, without quotes.
  LiteralTrie literals;
  std::vector<nlohmann::json> values;

  // kAnyOf
  std::vector<NodeId> alternatives;
};

struct Grammar {
  std::vector<Node> nodes;
  NodeId root = kNoNode;
  const Node& operator[](NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
};

}  // namespace stepdown::schema
