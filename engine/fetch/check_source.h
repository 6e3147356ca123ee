#pragma once

#include <string_view>

namespace stepdown::fetch {

/// Whether a source is well-formed, as fetching it would find at once: nothing is asked of anybody. Throws
/// InputError that says what is wrong and how to mend it.
void check_source(std::string_view text);

}  // namespace stepdown::fetch
