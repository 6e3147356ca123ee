#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"
#include "engine/server/tools.h"

namespace stepdown::server {

struct ToolCall {
  std::string name;
  std::string arguments;  ///< a JSON text
};

class CallGrammar;

/// How a family of models writes its calls.
struct ToolFormat {
  std::string_view name;
  /// The chat template that teaches the format holds this.
  std::string_view in_template;
  /// What a call begins with. The text before it is content.
  std::string_view opening;
  /// The opening counts only at the answer's start.
  bool leading = false;
  /// The calls in a text that begins with the opening; nullopt when it holds none after all.
  std::optional<std::vector<ToolCall>> (*parse)(std::string_view text);
  /// Lets calls be read behind the opening, as parse() reads them.
  void (*add_calls)(CallGrammar& grammar);

  /// For answers that must be a call: the prompt ends with this, and the answer is one JSON document.
  std::string_view forced_opening;
  std::string_view arguments_key = "arguments";
  bool forced_list = false;  ///< the document is a list of calls
};

/// The format of the model's chat template; the last row, plain JSON, when it shows none.
const ToolFormat& tool_format_of(std::string_view chat_template);

/// The schema of the document that a forced answer is.
nlohmann::ordered_json forced_call_schema(const ToolFormat& format, const ToolUse& use);
/// The same, compiled: the arguments of tools that are not strict and whose schema is not supported are any
/// object. Throws InputError that names the strict tool whose schema is not supported.
std::shared_ptr<const schema::Schema> forced_call(const ToolFormat& format, const ToolUse& use);

/// Where a forced answer goes on behind a text: what of the text belongs to the document of its call;
/// nullopt: none has begun.
std::optional<std::string_view> begun_call(const ToolFormat& format, std::string_view written);

/// The language of answers that may call: any text, and behind the format's opening calls of the tools; their
/// arguments match the schema of a strict tool, and are any object for others. In a leading format an
/// answer that begins with {"name" is a call. Throws InputError that names the tool whose schema is not
/// supported.
std::shared_ptr<const schema::TextGrammar> free_call_grammar(const ToolFormat& format, const ToolUse& use);

/// Parts an answer into content, which may be shown at once, and calls, which show at its end.
class ToolCallSplitter {
 public:
  /// `forced`: the whole answer is the document of forced_call_schema(). `parallel`: more calls than one
  /// count.
  ToolCallSplitter(const ToolFormat& format, bool forced, bool parallel = true)
      : format_(&format), forced_(forced), parallel_(parallel) {}
  /// The answer goes on behind this text, which is not content again.
  void go_on_from(std::string_view written);
  /// The content that is certain now.
  std::string push(std::string_view text);
  struct End {
    std::string content;
    std::vector<ToolCall> calls;
  };
  End finish();

 private:
  End called(std::vector<ToolCall> calls) const;
  /// Takes the content off the front of what is held.
  std::string take(std::size_t count);

  const ToolFormat* format_;
  bool forced_;
  bool parallel_;
  std::string held_;
  std::size_t written_ = 0;  ///< how much of it stood there before the answer
  bool started_ = false;     ///< something was shown: a leading call cannot come any more
};

}  // namespace stepdown::server
