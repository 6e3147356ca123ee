#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/quant/calibration/redaction.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> kKinds = {"email", "phone", "iban", "card", "name"};
  static const stepdown::quant::Redactor kRedactor(kKinds, {"Ada", "Grace Hopper"});
  std::map<std::string, int> counts;
  const std::string once = kRedactor.redact({reinterpret_cast<const char*>(data), size}, counts);
  std::map<std::string, int> again;
  kRedactor.redact(once, again);
  if (again.contains("email")) __builtin_trap();  // none is left
  return 0;
}
