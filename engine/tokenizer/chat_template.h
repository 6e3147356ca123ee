#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::tokenizer {

/// The Jinja subset that published chat templates use. Parsed once; rendering is const and thread-safe.
class ChatTemplate {
 public:
  /// Throws InputError with line and column of what cannot be parsed.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// `variables` as transformers passes them: {"messages": […], "tools": […], "add_generation_prompt": true,
  /// "bos_token": "…", "eos_token": "…"}; keys keep their order, which `tojson` shows. Throws InputError,
  /// also for the template's own raise_exception().
  std::string render(const nlohmann::ordered_json& variables) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace stepdown::tokenizer
