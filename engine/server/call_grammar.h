#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/schema/grammar_builder.h"
#include "engine/server/call_schema.h"

namespace stepdown::server {

/// What a call in a leading format begins with, but for white space: other JSON is an answer.
inline constexpr std::string_view kLeadingCall = "{\"name\"";

/// The grammar of answers that may call, as a format's row builds it piece by piece.
class CallGrammar {
 public:
  using State = schema::GrammarBuilder::State;

  /// Throws InputError that names the strict tool whose schema is not supported.
  CallGrammar(const ToolFormat& format, const ToolUse& use);

  const std::vector<Tool>& tools() const { return use_.tools; }
  bool parallel() const { return use_.parallel; }
  State opened() const { return opened_; }  ///< behind the format's opening
  State end() const { return end_; }        ///< of the answer

  State state() { return builder_.state(); }
  void link(State from, State to) { builder_.nfa.empty.emplace_back(from, to); }
  /// Each returns where it leads to.
  State text(State from, std::string_view text);
  State gap(State from);                            ///< a space, a newline or nothing
  State until(State from, std::string_view close);  ///< any text, and then that
  State document(State from, const nlohmann::ordered_json& schema, std::string_view begun = "");
  /// One call, or a list of them, as a document.
  State calls(State from, CallShape shape, std::string_view begun = "");
  State arguments(State from, const Tool& tool);
  /// The names of the tools, each to a state of its own.
  std::vector<State> names(State from);

  /// Of what was added until now.
  std::shared_ptr<const schema::TextGrammar> build();

 private:
  void leading_call(State start);

  const ToolFormat& format_;
  ToolUse use_;
  schema::GrammarBuilder builder_;
  std::map<std::string, std::shared_ptr<const schema::Schema>> schemas_;  ///< by their text
  State opened_ = 0, end_ = 0;
};

// Rows of tool_format.cpp: what each format writes behind its opening.
void add_tagged_calls(CallGrammar& grammar);
void add_xml_calls(CallGrammar& grammar);
void add_mistral_calls(CallGrammar& grammar);
void add_list_of_calls(CallGrammar& grammar);
void add_deepseek_calls(CallGrammar& grammar);
void add_plain_calls(CallGrammar& grammar);

}  // namespace stepdown::server
