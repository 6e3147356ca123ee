#pragma once

#include "engine/tokenizer/jinja/builtins.h"

namespace stepdown::tokenizer::jinja {

// The filters that need an order. Text compares without case unless `case_sensitive` asks for it, as in
// Jinja.

Value filter_sort(const Arguments& args);      ///< sort(reverse, case_sensitive, attribute)
Value filter_dictsort(const Arguments& args);  ///< dictsort(case_sensitive, by, reverse)
Value filter_min(const Arguments& args);       ///< min(case_sensitive, attribute)
Value filter_max(const Arguments& args);

}  // namespace stepdown::tokenizer::jinja
