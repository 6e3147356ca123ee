#include "operator/compat/subject.h"

#include <algorithm>

#include "operator/compat/methods.h"

namespace stepdown::compat {
namespace {

bool selected(const Node& node, const api::ServingSpec& serving) {
  if (!serving.hardware) return true;
  for (const auto& [label, value] : serving.hardware->node_selector) {
    const auto found = node.labels.find(label);
    if (found == node.labels.end() || found->second != value) return false;
  }
  return serving.hardware->accelerator.empty() || node.allocatable.contains(serving.hardware->accelerator);
}

std::vector<Node> matching_nodes(const api::ServingSpec& serving, const Inventory& inventory) {
  std::vector<Node> out;
  if (inventory.nodes) {
    std::ranges::copy_if(*inventory.nodes, std::back_inserter(out),
                         [&](const Node& node) { return selected(node, serving); });
  }
  return out;
}

/// The node selector says it outright, or the nodes that it leaves do, or only the resource's maker is known.
std::vector<std::string> hardware_classes(const api::ServingSpec& serving, const std::vector<Node>& nodes) {
  const std::string accelerator = serving.hardware ? serving.hardware->accelerator : "";
  if (serving.hardware) {
    const std::string chosen = hardware_of(serving.hardware->node_selector, accelerator);
    if (chosen != group_of_resource(accelerator)) return {chosen};
  }
  std::vector<std::string> out;
  for (const Node& node : nodes) {
    const std::string found = hardware_of(node.labels, accelerator);
    if (!found.empty() && std::ranges::find(out, found) == out.end()) out.push_back(found);
  }
  if (out.empty()) {
    if (const std::string group = group_of_resource(accelerator); !group.empty()) out.push_back(group);
  }
  return out;
}

/// Formats whose kernels take whole groups of a row.
std::int64_t group_size(const api::CandidateSpec& candidate, const Method& method) {
  constexpr std::string_view kGrouped[] = {"awq", "gptq", "gptq-v2", "w4a16"};
  constexpr std::int64_t kDefault = 128;
  if (std::ranges::find(kGrouped, method.format) == std::end(kGrouped)) return 0;
  return std::max<std::int64_t>(0, candidate.group_size.value_or(kDefault));
}

std::vector<AskedFormat> asked_formats(const api::QuantizedModelSpec& spec, const Inventory& inventory) {
  std::vector<AskedFormat> out;
  if (inventory.from_revision) {
    const auto& record = inventory.from_revision->spec;
    const api::CandidateSpec made{record.method, record.preset, {}, record.group_size};
    if (const Method* method = find_method(made)) {
      out.push_back({std::string(method->format), "spec.quantization.fromRevision", made.name(), 0,
                     group_size(made, *method)});
    }
  } else if (spec.quantization.from_revision.empty()) {
    const auto& candidates = spec.quantization.candidates;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Method* method = find_method(candidates[i]);
      if (method == nullptr || method->format == "ternary") continue;  // SD002, SD039
      out.push_back({std::string(method->format), element("spec.quantization.candidates", i),
                     candidates[i].name(), candidates[i].bits.value_or(method->bits),
                     group_size(candidates[i], *method)});
    }
  }
  if (inventory.model && !inventory.model->format.empty()) {
    out.push_back({inventory.model->format, "spec.model.source", "the base"});
  }
  return out;
}

}  // namespace

Subject::Subject(const api::QuantizedModelSpec& given, const Inventory& known)
    : spec(given),
      inventory(known),
      engine(given.serving.engine, known.profile),
      nodes(matching_nodes(given.serving, known)),
      hardware(hardware_classes(given.serving, nodes)),
      formats(asked_formats(given, known)) {}

std::string element(const char* list, std::size_t index) {
  return list + ("[" + std::to_string(index) + "]");
}

}  // namespace stepdown::compat
