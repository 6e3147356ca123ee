#include "engine/tokenizer/jinja/renderer.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/builtins.h"
#include "engine/tokenizer/jinja/evaluator.h"

namespace stepdown::tokenizer::jinja {
namespace {

/// Namespaces alone can be assigned to after they were made: one that held itself, in a list say, would never
/// end to print. Macros, which reach names, count as namespaces.
bool holds_namespace(const Value& value) {
  if (value.as<std::shared_ptr<const Callable>>() != nullptr) return true;
  if (const Dict* dict = value.as_dict(); dict != nullptr) {
    if (dict->assignable) return true;
    for (const auto& entry : dict->entries) {
      if (holds_namespace(entry.second)) return true;
    }
  }
  if (const List* list = value.as_list(); list != nullptr) {
    for (const Value& item : *list) {
      if (holds_namespace(item)) return true;
    }
  }
  return false;
}

enum class Flow { kNext, kBreak, kContinue };

class Renderer {
 public:
  explicit Renderer(const nlohmann::ordered_json& variables) : evaluator_(scope_) {
    for (const auto& [name, value] : variables.items()) scope_.set(name, Value::from_json(value));
  }

  std::string run(const Block& block) {
    walk(block);
    return std::move(out_);
  }

 private:
  Flow walk(const Block& block) {
    if (block.empty()) return Flow::kNext;
    const Depth depth(evaluator_, block.front().place);
    for (const Statement& statement : block) {
      evaluator_.step(statement.place);
      const Flow flow = execute(statement);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Flow execute(const Statement& statement) {
    switch (statement.kind) {
      case StatementKind::kText:
        out_ += statement.text;
        break;
      case StatementKind::kPrint:
        out_ += to_text(evaluator_.evaluate(*statement.expression));
        break;
      case StatementKind::kIf:
        return walk(evaluator_.evaluate(*statement.expression).truthy() ? statement.body
                                                                        : statement.otherwise);
      case StatementKind::kFor:
        return loop(statement);
      case StatementKind::kSet:
        assign(statement, evaluator_.evaluate(*statement.expression));
        break;
      case StatementKind::kSetBlock: {
        Flow flow = Flow::kNext;
        assign(statement, filtered(statement, captured(statement.body, flow)));
        return flow;
      }
      case StatementKind::kFilterBlock: {
        Flow flow = Flow::kNext;
        out_ += to_text(filtered(statement, captured(statement.body, flow)));
        return flow;
      }
      case StatementKind::kMacro:
        scope_.set(statement.text, macro(statement));
        break;
      case StatementKind::kCallBlock:
        out_ += to_text(evaluator_.evaluate_call(*statement.expression, macro(statement)));
        break;
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    check_size(out_.size());
    return Flow::kNext;
  }

  /// What the block writes.
  std::string captured(const Block& block, Flow& flow) {
    std::string outer = std::exchange(out_, {});
    flow = walk(block);
    return std::exchange(out_, std::move(outer));
  }

  /// The block's text after the filters that its tag names.
  Value filtered(const Statement& statement, std::string text) {
    if (!statement.expression) return text;
    scope_.push();
    scope_.set(kBlockText, std::move(text));
    Value value = evaluator_.evaluate(*statement.expression);
    scope_.pop();
    return value;
  }

  /// A macro, or a call block's body, as a value: it writes into a text of its own.
  Value macro(const Statement& statement) {
    const std::size_t depth = scope_.depth();
    return std::make_shared<const Callable>(
        Callable{[this, &statement, depth](const Arguments& args) -> Value {
          Scope::Hidden hidden = scope_.hide(depth);
          const std::size_t visible = scope_.depth();
          scope_.push();
          bind_arguments(statement, args);
          Flow flow = Flow::kNext;
          std::string text = captured(statement.body, flow);
          scope_.restore(std::move(hidden), visible);
          return text;
        }});
  }

  void bind_arguments(const Statement& statement, const Arguments& args) {
    const std::vector<std::string>& names = statement.targets;
    if (args.positional.size() > names.size())
      fail(statement.place,
           "'" + statement.text + "' takes at most " + std::to_string(names.size()) + " arguments");
    for (const auto& [name, value] : args.keywords) {
      if (name != "caller" && std::ranges::find(names, name) == names.end())
        fail(statement.place, "'" + statement.text + "' has no parameter '" + name + "'");
      if (name == "caller") scope_.set(name, value);
    }
    const std::size_t required = names.size() - statement.defaults.size();
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (const Value* given = args.get(i, names[i]); given != nullptr) {
        scope_.set(names[i], *given);
      } else {
        scope_.set(names[i], i < required ? Value::undefined(names[i])
                                          : evaluator_.evaluate(*statement.defaults[i - required]));
      }
    }
  }

  void assign(const Statement& statement, Value value) {
    if (statement.text.empty()) {
      bind(statement.targets, std::move(value), statement.place);
      return;
    }
    const Value* target = scope_.find(statement.text);
    Dict* dict = target == nullptr ? nullptr : target->as_dict();
    if (dict == nullptr || !dict->assignable)
      fail(statement.place, "'" + statement.text + "' is no namespace");
    if (holds_namespace(value)) fail(statement.place, "namespaces cannot hold namespaces");
    dict->set(statement.targets[0], std::move(value));
  }

  void bind(const std::vector<std::string>& targets, Value value, const Place& place) {
    if (targets.size() == 1) {
      scope_.set(targets[0], std::move(value));
      return;
    }
    const List* parts = value.as_list();
    if (parts == nullptr || parts->size() != targets.size())
      fail(place, "cannot unpack into " + std::to_string(targets.size()) + " names");
    for (std::size_t i = 0; i < targets.size(); ++i) scope_.set(targets[i], (*parts)[i]);
  }

  List items_of(const Statement& statement) {
    const Value iterable = evaluator_.evaluate(*statement.expression);
    List items;
    try {
      items = iterate(iterable);
    } catch (const InputError& error) {
      fail(statement.place, error.what());
    }
    if (!statement.filter) return items;
    List kept;
    for (Value& item : items) {
      scope_.push();
      bind(statement.targets, item, statement.place);
      if (evaluator_.evaluate(*statement.filter).truthy()) kept.push_back(std::move(item));
      scope_.pop();
    }
    return kept;
  }

  Flow loop(const Statement& statement) {
    const List items = items_of(statement);
    if (items.empty()) return walk(statement.otherwise);
    const auto count = static_cast<std::int64_t>(items.size());
    for (std::int64_t i = 0; i < count; ++i) {
      evaluator_.step(statement.place);  // an empty body has no statement that would count
      const auto at = [&](std::int64_t k) {
        return k >= 0 && k < count ? items[static_cast<std::size_t>(k)] : Value::undefined("item");
      };
      auto state = std::make_shared<Dict>();
      state->entries = {{"index", i + 1},
                        {"index0", i},
                        {"first", i == 0},
                        {"last", i + 1 == count},
                        {"length", count},
                        {"revindex", count - i},
                        {"revindex0", count - i - 1},
                        {"previtem", at(i - 1)},
                        {"nextitem", at(i + 1)}};
      scope_.push();
      scope_.set("loop", Value(state));
      bind(statement.targets, items[static_cast<std::size_t>(i)], statement.place);
      const Flow flow = walk(statement.body);
      scope_.pop();
      if (flow == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Scope scope_;
  Evaluator evaluator_;
  std::string out_;
};

}  // namespace

std::string render(const Block& block, const nlohmann::ordered_json& variables) {
  return Renderer(variables).run(block);
}

}  // namespace stepdown::tokenizer::jinja
