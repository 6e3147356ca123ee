#pragma once

#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Adds every control token whose text is a published end-of-turn mark ("<|im_end|>", "<|eot_id|>", …) to
/// `end_of_turn`, sorts that list and drops what it holds twice or what is EOS already. Files list such
/// tokens inconsistently; a model that emits one has ended its turn.
void complete_end_of_turn(TokenizerData& tokenizer);

}  // namespace stepdown::formats
