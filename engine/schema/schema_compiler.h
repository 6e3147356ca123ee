#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/schema/grammar.h"
#include "engine/schema/keywords.h"

namespace stepdown::schema {

/// A schema on its way to a grammar: one node after the other, as compile_grammar() and its files by kind add
/// them.
class SchemaCompiler {
 public:
  explicit SchemaCompiler(const nlohmann::ordered_json& root) : root_(root) {}
  std::shared_ptr<const Grammar> run();
  std::shared_ptr<const Grammar> run_any_object();

 private:
  using ordered_json = nlohmann::ordered_json;

  // compiler.cpp
  std::shared_ptr<const Grammar> finish();
  void check_exclusive() const;
  NodeId add(Node node);
  NodeId any_of(std::vector<NodeId> alternatives);
  NodeId any();                       ///< any JSON value
  NodeId any(std::string_view type);  ///< any value of a plain type
  NodeId never() { return any_of({}); }
  /// What no document satisfies: told, unless it is one of the combinations that were made of several
  /// schemas.
  NodeId impossible(const std::string& what, const std::string& path);
  NodeId compile(const ordered_json& schema, const std::string& path);
  NodeId compile_object(const ordered_json& schema, const std::string& path);
  /// Of a schema without references and combinators. `merged`: nobody wrote it as it is.
  NodeId flat(const ordered_json& schema, const std::string& path, bool merged);
  NodeId of_type(const ordered_json& schema, std::string_view type, const std::string& path);
  const ordered_json& target_of(const ordered_json& reference, const std::string& path) const;
  NodeId reference(const ordered_json& schema, const std::string& path);
  NodeId combine(const ordered_json& list, const std::string& keyword, const std::string& path);

  // conjunction.cpp
  NodeId conjunction(const ordered_json& schema, const std::string& path);
  NodeId conjoin(std::vector<ordered_json> parts, const std::string& path);

  // unevaluated.cpp
  class Evaluation;
  /// Says what a part's `unevaluated…` say by plain keywords, in another of the parts.
  void plain_unevaluated(ordered_json& part, std::vector<ordered_json>& parts, const std::string& path) const;

  // compile_containers.cpp
  NodeId object(const ordered_json& schema, const std::string& path);
  void add_properties(const ordered_json& schema, Node& node, const std::string& path);
  void add_property(Node& node, Node::Property property);
  void pattern_properties(const ordered_json& schema, Node& node, const std::string& path);
  void property_names(const ordered_json& schema, Node& node, const std::string& path);
  void set_names(Node& node, const StringRules& rules, const std::string& where);
  /// False: no object has as many properties.
  bool count_properties(const ordered_json& schema, Node& node, const std::string& path);
  NodeId array(const ordered_json& schema, const std::string& path);
  /// False: no list holds as few and as many of them.
  bool add_contains(const ordered_json& schema, const ordered_json& items, Node& node,
                    const std::string& path);
  /// Lists whose items must differ choose from the values that are left.
  void list_choices();

  // compile_scalars.cpp
  NodeId literals(const std::vector<ordered_json>& values);
  void set_literals(Node& node, const std::vector<ordered_json>& values);
  void count_literal(const std::string& text);
  NodeId enumerated(const ordered_json& schema, const std::vector<std::string>& types,
                    const std::string& path);
  /// Leaves those values that what stands beside them allows.
  void filter_values();
  NodeId named_values(const ordered_json& schema, std::string_view type);
  NodeId number(const ordered_json& schema, bool integer, const std::string& path);
  NodeId string(const ordered_json& schema, const std::string& path);
  struct Pattern {
    std::shared_ptr<const StringPattern> written, meant;
  };
  /// `where`: what a refusal names.
  Pattern automata_at(const StringRules& rules, const std::string& where);
  Pattern automata_of(const StringRules& rules);

  struct OneOf {
    std::vector<NodeId> alternatives;
    std::string path;
  };
  /// Values, and the rule that they must satisfy besides.
  struct Filter {
    NodeId values;
    NodeId rule;
  };
  struct Unique {
    NodeId list;
    std::string path;
  };

  const ordered_json& root_;
  Grammar grammar_;
  std::map<std::string, std::string> anchors_;  ///< to where they stand
  std::map<std::string, NodeId> references_;    ///< by what is referred to
  std::map<std::string, NodeId> conjunctions_;  ///< by their text
  std::size_t conjoined_bytes_ = 0;
  std::vector<OneOf> one_ofs_;
  std::vector<Filter> filters_;
  std::vector<Unique> uniques_;
  std::map<std::string, Pattern> patterns_;
  std::size_t pattern_states_ = 0;
  std::size_t literal_bytes_ = 0;
  std::map<std::string, NodeId, std::less<>> any_types_;
  NodeId any_ = kNoNode;
  bool merged_ = false;
  int depth_ = 0;
};

/// Whether {"not": {"enum": […]}} of the schema names a value of the type.
bool excludes(const nlohmann::ordered_json& schema, std::string_view type);

}  // namespace stepdown::schema
