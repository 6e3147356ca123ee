#pragma once

#include "engine/formats/header_facts.h"
#include "operator/api/kinds.h"

namespace stepdown::compat {

/// What the inspect Job would tell of a model, as far as headers alone tell it: without digests, which take
/// reading the whole of it.
api::ModelFacts facts_of(const formats::HeaderFacts& header);

}  // namespace stepdown::compat
