#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/schema/schema.h"
#include "engine/schema/text_grammar.h"

// "g" or "r", a text, a NUL, then a grammar or a regex: the text is followed as far as it goes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stepdown::schema::TextGrammar;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  if (input.empty() || end == std::string_view::npos) return 0;
  try {
    const std::string_view source = input.substr(end + 1);
    const auto grammar = input[0] == 'g' ? TextGrammar::from_gbnf(source) : TextGrammar::from_regex(source);
    stepdown::schema::PrefixMatcher matcher(grammar);
    for (const char c : input.substr(1, end - 1)) {
      const auto before = matcher.key(1);
      const bool accepted = matcher.accept(static_cast<unsigned char>(c));
      if (!accepted && matcher.key(1) != before) std::abort();  // a refused byte changes nothing
      if (matcher.finished() && !matcher.complete()) std::abort();
    }
  } catch (const stepdown::InputError&) {
    // refused with line and reason: what a bad grammar should get
  }
  return 0;
}
