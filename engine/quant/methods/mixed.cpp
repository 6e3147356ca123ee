#include "engine/quant/methods/mixed.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/kernels/dequantize.h"
#include "engine/kernels/thread_pool.h"
#include "engine/quant/encoder.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/quant/methods/gguf.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

constexpr std::array kTypes = {DType::kQ2_K, DType::kQ3_K, DType::kQ4_0, DType::kQ4_K,
                               DType::kQ5_0, DType::kQ5_K, DType::kQ6_K, DType::kQ8_0};
constexpr std::int64_t kRows = 256;        // of a matrix that its error is measured on
constexpr std::uint32_t kMostlyQ4KM = 15;  // what general.file_type says of a mix that no preset has

/// Errors of some rows of one tensor in one type, each column counting by its importance.
double measure(kernels::ThreadPool& pool, const TensorView& tensor, DType type,
               std::span<const float> importance) {
  const std::int64_t rows = std::min(tensor.rows(), kRows);
  const auto columns = static_cast<std::size_t>(tensor.columns());
  const std::size_t stored = tensor.data.size() / static_cast<std::size_t>(tensor.rows());
  std::vector<double> lost(static_cast<std::size_t>(rows));
  std::vector<double> energy(lost.size());
  pool.each(rows, [&](std::int64_t index, int /*worker*/) {
    const auto row = static_cast<std::size_t>(index * tensor.rows() / rows);
    std::vector<float> weights(columns);
    std::vector<float> rounded(columns);
    std::vector<std::byte> bytes(row_bytes(type, columns).value());
    kernels::dequantize_row(tensor.type, tensor.data.subspan(row * stored, stored), weights);
    if (!encodable(weights)) return;  // write_gguf says where
    const auto counts = importance_of_row(importance, tensor, row);
    encode_row(type, weights, counts, bytes);
    kernels::dequantize_row(type, bytes, rounded);
    const auto at = static_cast<std::size_t>(index);
    for (std::size_t i = 0; i < columns; ++i) {
      const double count = counts.empty() ? 1.0 : counts[i];
      const double error = static_cast<double>(rounded[i]) - static_cast<double>(weights[i]);
      lost[at] += count * error * error;
      energy[at] += count * static_cast<double>(weights[i]) * static_cast<double>(weights[i]);
    }
  });
  double all_lost = 0;
  double all_energy = 0;
  for (std::size_t i = 0; i < lost.size(); ++i) {
    all_lost += lost[i];
    all_energy += energy[i];
  }
  return all_energy > 0 ? all_lost / all_energy : 0.0;
}

/// Not measured yet.
std::vector<TypeOption> options_for(const TensorView& tensor) {
  std::vector<TypeOption> options;
  for (const DType type : kTypes) {
    const auto row = row_bytes(type, static_cast<std::size_t>(tensor.columns()));
    if (row) options.push_back({type, *row * static_cast<std::uint64_t>(tensor.rows()), 0.0});
  }
  if (options.empty()) {
    options.push_back({DType::kF16, 2 * static_cast<std::uint64_t>(tensor.rows() * tensor.columns()), 0.0});
  }
  return options;
}

/// What the file takes beside the matrices' data, at most.
std::uint64_t overhead(const formats::ModelFile& model) {
  constexpr std::uint64_t kPerEntry = 128;  // lengths, types, offsets, padding
  std::uint64_t bytes = 4096;
  for (const auto& [key, value] : model.gguf_metadata()) bytes += key.size() + value.bytes.size() + kPerEntry;
  for (const TensorView& tensor : model.tensors()) {
    bytes += tensor.name.size() + kPerEntry;
    if (!may_quantize(tensor)) bytes += 4 * static_cast<std::uint64_t>(tensor.rows() * tensor.columns());
  }
  return bytes;
}

/// One step up of one tensor.
struct Step {
  std::size_t tensor;
  std::size_t option;
  std::uint64_t cost;
  double gain;  ///< error a byte
};

/// The steps of a tensor's lower convex hull: each buys less a byte than the one before.
std::vector<Step> hull(const std::vector<TypeOption>& options, std::size_t tensor) {
  std::vector<Step> steps;
  for (std::size_t at = 0; at + 1 < options.size();) {
    Step best{tensor, 0, 0, 0.0};
    for (std::size_t next = at + 1; next < options.size(); ++next) {
      const std::uint64_t cost = options[next].bytes - options[at].bytes;
      const double gain =
          (options[at].error - options[next].error) / static_cast<double>(std::max<std::uint64_t>(1, cost));
      if (gain > best.gain) best = {tensor, next, cost, gain};
    }
    if (best.gain <= 0) break;
    steps.push_back(best);
    at = best.option;
  }
  return steps;
}

MethodResult run_mixed(const MethodRun& run, const std::filesystem::path& folder) {
  if (run.request.budget == 0) {
    throw InputError("a limit is needed", "--budget", "give the bytes that the file may have, such as 4.5G");
  }
  if (run.calibration == nullptr && run.request.imatrix.empty()) {
    throw InputError("sensitivity is measured on data", "--calibration",
                     "give calibration prompts, or --imatrix");
  }
  GgufPlan plan = plan_preset(run.model, "Q8_0", true);
  plan.file_type = kMostlyQ4KM;
  std::vector<TensorPlan*> chosen;
  std::vector<std::vector<TypeOption>> options;
  for (TensorPlan& tensor : plan.tensors) {
    if (!may_quantize(*tensor.source)) continue;
    chosen.push_back(&tensor);
    options.push_back(options_for(*tensor.source));
  }
  const std::uint64_t rest = overhead(run.model);
  const std::uint64_t budget = run.request.budget > rest ? run.request.budget - rest : 0;
  spend_budget(options, budget);  // refuses one that holds not even the smallest types, before the long work
  const formats::Imatrix imatrix = importance_for(run, folder);
  kernels::ThreadPool pool(run.threads > 0 ? run.threads : kernels::usable_processors());
  Progress progress("sensitivity", chosen.size(), " tensors");
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const TensorView& tensor = *chosen[i]->source;
    const auto importance = importance_of(imatrix, tensor);
    run.model.prepare(tensor);
    for (TypeOption& option : options[i]) {
      if (dtype_info(option.type).block_elements > 1)
        option.error = measure(pool, tensor, option.type, importance);
    }
    run.model.release(tensor);
    progress.advance();
  }
  const auto choice = spend_budget(options, budget);
  MethodResult result;
  result.layers = nlohmann::json::array();
  double bits = 0;
  double weights = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const TypeOption& option = options[i][choice[i]];
    chosen[i]->type = option.type;
    bits += 8.0 * static_cast<double>(option.bytes);
    weights += static_cast<double>(chosen[i]->source->rows() * chosen[i]->source->columns());
    nlohmann::json errors;
    for (const TypeOption& each : options[i]) errors[std::string(dtype_info(each.type).name)] = each.error;
    result.layers.push_back({{"tensor", chosen[i]->source->name},
                             {"type", dtype_info(option.type).name},
                             {"bytes", option.bytes},
                             {"error", option.error},
                             {"errors", errors}});
  }
  const WrittenGguf written = write_model(run, plan, imatrix, folder, "quantize mixed");
  result.size = written.size;
  result.tensors = written.tensors;
  result.digest = written.digest;
  result.bits = static_cast<int>(std::lround(bits / std::max(1.0, weights)));
  result.used_calibration = true;
  return result;
}

}  // namespace

std::vector<std::size_t> spend_budget(const std::vector<std::vector<TypeOption>>& tensors,
                                      std::uint64_t budget) {
  std::vector<std::size_t> choice(tensors.size(), 0);
  std::vector<Step> steps;
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    used += tensors[i].front().bytes;
    std::ranges::copy(hull(tensors[i], i), std::back_inserter(steps));
  }
  if (used > budget) {
    throw InputError("the smallest mix takes " + std::to_string(used) + " bytes, and " +
                         std::to_string(budget) + " are left for it",
                     "--budget", "allow more, or quantize a smaller model");
  }
  std::ranges::stable_sort(steps, std::ranges::greater(), &Step::gain);
  for (const Step& step : steps) {
    const auto& options = tensors[step.tensor];
    const std::uint64_t cost = options[step.option].bytes - options[choice[step.tensor]].bytes;
    if (step.option <= choice[step.tensor] || used + cost > budget) continue;
    used += cost;
    choice[step.tensor] = step.option;
  }
  return choice;
}

Method mixed_method() {
  return {"mixed", "model.gguf", "--budget --imatrix --imatrix-out", run_mixed, gguf_memory};
}

}  // namespace stepdown::quant
