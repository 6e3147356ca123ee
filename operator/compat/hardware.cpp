#include "operator/compat/hardware.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace stepdown::compat {
namespace {

struct Class {
  std::string_view name;
  std::string_view group;
};

constexpr Class kClasses[] = {
    {"nvidia", ""},
    {"pascal", "nvidia"},
    {"volta", "nvidia"},
    {"turing", "nvidia"},
    {"ampere", "nvidia"},
    {"ada", "nvidia"},
    {"hopper", "nvidia"},
    {"blackwell", "nvidia"},
    {"blackwell-rtx", "nvidia"},
    {"amd", ""},
    {"cdna2", "amd"},
    {"cdna3", "amd"},
    {"cdna4", "amd"},
    {"rdna3", "amd"},
    {"rdna4", "amd"},
    {"intel-gpu", ""},
    {"gaudi", ""},
    {"apple", ""},
    {"npu", ""},
    {"cpu", ""},
    {"x86", "cpu"},
    {"avx2", "x86"},
    {"avx512", "x86"},
    {"vnni", "x86"},
    {"amx", "x86"},
    {"arm", "cpu"},
};

constexpr std::string_view kNvidia = "nvidia.com/gpu", kNvidiaLabel = "nvidia.com/gpu.product";
constexpr std::string_view kAmd = "amd.com/gpu", kAmdLabel = "amd.com/gpu.product-name";
constexpr std::string_view kIntel = "gpu.intel.com/i915", kIntelLabel = "gpu.intel.com/product";
constexpr std::string_view kArch = "kubernetes.io/arch";

// Memory and compute capability: developer.nvidia.com/cuda/gpus; label values: NVIDIA GPU feature discovery.
// T4 and L4 keep some of theirs for error correction: 15360 and 23034 MiB are left, as nvidia-smi tells.
constexpr Device kDevices[] = {
    {"rtx-5090", "blackwell-rtx", 32, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-5090"},
    {"rtx-5080", "blackwell-rtx", 16, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-5080"},
    {"rtx-5070-ti", "blackwell-rtx", 16, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-5070-Ti"},
    {"rtx-5070", "blackwell-rtx", 12, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-5070"},
    {"rtx-5060-ti", "blackwell-rtx", 16, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-5060-Ti"},
    {"rtx-pro-6000", "blackwell-rtx", 96, kNvidia, kNvidiaLabel,
     "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"},
    {"b200", "blackwell", 180, kNvidia, kNvidiaLabel, "NVIDIA-B200"},
    {"b300", "blackwell", 288, kNvidia, kNvidiaLabel, "NVIDIA-B300"},
    {"gb200", "blackwell", 186, kNvidia, kNvidiaLabel, "NVIDIA-GB200"},
    {"gb300", "blackwell", 279, kNvidia, kNvidiaLabel, "NVIDIA-GB300"},
    {"h200", "hopper", 141, kNvidia, kNvidiaLabel, "NVIDIA-H200"},
    {"gh200", "hopper", 96, kNvidia, kNvidiaLabel, "NVIDIA-GH200-480GB"},
    {"h20", "hopper", 96, kNvidia, kNvidiaLabel, "NVIDIA-H20"},
    {"h800", "hopper", 80, kNvidia, kNvidiaLabel, "NVIDIA-H800"},
    {"h100", "hopper", 80, kNvidia, kNvidiaLabel, "NVIDIA-H100-80GB-HBM3"},
    {"l40s", "ada", 48, kNvidia, kNvidiaLabel, "NVIDIA-L40S"},
    {"l40", "ada", 48, kNvidia, kNvidiaLabel, "NVIDIA-L40"},
    {"rtx-6000-ada", "ada", 48, kNvidia, kNvidiaLabel, "NVIDIA-RTX-6000-Ada-Generation"},
    {"l20", "ada", 48, kNvidia, kNvidiaLabel, "NVIDIA-L20"},
    {"l4", "ada", 22, kNvidia, kNvidiaLabel, "NVIDIA-L4"},
    {"rtx-4090", "ada", 24, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-4090"},
    {"rtx-5000-ada", "ada", 32, kNvidia, kNvidiaLabel, "NVIDIA-RTX-5000-Ada-Generation"},
    {"rtx-4000-ada", "ada", 20, kNvidia, kNvidiaLabel, "NVIDIA-RTX-4000-Ada-Generation"},
    {"l2", "ada", 24, kNvidia, kNvidiaLabel, "NVIDIA-L2"},
    {"rtx-4080", "ada", 16, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-4080"},
    {"rtx-4070", "ada", 12, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-4070"},
    {"rtx-4060", "ada", 8, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-4060"},
    {"rtx-3090", "ampere", 24, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-3090"},
    {"rtx-3080", "ampere", 10, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-3080"},
    {"rtx-3070", "ampere", 8, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-3070"},
    {"rtx-a5000", "ampere", 24, kNvidia, kNvidiaLabel, "NVIDIA-RTX-A5000"},
    {"rtx-a4000", "ampere", 16, kNvidia, kNvidiaLabel, "NVIDIA-RTX-A4000"},
    {"a16", "ampere", 15, kNvidia, kNvidiaLabel, "NVIDIA-A16"},
    {"a2", "ampere", 15, kNvidia, kNvidiaLabel, "NVIDIA-A2"},
    {"rtx-3060", "ampere", 12, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-3060"},
    {"a100", "ampere", 80, kNvidia, kNvidiaLabel, "NVIDIA-A100-SXM4-80GB"},
    {"a100-40gb", "ampere", 40, kNvidia, kNvidiaLabel, "NVIDIA-A100-SXM4-40GB"},
    {"a800", "ampere", 80, kNvidia, kNvidiaLabel, "NVIDIA-A800-SXM4-80GB"},
    {"a40", "ampere", 48, kNvidia, kNvidiaLabel, "NVIDIA-A40"},
    {"rtx-a6000", "ampere", 48, kNvidia, kNvidiaLabel, "NVIDIA-RTX-A6000"},
    {"a30", "ampere", 24, kNvidia, kNvidiaLabel, "NVIDIA-A30"},
    {"a10", "ampere", 24, kNvidia, kNvidiaLabel, "NVIDIA-A10"},
    {"a10g", "ampere", 24, kNvidia, kNvidiaLabel, "NVIDIA-A10G"},
    {"quadro-rtx-8000", "turing", 48, kNvidia, kNvidiaLabel, "Quadro-RTX-8000"},
    {"t4", "turing", 15, kNvidia, kNvidiaLabel, "Tesla-T4"},
    {"rtx-2080", "turing", 8, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-2080"},
    {"rtx-2070", "turing", 8, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-2070"},
    {"gtx-1660", "turing", 6, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-GTX-1660"},
    {"rtx-2080-ti", "turing", 11, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-RTX-2080-Ti"},
    {"v100", "volta", 32, kNvidia, kNvidiaLabel, "Tesla-V100-SXM2-32GB"},
    {"titan-v", "volta", 12, kNvidia, kNvidiaLabel, "NVIDIA-TITAN-V"},
    {"p100", "pascal", 16, kNvidia, kNvidiaLabel, "Tesla-P100-PCIE-16GB"},
    {"p40", "pascal", 24, kNvidia, kNvidiaLabel, "Tesla-P40"},
    {"p4", "pascal", 8, kNvidia, kNvidiaLabel, "Tesla-P4"},
    {"gtx-1080-ti", "pascal", 11, kNvidia, kNvidiaLabel, "NVIDIA-GeForce-GTX-1080-Ti"},
    {"mi355x", "cdna4", 288, kAmd, kAmdLabel, "AMD_Instinct_MI355X_OAM"},
    {"mi300x", "cdna3", 192, kAmd, kAmdLabel, "AMD_Instinct_MI300X_OAM"},
    {"mi250", "cdna2", 128, kAmd, kAmdLabel, "AMD_Instinct_MI250"},
    {"mi325x", "cdna3", 256, kAmd, kAmdLabel, "AMD_Instinct_MI325X"},
    {"rx-7900-xtx", "rdna3", 24, kAmd, kAmdLabel, "AMD_Radeon_RX_7900_XTX"},
    {"r9700", "rdna4", 32, kAmd, kAmdLabel, "AMD_Radeon_AI_PRO_R9700"},
    {"arc-b580", "intel-gpu", 12, kIntel, kIntelLabel, "Arc_B580"},
    {"arc-a770", "intel-gpu", 16, kIntel, kIntelLabel, "Arc_A770"},
    {"mac", "apple", 0, "", kArch, "arm64"},
    {"apple-silicon", "apple", 0, "", kArch, "arm64"},
    {"arm", "arm", 0, "", kArch, "arm64"},
    {"cpu", "x86", 0, "", kArch, "amd64"},
    {"x86", "x86", 0, "", kArch, "amd64"},
    {"phone-npu", "npu", 0, "", "", ""},
    {"hexagon-npu", "npu", 0, "", "", ""},
    {"apple-neural-engine", "npu", 0, "", "", ""},
};

/// Lower case, and one "-" for anything that is no letter or digit.
std::string plain(std::string_view text) {
  std::string out;
  for (const char each : text) {
    const auto letter = static_cast<unsigned char>(each);
    if (std::isalnum(letter) != 0)
      out += static_cast<char>(std::tolower(letter));
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  return out;
}

std::string label(const std::map<std::string, std::string>& labels, const char* key) {
  const auto found = labels.find(key);
  return found == labels.end() ? "" : found->second;
}

// developer.nvidia.com/cuda/gpus
std::string nvidia_by_capability(const std::string& major, const std::string& minor) {
  if (major == "6") return "pascal";
  if (major == "7") return minor == "5" ? "turing" : "volta";
  if (major == "8") return minor == "9" ? "ada" : "ampere";
  if (major == "9") return "hopper";
  if (major == "10") return "blackwell";
  return major == "12" ? "blackwell-rtx" : "";
}

/// A product label's value names a device: the longest name that it holds. nullptr when none is known.
const Device* find_product(const std::string& value) {
  const std::string text = "-" + plain(value) + "-";
  const Device* best = nullptr;
  for (const Device& each : kDevices) {
    if (plain(each.value) == plain(value) && !value.empty()) return &each;
    const bool named = text.find("-" + std::string(each.name) + "-") != std::string::npos;
    if (named && (best == nullptr || each.name.size() > best->name.size())) best = &each;
  }
  return best;
}

std::string by_product(const std::string& value, std::string_view group) {
  const Device* found = find_product(value);
  return found != nullptr && is_within(found->hardware, group) ? std::string(found->hardware) : "";
}

/// 40 of "NVIDIA-A100-PCIE-40GB", 10 of "1g.10gb"; 0 of others.
std::int64_t gigabytes_in(std::string_view name) {
  const std::string text = plain(name);
  for (auto at = text.find("gb"); at != std::string::npos; at = text.find("gb", at + 1)) {
    auto first = at;
    while (first > 0 && std::isdigit(static_cast<unsigned char>(text[first - 1])) != 0) --first;
    if (first < at && at - first <= 4) return std::stoll(text.substr(first, at - first));
  }
  return 0;
}

struct Mark {
  std::string_view name;
  std::string_view hardware;
};
// MIG profiles that one generation alone has: docs.nvidia.com/datacenter/tesla/mig-user-guide, "Supported MIG
// Profiles". 1g.10gb is of A100 and of H100.
constexpr Mark kSlices[] = {
    {"1g.5gb", "ampere"},         {"2g.10gb", "ampere"},        {"3g.20gb", "ampere"},
    {"7g.40gb", "ampere"},        {"1g.6gb", "ampere"},         {"2g.12gb", "ampere"},
    {"4g.24gb", "ampere"},        {"1g.12gb", "hopper"},        {"2g.24gb", "hopper"},
    {"3g.48gb", "hopper"},        {"7g.96gb", "hopper"},        {"1g.18gb", "hopper"},
    {"2g.35gb", "hopper"},        {"3g.71gb", "hopper"},        {"7g.141gb", "hopper"},
    {"1g.23gb", "blackwell"},     {"2g.45gb", "blackwell"},     {"3g.90gb", "blackwell"},
    {"7g.180gb", "blackwell"},    {"1g.34gb", "blackwell"},     {"7g.269gb", "blackwell"},
    {"1g.24gb", "blackwell-rtx"}, {"2g.48gb", "blackwell-rtx"},
};

/// A device plugin's resource for a slice of a GPU tells its size, and mostly whose it is.
std::string nvidia_of_slice(std::string_view accelerator) {
  constexpr std::string_view kPrefix = "nvidia.com/mig-";
  if (!accelerator.starts_with(kPrefix)) return "";
  accelerator.remove_prefix(kPrefix.size());
  const auto* found = std::ranges::find(kSlices, accelerator, &Mark::name);
  return found == std::end(kSlices) ? "" : std::string(found->hardware);
}

// PCI device ids, as AMD's node labeller names them: github.com/ROCm/ROCm documentation, "Accelerator and GPU
// hardware specifications".
constexpr Mark kAmdDevices[] = {
    {"7408", "cdna2"}, {"740c", "cdna2"}, {"740f", "cdna2"}, {"74a0", "cdna3"}, {"74a1", "cdna3"},
    {"74a2", "cdna3"}, {"74a5", "cdna3"}, {"74a9", "cdna3"}, {"75a0", "cdna4"}, {"75a3", "cdna4"},
    {"744c", "rdna3"}, {"7448", "rdna3"}, {"7550", "rdna4"}, {"7551", "rdna4"},
};

constexpr const char* kNvidiaProducts[] = {"nvidia.com/gpu.product", "cloud.google.com/gke-accelerator",
                                           "karpenter.k8s.aws/instance-gpu-name",
                                           "node.kubernetes.io/gpu-product"};
constexpr const char* kAmdProducts[] = {"amd.com/gpu.product-name", "beta.amd.com/gpu.product-name"};

std::string first_label(const std::map<std::string, std::string>& labels, std::span<const char* const> keys) {
  for (const char* key : keys) {
    if (std::string found = label(labels, key); !found.empty()) return found;
  }
  return "";
}

std::string nvidia_of(const std::map<std::string, std::string>& labels) {
  // "blackwell" is both families to feature discovery; the capability tells them apart.
  std::string exact = nvidia_by_capability(label(labels, "nvidia.com/gpu.compute.major"),
                                           label(labels, "nvidia.com/gpu.compute.minor"));
  if (!exact.empty()) return exact;
  std::string family = plain(label(labels, "nvidia.com/gpu.family"));
  if (family == "ada-lovelace") return "ada";
  if (family != "blackwell" && is_within(family, "nvidia")) return family;
  for (const char* key : kNvidiaProducts) {
    std::string found = by_product(label(labels, key), "nvidia");
    if (!found.empty()) return found;
  }
  return family == "blackwell" ? family : "";
}

std::string amd_of(const std::map<std::string, std::string>& labels) {
  for (const char* key : {"amd.com/gpu.device-id", "beta.amd.com/gpu.device-id"}) {
    const auto* found = std::ranges::find(kAmdDevices, label(labels, key), &Mark::name);
    if (found != std::end(kAmdDevices)) return std::string(found->hardware);
  }
  return by_product(first_label(labels, kAmdProducts), "amd");
}

std::string cpu_of(const std::map<std::string, std::string>& labels) {
  const std::string arch = label(labels, "kubernetes.io/arch");
  if (arch == "arm64") return label(labels, "kubernetes.io/os") == "darwin" ? "apple" : "arm";
  const auto has = [&](const char* flag) {
    return label(labels, ("feature.node.kubernetes.io/cpu-cpuid." + std::string(flag)).c_str()) == "true";
  };
  if (has("AMXINT8") || has("AMXTILE")) return "amx";
  if (has("AVX512VNNI")) return "vnni";
  if (has("AVX512F")) return "avx512";
  if (has("AVX2")) return "avx2";
  return arch == "amd64" ? "x86" : "";
}

}  // namespace

bool is_hardware(std::string_view name) {
  return std::ranges::find(kClasses, name, &Class::name) != std::end(kClasses);
}

bool is_leaf(std::string_view name) {
  return is_hardware(name) && std::ranges::find(kClasses, name, &Class::group) == std::end(kClasses);
}

bool is_within(std::string_view name, std::string_view group) {
  while (!name.empty()) {
    if (name == group) return true;
    const auto* row = std::ranges::find(kClasses, name, &Class::name);
    name = row == std::end(kClasses) ? std::string_view{} : row->group;
  }
  return false;
}

constexpr std::string_view kBetween = ", ";

std::string class_list(std::vector<std::string> classes) {
  std::ranges::sort(classes);
  std::string out;
  for (const std::string& each : classes) out.append(out.empty() ? "" : kBetween).append(each);
  return out;
}

bool lists_all(std::string_view list, std::string_view classes) {
  const std::string known = std::string(kBetween).append(list).append(kBetween);
  while (!classes.empty()) {
    const std::string_view each = classes.substr(0, classes.find(kBetween));
    if (known.find(std::string(kBetween).append(each).append(kBetween)) == std::string::npos) return false;
    classes.remove_prefix(std::min(each.size() + kBetween.size(), classes.size()));
  }
  return true;
}

std::span<const Device> devices() {
  return kDevices;
}

const Device* find_device(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kDevices, [wanted = plain(name)](const Device& each) { return each.name == wanted; });
  return found == std::end(kDevices) ? nullptr : found;
}

std::string product_of(const std::map<std::string, std::string>& labels) {
  const std::string nvidia = first_label(labels, kNvidiaProducts);
  return nvidia.empty() ? first_label(labels, kAmdProducts) : nvidia;
}

std::int64_t memory_of(const std::map<std::string, std::string>& labels, std::string_view accelerator) {
  constexpr std::int64_t kGigabyte = 1'000'000'000;
  const std::string product = product_of(labels);
  const std::string name = plain(product);
  if (accelerator.ends_with(".shared") || name.ends_with("-shared")) return 0;
  if (accelerator.find("/mig-") != std::string_view::npos) return gigabytes_in(accelerator) * kGigabyte;
  if (const auto slice = name.find("-mig-"); slice != std::string::npos)
    return gigabytes_in(name.substr(slice)) * kGigabyte;
  const std::string mebibytes = label(labels, "nvidia.com/gpu.memory");
  if (!mebibytes.empty() && mebibytes.size() < 9 &&
      mebibytes.find_first_not_of("0123456789") == std::string::npos)
    return std::stoll(mebibytes) << 20;
  const Device* device = find_product(product);
  if (device != nullptr && plain(device->value) == name) return device->gibibytes << 30;
  if (const std::int64_t stated = gigabytes_in(product); stated > 0) return stated * kGigabyte;
  return device == nullptr ? 0 : device->gibibytes << 30;
}

std::string group_of_resource(std::string_view accelerator) {
  if (accelerator.empty()) return "cpu";
  if (accelerator.starts_with("nvidia.com/")) return "nvidia";
  if (accelerator.starts_with("amd.com/")) return "amd";
  if (accelerator.starts_with("gpu.intel.com/")) return "intel-gpu";
  if (accelerator.starts_with("habana.ai/")) return "gaudi";
  const std::string name = plain(accelerator);
  for (const char* part : {"phone-npu", "hexagon", "neural-engine", "edgetpu", "ethos"}) {
    if (name.find(part) != std::string::npos) return "npu";
  }
  return "";
}

std::string hardware_of(const std::map<std::string, std::string>& labels, std::string_view accelerator) {
  const std::string group = group_of_resource(accelerator);
  std::string found;
  if (group == "nvidia") found = nvidia_of(labels);
  if (found.empty()) found = nvidia_of_slice(accelerator);
  if (group == "amd") found = amd_of(labels);
  if (group == "cpu") found = cpu_of(labels);
  return found.empty() ? group : found;
}

}  // namespace stepdown::compat
