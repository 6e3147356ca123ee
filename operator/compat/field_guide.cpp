#include "operator/compat/field_guide.h"

namespace stepdown::compat {
namespace {

constexpr Concern kPitfalls[] = {
    {"Benchmarking on multiple choice only", {"SD023"}},
    {"Calibration unlike production", {"SD021", "SD022", "SD038"}},
    {"Formats mixed, or given to the wrong engine", {"SD015", "SD016", "SD017", "SD018", "SD044"}},
    {"The KV cache ignored", {"SD005", "SD027", "SD037"}},
    {"Bad merges", {"SD003", "SD025", "SD060"}},
    {"No FP16 route to roll back to", {"SD004", "SD028"}},
    {"The smallest file chased", {"SD007", "SD029", "SD039"}},
    {"Tokenizer parity lost", {"SD020"}},
};

constexpr Concern kChecklist[] = {
    {"SLOs are defined", {"SD012", "SD014", "SD030", "SD054", "SD055"}},
    {"The FP16 baseline is measured", {"SD025", "SD031", "SD059"}},
    {"The format matches engine and hardware", {"SD015", "SD016", "SD017", "SD047", "SD052"}},
    {"Calibration text is redacted", {"SD032"}},
    {"Several presets are compared", {"SD033"}},
    {"Load is tested, at long context as well", {"SD034"}},
    {"A smaller KV cache comes after the attention check", {"SD008", "SD053"}},
    {"The manifest is pinned", {"SD011", "SD035", "SD050"}},
    {"A canary with a way back", {"SD004", "SD013", "SD056", "SD057", "SD058"}},
    {"Evaluated again when weights, adapters or template change", {"SD020", "SD024", "SD060"}},
};

}  // namespace

std::span<const Concern> pitfalls() {
  return kPitfalls;
}

std::span<const Concern> checklist() {
  return kChecklist;
}

}  // namespace stepdown::compat
