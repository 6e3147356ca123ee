#pragma once

#include <string_view>

namespace stepdown::gateway {

/// How far two answers to the same request differ in substance, in [0, 1]. Texts of a few words: one minus
/// the F1 of their words, without case and punctuation. Longer ones: 1 where that says that they are about
/// something else, 0 otherwise, since good answers are worded differently. JSON: the mean over leaf paths, 1
/// for one that only one has. Symmetric; 0 for equal texts.
double disagreement(std::string_view a, std::string_view b);

}  // namespace stepdown::gateway
