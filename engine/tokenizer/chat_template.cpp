#include "engine/tokenizer/chat_template.h"

#include "engine/tokenizer/jinja/parser.h"
#include "engine/tokenizer/jinja/renderer.h"

namespace stepdown::tokenizer {

struct ChatTemplate::State {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source)
    : state_(std::make_unique<const State>(State{jinja::parse(source)})) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const nlohmann::ordered_json& variables) const {
  return jinja::render(state_->block, variables);
}

}  // namespace stepdown::tokenizer
