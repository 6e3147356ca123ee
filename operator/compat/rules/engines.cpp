#include "engine/memory/engines.h"

#include <algorithm>

#include "operator/compat/fallback.h"
#include "operator/compat/methods.h"
#include "operator/compat/rule.h"

// What the engine loads, on which hardware, in which version: questions to compat/matrix.yaml.
namespace stepdown::compat {
namespace {

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& each : names) out += (out.empty() ? "" : ", ") + each;
  return out;
}

std::string engine_name(const Subject& subject) {
  const std::string version(subject.engine.version());
  return "engine " + subject.spec.serving.engine + (version.empty() ? "" : " " + version);
}

Answer loads(const Subject& subject, const AskedFormat& asked, const std::string& hardware) {
  Answer answer = subject.engine.loads({asked.format, "", hardware, subject.architecture(), asked.bits});
  // What config.json calls a layout that no profile speaks of may still be one that the engine reads.
  const bool foreign = std::ranges::find(methods(), asked.format, &Method::format) == methods().end() &&
                       asked.format != "safetensors";
  if (answer.verdict == Verdict::kUnlisted && foreign) answer.verdict = Verdict::kUndocumented;
  return answer;
}

/// How the formats fare on each class of hardware that pods may land on.
template <class Look>
void each_answer(const Subject& subject, Look look) {
  if (!subject.engine.known()) return;
  const std::vector<std::string> classes = subject.classes();
  for (const AskedFormat& asked : subject.formats) {
    std::vector<Answer> answers;
    for (const std::string& each : classes) answers.push_back(loads(subject, asked, each));
    look(asked, classes, answers);
  }
}

bool refused(const Answer& answer) {
  return answer.verdict == Verdict::kRefused || answer.verdict == Verdict::kUnlisted;
}

/// Why a refusal: the narrowest thing that the row names.
enum class Cause { kFormat, kVersion, kHardware, kArchitecture };
Cause cause_of(const Answer& answer) {
  if (answer.row == nullptr) return Cause::kFormat;
  if (!answer.row->architectures.empty()) return Cause::kArchitecture;
  if (!answer.row->hardware.empty() && answer.row->versions.empty()) return Cause::kHardware;
  return answer.row->versions.empty() ? Cause::kFormat : Cause::kVersion;
}

/// Refused on every class that pods may land on, for that cause.
void refusals(const Subject& subject, Report& report, Cause cause, const std::string& mend) {
  each_answer(subject,
              [&](const AskedFormat& asked, const auto& classes, const std::vector<Answer>& answers) {
                if (!std::ranges::all_of(answers, refused) || cause_of(answers.front()) != cause) return;
                const std::string on =
                    cause == Cause::kHardware && !classes.front().empty() ? " on " + list(classes) : "";
                report.add(asked.path == "spec.model.source" ? "spec.serving.engine" : asked.path,
                           engine_name(subject) + " does not load " + asked.name + " (" + asked.format + ")" +
                               on + because(answers.front()),
                           mend);
              });
}

void format_not_loaded(const Subject& subject, Report& report) {
  refusals(subject, report, Cause::kFormat, "use one of its formats: " + list(subject.engine.formats()));
}

void format_not_by_version(const Subject& subject, Report& report) {
  refusals(subject, report, Cause::kVersion, "");
}

void format_not_on_hardware(const Subject& subject, Report& report) {
  refusals(subject, report, Cause::kHardware, "");
}

void format_not_of_architecture(const Subject& subject, Report& report) {
  refusals(subject, report, Cause::kArchitecture, "");
}

void mixed_pool(const Subject& subject, Report& report) {
  each_answer(
      subject, [&](const AskedFormat& asked, const auto& classes, const std::vector<Answer>& answers) {
        const auto bad = std::ranges::count_if(answers, refused);
        if (bad == 0 || bad == static_cast<std::ptrdiff_t>(answers.size())) return;
        const auto first = static_cast<std::size_t>(std::ranges::find_if(answers, refused) - answers.begin());
        report.add("spec.serving.hardware.nodeSelector",
                   "pods may land on " + list(classes) + ", and " + engine_name(subject) + " does not load " +
                       asked.name + " on " + classes[first] + because(answers[first]));
      });
}

void degraded(const Subject& subject, Report& report) {
  each_answer(
      subject, [&](const AskedFormat& asked, const auto& classes, const std::vector<Answer>& answers) {
        for (std::size_t i = 0; i < answers.size(); ++i) {
          if (answers[i].verdict != Verdict::kDegraded) continue;
          report.add(asked.path == "spec.model.source" ? "spec.serving.engine" : asked.path,
                     asked.name + (classes[i].empty() ? "" : " on " + classes[i]) + because(answers[i]));
          return;
        }
      });
}

void undocumented(const Subject& subject, Report& report) {
  each_answer(subject,
              [&](const AskedFormat& asked, const auto& classes, const std::vector<Answer>& answers) {
                for (std::size_t i = 0; i < answers.size(); ++i) {
                  if (answers[i].verdict != Verdict::kUndocumented) continue;
                  report.add(asked.path == "spec.model.source" ? "spec.serving.engine" : asked.path,
                             "nothing is documented about " + engine_name(subject) + " with " + asked.format +
                                 (classes[i].empty() ? "" : " on " + classes[i]));
                  return;
                }
              });
}

void unknown_engine(const Subject& subject, Report& report) {
  if (subject.engine.known()) return;
  report.add("spec.serving.engine", "no EngineProfile " + subject.spec.serving.engine +
                                        " is known; nothing about it can be checked");
}

void not_deployable(const Subject& subject, Report& report) {
  if (subject.bundled_engine() || !subject.engine.known()) return;
  const auto profile = effective_profile(subject.spec.serving.engine, subject.inventory.profile);
  const auto& hardware = subject.spec.serving.hardware;
  const std::string accelerator = hardware ? hardware->accelerator : "";
  if (!image_for(profile->spec, accelerator).empty()) return;
  const std::string where =
      profile->spec.images.empty() ? "" : " for " + (accelerator.empty() ? "CPUs" : accelerator);
  report.add(
      "spec.serving.engine", "the EngineProfile " + subject.spec.serving.engine + " names no image" + where,
      where.empty() ? ""
                    : "apply an EngineProfile " + subject.spec.serving.engine + " with images: {" +
                          (accelerator.empty() ? "cpu" : accelerator) + ": …}, or use another engine there");
}

void npu(const Subject& subject, Report& report) {
  if (std::ranges::find(subject.hardware, "npu") == subject.hardware.end()) return;
  report.add("spec.serving.hardware.accelerator",
             subject.spec.serving.hardware->accelerator +
                 ": phone NPUs run what their vendor's compiler exported, not a served checkpoint");
}

void architecture(const Subject& subject, Report& report) {
  if (!subject.engine.known() || subject.architecture().empty()) return;
  const Answer answer = subject.engine.runs({"", "", "", subject.architecture()});
  if (answer.verdict == Verdict::kDegraded) {
    report.add("spec.serving.engine",
               engine_name(subject) + " does not have " + std::string(subject.architecture()) +
                   " of its own" + because(answer),
               "measure it there before relying on it, or choose an engine that has it", Severity::kWarning);
  }
  if (answer.verdict != Verdict::kRefused && answer.verdict != Verdict::kUndocumented) return;
  report.add("spec.serving.engine",
             engine_name(subject) + " does not run " + std::string(subject.architecture()) + because(answer));
}

const api::HardwareSpec* accelerated(const Subject& subject) {
  const auto& hardware = subject.spec.serving.hardware;
  return hardware && !hardware->accelerator.empty() ? &*hardware : nullptr;
}

std::int64_t allocatable(const Node& node, const std::string& resource) {
  const auto found = node.allocatable.find(resource);
  return found == node.allocatable.end() ? 0 : api::parse_quantity(found->second).value_or(0);
}

void no_node(const Subject& subject, Report& report) {
  if (!subject.inventory.nodes || !subject.nodes.empty() || !subject.spec.serving.hardware) return;
  const api::HardwareSpec& hardware = *subject.spec.serving.hardware;
  if (hardware.accelerator.empty() && hardware.node_selector.empty()) return;
  report.add("spec.serving.hardware",
             "none of " + std::to_string(subject.inventory.nodes->size()) + " nodes has " +
                 (hardware.accelerator.empty()
                      ? "these labels"
                      : hardware.accelerator + (hardware.node_selector.empty() ? "" : " and these labels")));
}

void beyond_one_node(const Subject& subject, Report& report) {
  const api::HardwareSpec* hardware = accelerated(subject);
  if (hardware == nullptr || subject.nodes.empty()) return;
  std::int64_t most = 0;
  for (const Node& node : subject.nodes) most = std::max(most, allocatable(node, hardware->accelerator));
  const std::int64_t each = hardware->count / std::max<std::int64_t>(1, hardware->nodes);
  if (each <= most) return;
  report.add("spec.serving.hardware.count",
             "a replica asks for " + std::to_string(each) + " x " + hardware->accelerator +
                 " on a node, the largest matching one has " + std::to_string(most));
}

void control_and_candidate(const Subject& subject, Report& report) {
  const api::HardwareSpec* hardware = accelerated(subject);
  if (hardware == nullptr || subject.nodes.empty() || fp16_on_cpus(subject.spec)) return;
  std::int64_t room = 0;
  for (const Node& node : subject.nodes)
    room += allocatable(node, hardware->accelerator) / std::max<std::int64_t>(1, hardware->count);
  const std::int64_t replicas = subject.spec.serving.replicas;
  if (room >= 2 * replicas || room == 0) return;
  report.add("spec.rollout.fallback.placement",
             "until promotion FP16 and the candidate each hold " + std::to_string(replicas) + " x " +
                 std::to_string(hardware->count) + " " + hardware->accelerator +
                 ", and matching nodes have room for " + std::to_string(room) + " such pods",
             "lower spec.serving.replicas to " + std::to_string(std::max<std::int64_t>(1, room / 2)) +
                 (room < 2 ? ", and add a second accelerator" : "") +
                 " for the time of the rollout, or set spec.rollout.fallback.placement to cpu");
}

/// Accelerators that tensor parallelism splits each layer over; 1: none.
std::int64_t tensor_parallel(const Subject& subject) {
  const api::HardwareSpec* hardware = accelerated(subject);
  if (hardware == nullptr || memory::engine_traits(subject.spec.serving.engine).splits_layers) return 1;
  return std::max<std::int64_t>(1, hardware->count / std::max<std::int64_t>(1, hardware->nodes));
}

void heads_do_not_split(const Subject& subject, Report& report) {
  const std::int64_t parts = tensor_parallel(subject);
  if (parts < 2 || !subject.inventory.model) return;
  const std::int64_t heads = subject.inventory.model->attention_heads;
  const std::int64_t kv_heads = subject.inventory.model->memory.kv_heads;
  const std::string over = " do not spread over " + std::to_string(parts) + " accelerators";
  if (heads > 0 && heads % parts != 0) {
    report.add("spec.serving.hardware.count", std::to_string(heads) + " attention heads" + over);
  } else if (kv_heads > 0 && kv_heads % parts != 0 && parts % kv_heads != 0) {
    report.add("spec.serving.hardware.count", std::to_string(kv_heads) + " key-value heads" + over);
  }
}

void groups_are_cut(const Subject& subject, Report& report) {
  const std::int64_t parts = tensor_parallel(subject);
  if (parts < 2 || !subject.inventory.model) return;
  const std::int64_t width = subject.inventory.model->intermediate_size;
  for (const AskedFormat& asked : subject.formats) {
    if (asked.group_size <= 0 || width <= 0 || width % (parts * asked.group_size) == 0) continue;
    report.add(asked.path, asked.name + " shares scales among " + std::to_string(asked.group_size) +
                               " weights, and " + std::to_string(parts) + " accelerators get rows of " +
                               std::to_string(width) + " / " + std::to_string(parts));
  }
}

/// Of the selector, or of a node that is left; empty where every one is known.
std::string unknown_product(const Subject& subject, const std::string& accelerator) {
  const auto look = [&](const std::map<std::string, std::string>& labels) {
    return is_leaf(hardware_of(labels, accelerator)) ? "" : product_of(labels);
  };
  std::string found = look(subject.spec.serving.hardware->node_selector);
  for (const Node& node : subject.nodes) {
    if (found.empty()) found = look(node.labels);
  }
  return found;
}

void unknown_gpu(const Subject& subject, Report& report) {
  const api::HardwareSpec* hardware = accelerated(subject);
  if (hardware == nullptr) return;
  const std::string product = unknown_product(subject, hardware->accelerator);
  if (product.empty()) return;
  report.add("spec.serving.hardware",
             product + " is not known: formats are judged as for any GPU of its maker");
}

void group_of_nodes(const Subject& subject, Report& report) {
  const auto& hardware = subject.spec.serving.hardware;
  if (!hardware || hardware->nodes <= 1) return;
  const auto profile = effective_profile(subject.spec.serving.engine, subject.inventory.profile);
  if (profile && profile->spec.group_args.empty()) {
    report.add("spec.serving.hardware.nodes",
               "engine " + subject.spec.serving.engine + " serves a replica from one node alone");
  } else if (hardware->accelerator.empty() || hardware->count % hardware->nodes != 0) {
    report.add("spec.serving.hardware.count",
               std::to_string(hardware->count) + " accelerators do not spread evenly over " +
                   std::to_string(hardware->nodes) + " nodes",
               "give a multiple of the nodes, such as " + std::to_string(hardware->nodes * 8));
  }
}

constexpr Rule kRules[] = {
    {"SD015", Severity::kError, "A format that the engine does not load",
     "Each engine reads its own formats: llama.cpp and Ollama GGUF alone, TensorRT-LLM what ModelOpt writes.",
     "quantization: {candidates: [{method: awq, bits: 4}]}\nserving: {engine: llama.cpp}",
     "choose a format that its profile lists, or another engine", format_not_loaded},
    {"SD016", Severity::kError, "A format that this version of the engine does not load",
     "Loaders come and go with versions, and some read a format wrongly without saying so.",
     "serving: {engine: vllm}  # EngineProfile vllm at 0.10 and a gptq_v2 checkpoint",
     "use a version that loads it, and state it in the EngineProfile", format_not_by_version},
    {"SD017", Severity::kError, "No kernel for this hardware",
     "Kernels are written for a compute capability; without one the server does not start.",
     "quantization: {candidates: [{method: awq, bits: 4}]}\nserving: {engine: vllm, hardware: {accelerator: "
     "nvidia.com/gpu, nodeSelector: {nvidia.com/gpu.product: Tesla-V100-SXM2-32GB}}}",
     "choose a format that has kernels there, or other nodes", format_not_on_hardware},
    {"SD019", Severity::kWarning, "It runs, but not as one thinks",
     "FP8 before Ada is weight-only, GGUF in vLLM is experimental, the bundled engine leaves an accelerator "
     "idle.",
     "serving: {engine: vllm, hardware: {accelerator: nvidia.com/gpu, nodeSelector: {nvidia.com/gpu.product: "
     "NVIDIA-A10}}}  # with fp8",
     "measure it there before relying on it, or choose what is native", degraded},
    {"SD026", Severity::kError, "A phone's NPU",
     "NPUs run graphs that their vendor's toolchain compiled and calibrated (Qualcomm AI Hub, Core ML Tools, "
     "NeuroPilot); "
     "no serving engine loads a quantized checkpoint there.",
     "serving: {hardware: {accelerator: qualcomm.com/hexagon-npu}}",
     "export the FP16 base with the vendor's SDK, and use this operator for the server side it is compared "
     "with",
     npu},
    {"SD028", Severity::kWarning, "FP16 and the candidate do not fit together",
     "FP16 carries the full load until the candidate is promoted; both hold accelerators at once.",
     "serving: {replicas: 2, hardware: {accelerator: nvidia.com/gpu}}  # two GPUs in all",
     "have accelerators for both for the time of the rollout, or run FP16 on CPUs", control_and_candidate},
    {"SD040", Severity::kWarning, "Nothing is documented about it",
     "Neither support nor refusal is documented upstream; it may work.",
     "quantization: {candidates: [{method: fp8}]}\nserving: {engine: tgi}  # on an Intel GPU",
     "try it once by hand, and record the outcome as a support row of an EngineProfile", undocumented},
    {"SD041", Severity::kWarning, "An engine that is not known",
     "Without a profile there is nothing to deploy and nothing to check against.",
     "serving: {engine: my-engine}",
     "apply an EngineProfile of that name, or use stepdown, vllm, sglang or llama.cpp", unknown_engine},
    {"SD042", Severity::kError, "An engine without an image",
     "Some profiles exist for validation alone: Ollama serves what was imported into it, not a mounted file. "
     "Others have images for some accelerators only: a CUDA build does not start on an Intel GPU.",
     "serving: {engine: ollama}", "apply an EngineProfile of that name with image and args, or use llama.cpp",
     not_deployable},
    {"SD046", Severity::kWarning, "No node can take the pods", "The pods would stay pending.",
     "serving: {hardware: {accelerator: nvidia.com/gpu}}",
     "mend accelerator or nodeSelector, or add such nodes", no_node},
    {"SD047", Severity::kWarning, "A pool of several generations",
     "The scheduler picks any matching node; the rollout then depends on luck.",
     "serving: {engine: vllm, hardware: {accelerator: nvidia.com/gpu}}  # nodes with V100 and with A100",
     "pin the generation, such as nvidia.com/gpu.product, in spec.serving.hardware.nodeSelector", mixed_pool},
    {"SD048", Severity::kWarning, "More accelerators than one node has",
     "A Deployment's pod lives on one node. Models beyond it need a group of pods (LeaderWorkerSet) and "
     "pipeline parallelism.",
     "serving: {engine: vllm, hardware: {accelerator: nvidia.com/gpu, count: 16}}",
     "ask for at most what one node has, or spread the replica: engine vllm and "
     "spec.serving.hardware.nodes",
     beyond_one_node},
    {"SD049", Severity::kError, "An architecture that the engine does not run",
     "An engine implements each architecture by hand. What it borrows from another program instead is slower "
     "and less tried.",
     "serving: {engine: tensorrt-llm}  # of a StarCoder 2", "use an engine that runs it", architecture},
    {"SD051", Severity::kError, "Heads that do not split",
     "Tensor parallelism gives each accelerator whole heads.",
     "serving: {engine: vllm, hardware: {accelerator: nvidia.com/gpu, count: 3}}",
     "use a number of accelerators that divides the heads: 2, 4 or 8", heads_do_not_split},
    {"SD067", Severity::kError, "Groups that tensor parallelism would cut",
     "Each accelerator gets a part of every row of the down projection, and kernels take whole groups of it: "
     "the "
     "server ends with \"input size is not aligned with the quantized weight shape\".",
     "quantization: {candidates: [{method: awq, bits: 4}]}\nserving: {engine: vllm, hardware: {accelerator: "
     "nvidia.com/gpu, count: 2}}  # of Qwen2.5 72B, whose rows of 29,568 are no multiple of 2 x 128",
     "use fewer accelerators, groups of 32 or 64, or a base that is padded to a multiple", groups_are_cut},
    {"SD068", Severity::kWarning, "A GPU that is not known",
     "What has kernels depends on the generation, and the product's name does not tell it here.",
     "serving: {hardware: {accelerator: nvidia.com/gpu, nodeSelector: {nvidia.com/gpu.product: NVIDIA-X1}}}",
     "let NVIDIA's GPU feature discovery label nodes with nvidia.com/gpu.compute.major and .minor, or check "
     "the engine's own table of hardware",
     unknown_gpu},
    {"SD064", Severity::kError, "A replica that cannot span nodes",
     "Across nodes a model is split by pipeline, which takes an engine that can (vLLM under LeaderWorkerSet) "
     "and as many accelerators on each node.",
     "serving: {engine: llama.cpp, hardware: {accelerator: nvidia.com/gpu, count: 16, nodes: 2}}",
     "use engine vllm, or a profile with groupArgs", group_of_nodes},
    {"SD052", Severity::kError, "A format that the engine does not load for this architecture",
     "Quantized layers of some architectures have no kernels or no loader.",
     "quantization: {candidates: [{method: nvfp4}]}\nserving: {engine: tensorrt-llm}  # a Gemma 3 base",
     "choose a format that is documented for the architecture", format_not_of_architecture},
};

}  // namespace

std::span<const Rule> engine_rules() {
  return kRules;
}

}  // namespace stepdown::compat
