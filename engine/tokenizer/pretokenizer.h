#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace stepdown::tokenizer {

/// Cuts text into the pieces within which BPE merges, by the regexes of the model family. Thread-safe.
class Pretokenizer {
 public:
  /// `name` is GGUF's `tokenizer.ggml.pre`. Throws InputError when it is unknown.
  explicit Pretokenizer(std::string_view name);
  ~Pretokenizer();
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;

  /// Views into `text` that cover it without gaps. Bytes that are no UTF-8 match nothing and make pieces of
  /// their own.
  std::vector<std::string_view> split(std::string_view text) const;
  /// A piece that is a token as a whole is taken as it is, whatever the merges say.
  bool whole_pieces_first() const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace stepdown::tokenizer
