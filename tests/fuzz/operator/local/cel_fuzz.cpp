#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "operator/local/api/cel/program.h"

// A CRD's author writes rules; whoever creates objects chooses what they run on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::local::api;
  static const nlohmann::json kSelf = {
      {"a", 1}, {"s", "text"}, {"l", {1, 2, 3}}, {"m", {{"k", {{"x", -1}}}}}, {"d", 0.5}, {"n", nullptr}};
  try {
    const cel::Program program = cel::Program::compile({reinterpret_cast<const char*>(data), size});
    (void)program.evaluate(kSelf, &kSelf);
  } catch (const cel::SyntaxError&) {
  } catch (const cel::EvaluationError&) {
  }
  return 0;
}
