#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "operator/webhook/review.h"

// Whatever the body is, the answer is an AdmissionReview with a decision, or a reason why it is none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto profiles = [](const std::string& name) -> std::optional<api::EngineProfile> {
    if (name != "vllm") return std::nullopt;
    return api::EngineProfile{.spec = {.formats = {"awq"}}};
  };
  const webhook::Answer answer = webhook::review(body, profiles);
  if (answer.status == 200) {
    const auto parsed = nlohmann::json::parse(answer.body, nullptr, false);
    if (!parsed.is_object() || !parsed["response"]["allowed"].is_boolean()) std::abort();
  } else if (answer.status != 400 || answer.body.empty()) {
    std::abort();
  }
  return 0;
}
