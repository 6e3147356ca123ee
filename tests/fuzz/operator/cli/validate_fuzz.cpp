#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/base/error.h"
#include "operator/cli/judgement.h"
#include "operator/cli/validate_report.h"

// Whatever a manifest holds, `validate` reads, judges and prints it in each format, or says what is wrong.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    cli::Documents documents;
    std::vector<cli::Located> findings;
    cli::add_documents(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml", documents,
                       findings);
    for (auto& each : cli::judge(documents)) findings.push_back(std::move(each));
    for (const cli::Located& each : findings) {
      if (each.line < 1 || each.finding.mend.empty()) std::abort();
    }
    for (const char* format : {"text", "json", "sarif", "github"}) {
      if (cli::print_findings(findings, format).empty() && !findings.empty()) std::abort();
    }
  } catch (const InputError&) {
  }
  return 0;
}
