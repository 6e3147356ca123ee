#include "engine/quant/quantize_options.h"

#include <CLI/CLI.hpp>

#include "engine/base/arguments.h"
#include "engine/base/error.h"
#include "engine/base/words.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

std::string joined(const auto& rows, auto name_of) {
  std::string names;
  for (const auto& row : rows) names += (names.empty() ? "" : "|") + std::string(name_of(row));
  return names;
}

// Codes are packed eight to a word, and engines read groups of whole words.
constexpr std::int64_t kLargestGroup = 65536;  // as the CRD has it

CLI::Validator group_size() {
  const auto read = [](const std::string& given) -> std::string {
    std::int64_t size = 0;
    const bool whole = CLI::detail::lexical_cast(given, size);
    return whole && (size == -1 || (size > 0 && size <= kLargestGroup && size % 8 == 0))
               ? ""
               : "give -1 or a multiple of 8, not " + given;
  };
  return {read, ""};
}

constexpr const char* kMethods = "Methods";

void add_method_options(CLI::App& app, MethodRequest& request) {
  WeightSettings& weights = request.weights;
  app.add_option("--preset", request.preset, "gguf: mix of types")
      ->type_name(joined(presets(), [](const Preset& preset) { return preset.name; }))
      ->group(kMethods);
  app.add_option("--budget", request.budget, "mixed: bytes that the file may have; K, M and G count by 1024")
      ->transform(bytes())
      ->type_name("BYTES")
      ->group(kMethods);
  app.add_option("--bits", weights.bits, "Bits a weight (gptq, autoround, qat: 2, 3, 4 or 8)")
      ->group(kMethods);
  app.add_option("--group-size", weights.group_size,
                 "Weights that share a scale, a multiple of 8; -1: a whole row (default 128)")
      ->check(group_size())
      ->group(kMethods);
  app.add_option("--granularity", weights.granularity, "int8, int4, fp8: what else shares a scale")
      ->type_name("tensor|channel|group|block")
      ->group(kMethods);
  app.add_flag("!--asymmetric", weights.symmetric,
               "int8, int4, gptq, autoround: codes with a zero of their own")
      ->group(kMethods);
  app.add_flag("!--no-clip", weights.search_clip, "Take ranges as they are, do not search for narrower ones")
      ->group(kMethods);
  app.add_flag("!--no-act-order", weights.act_order, "gptq: columns in their stored order")->group(kMethods);
  app.add_flag("!--no-static-groups", weights.static_groups,
               "gptq: groups in the order of quantization (g_idx)")
      ->group(kMethods);
  app.add_option("--damping", weights.damping, "gptq: share of the Hessian's mean diagonal added to it")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(kMethods);
  app.add_option("--checkpoint-format", weights.gptq_version,
                 "gptq: how zeros are stored [gptq; gptq_v2 when asymmetric]")
      ->transform(one_of<formats::GptqVersion>(
          {{"gptq", formats::GptqVersion::kV1}, {"gptq_v2", formats::GptqVersion::kV2}}))
      ->type_name("gptq|gptq_v2")
      ->group(kMethods);
  app.add_option("--steps", weights.steps,
                 "autoround: of gradient descent, a matrix [200]; qat: of training [400]")
      ->check(CLI::Range(1, 1000000))
      ->group(kMethods);
  app.add_option("--max-hours", request.max_hours, "qat: ends after that time with what it has")
      ->check(positive())
      ->capture_default_str()
      ->group(kMethods);
  app.add_option("--learning-rate", request.learning_rate, "qat: of Adam, at its height")
      ->check(positive())
      ->capture_default_str()
      ->group(kMethods);
  app.add_option("--migration", weights.migration,
                 "smoothquant: how much of the outliers moves into the weights")
      ->capture_default_str()
      ->group(kMethods);
  app.add_flag("--static-activations", weights.static_activations,
               "fp8, smoothquant: one measured scale for a layer's inputs, not one a token")
      ->group(kMethods);
  app.add_option("--imatrix", request.imatrix, "gguf: an importance matrix that llama-imatrix made")
      ->type_name("FILE")
      ->group(kMethods);
  app.add_option("--imatrix-out", request.imatrix_out,
                 "gguf, mixed: keep the importance matrix that is computed")
      ->type_name("FILE")
      ->group(kMethods);
}

void add_calibration_options(CLI::App& app, CalibrationRequest& calibration) {
  constexpr const char* kGroup = "Calibration";
  app.add_option("--calibration", calibration.path,
                 "Prompts like those to be served: .jsonl of messages, prompts or texts, .txt, or a folder")
      ->type_name("PATH")
      ->group(kGroup);
  app.add_option("--samples", calibration.samples, "How many of them, evenly over their lengths")
      ->check(positive())
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--max-tokens", calibration.max_tokens, "Of one prompt; the rest is cut off")
      ->check(CLI::Range(std::int64_t{16}, std::int64_t{1} << 20))
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--seed", calibration.seed, "Of the choice of prompts")
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--redact", calibration.redact, "Personal data to replace before anything is kept")
      ->delimiter(',')
      ->type_name("email,phone,iban,card,name")
      ->group(kGroup);
  app.add_option("--redact-names", calibration.names, "Names to replace, one a line")
      ->type_name("FILE")
      ->group(kGroup);
  app.add_option("--evaluation", calibration.evaluation,
                 "The prompts that the model will be judged by: warns when the calibration's are unlike them")
      ->type_name("PATH")
      ->group(kGroup);
}

}  // namespace

void add_options(CLI::App& app, QuantizeOptions& options) {
  app.add_option("--model", options.model,
                 "The F16, BF16 or F32 model: a .gguf file or a Hugging Face folder")
      ->required()
      ->type_name("PATH");
  app.add_option("--adapter", options.adapters, "A PEFT LoRA adapter to merge first, in F32; may be repeated")
      ->type_name("PATH[=WEIGHT]");
  app.add_option("--artifacts", options.artifacts, "Store the result under its digest: DIR/<sha256>/")
      ->type_name("DIR");
  app.add_option("--out", options.out, "Store the result as this file or folder")->type_name("PATH");
  app.add_option("--method", options.method, "How to quantize")
      ->type_name(joined(methods(), [](const Method& method) { return method.name; }))
      ->capture_default_str();
  add_method_options(app, options.request);
  add_calibration_options(app, options.calibration);
  app.add_option("--report", options.report, "Write what was done as JSON")->type_name("FILE");
  app.add_option("--termination-log", options.termination_log, "Where a Kubernetes Job leaves its summary")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

void refuse_unread(const CLI::App& app, const Method& method) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != kMethods || option->count() == 0 ||
        has_word(method.options, option->get_name()))
      continue;
    throw InputError("method " + std::string(method.name) + " does not read it", option->get_name(),
                     "leave it out; the method reads " + std::string(method.options));
  }
}

}  // namespace stepdown::quant
