#pragma once

#include <map>
#include <string>

#include "engine/quant/calibration/corpus.h"
#include "engine/quant/calibration/redaction.h"

namespace stepdown::quant {

/// Personal data out of all that a prompt may show a model: what is said, thought and looked up, by whom,
/// and with which tools.
/// What the chat is made of stays: roles, types, ids. `counts` rises by what was replaced, by kind.
void redact(const Redactor& redactor, CorpusPrompt& prompt, std::map<std::string, int>& counts);

}  // namespace stepdown::quant
