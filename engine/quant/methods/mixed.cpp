#include "engine/quant/methods/mixed.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/progress.h"
#include "engine/kernels/dequantize.h"
#include "engine/kernels/thread_pool.h"
#include "engine/quant/calibration/sensitivity.h"
#include "engine/quant/encoder.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/quant/kept_state.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/methods/gguf.h"
#include "engine/quant/methods/mixed_budget.h"
#include "engine/quant/preset.h"

namespace stepdown::quant {
namespace {

constexpr std::array kTypes = {DType::kQ2_K,   DType::kQ3_K, DType::kIQ4_XS, DType::kQ4_0,
                               DType::kIQ4_NL, DType::kQ4_K, DType::kQ4_1,   DType::kQ5_0,
                               DType::kQ5_K,   DType::kQ5_1, DType::kQ6_K,   DType::kQ8_0};
constexpr const char* kSensitivity = ".sensitivity";

/// What a tensor's sensitivity is measured with, the first that it may have: coarse enough to be seen.
constexpr std::array kProbes = {DType::kQ3_K, DType::kQ4_0};
constexpr std::int64_t kRows = 256;        // of a matrix that its error is measured on
constexpr double kNoise = 1e-9;            // nats a token that floats do not tell from none
constexpr std::uint32_t kMostlyQ4KM = 15;  // what general.file_type says of a mix that no preset has

/// One matrix, and what is known of it.
struct Candidate {
  TensorPlan* plan;
  std::span<const float> importance;
  std::vector<TypeOption> options;  ///< their loss: nats a token, as far as it is measured
  std::vector<double> errors;       ///< of each option: the share of its outputs' energy that is lost
  double divergence = 0;            ///< of the model when this one alone has the type `probe`
  DType probe = DType::kF16;        ///< kF16: none
};

void round_row(DType type, std::span<const float> importance, std::span<const float> weights,
               std::span<float> rounded) {
  std::vector<std::byte> bytes(row_bytes(type, weights.size()).value());
  encode_row(type, weights, importance, bytes);
  kernels::dequantize_row(type, bytes, rounded);
}

/// The error of some rows of one tensor in one type, each column counting by its importance.
double measure_error(kernels::ThreadPool& pool, const TensorView& tensor, DType type,
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
    kernels::dequantize_row(tensor.type, tensor.data.subspan(row * stored, stored), weights);
    if (!encodable(weights)) return;  // write_gguf says where
    const auto counts = importance_of_row(importance, tensor, row);
    round_row(type, counts, weights, rounded);
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
Candidate candidate(TensorPlan& plan) {
  Candidate found{&plan, {}, {}, {}};
  const auto columns = static_cast<std::size_t>(plan.source->columns());
  const auto rows = static_cast<std::uint64_t>(plan.source->rows());
  for (const DType type : kTypes) {
    if (const auto row = row_bytes(type, columns)) found.options.push_back({type, *row * rows, 0.0});
  }
  for (const DType type : kProbes) {
    if (found.probe == DType::kF16 && row_bytes(type, columns)) found.probe = type;
  }
  if (found.options.empty()) found.options.push_back({DType::kF16, 2 * rows * columns, 0.0});
  return found;
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

void measure_errors(kernels::ThreadPool& pool, const formats::ModelFile& model,
                    std::vector<Candidate>& candidates) {
  Progress progress("errors of types", candidates.size(), " tensors");
  for (Candidate& each : candidates) {
    const TensorView& tensor = *each.plan->source;
    model.prepare(tensor);
    for (const TypeOption& option : each.options) {
      const bool rounds = each.probe != DType::kF16;
      each.errors.push_back(rounds ? measure_error(pool, tensor, option.type, each.importance) : 0.0);
    }
    model.release(tensor);
    progress.advance();
  }
}

/// The model's loss by each tensor alone in one type; by its other types it follows their errors, as a
/// divergence grows with the square of what causes it.
void measure_losses(kernels::ThreadPool& pool, const MethodRun& run, std::vector<Candidate>& candidates,
                    const std::filesystem::path& state) {
  std::map<std::string_view, const Candidate*> by_name;
  for (const Candidate& each : candidates) by_name[each.plan->source->name] = &each;
  const auto round = [&](const TensorView& tensor, std::int64_t expert, Matrix& rows) {
    const Candidate& each = *by_name.at(tensor.name);
    if (each.probe == DType::kF16) return;
    const std::int64_t first = std::max<std::int64_t>(0, expert) * rows.rows;
    const auto counts = importance_of_row(each.importance, tensor, static_cast<std::size_t>(first));
    pool.each(rows.rows, [&](std::int64_t row, int /*worker*/) {
      if (encodable(rows.row_span(row)))
        round_row(each.probe, counts, rows.row_span(row), rows.row_span(row));
    });
  };
  const auto divergence = measure_sensitivity(pool, run.model, *run.calibration, round, state);
  for (Candidate& each : candidates) {
    if (each.probe == DType::kF16) continue;
    // Where nothing is seen of a matrix it still follows its errors, so that bytes to spare are spent on it.
    each.divergence = std::max(kNoise, divergence.at(each.plan->source->name));
    const auto probed = std::ranges::find(each.options, each.probe, &TypeOption::type);
    const double error = each.errors[static_cast<std::size_t>(probed - each.options.begin())];
    for (std::size_t i = 0; i < each.options.size() && error > 0; ++i)
      each.options[i].loss = each.divergence * each.errors[i] / error;
  }
}

/// What a matrix got, what was measured of it, and what more bytes would have bought.
nlohmann::json explain(const Candidate& each, std::size_t choice) {
  const TypeOption& chosen = each.options[choice];
  const auto row = [](const TypeOption& option) {
    return nlohmann::json{
        {"type", dtype_info(option.type).name}, {"bytes", option.bytes}, {"loss", option.loss}};
  };
  nlohmann::json layer = row(chosen);
  const double weights = static_cast<double>(each.plan->source->rows() * each.plan->source->columns());
  layer["tensor"] = each.plan->source->name;
  layer["bits"] = 8.0 * static_cast<double>(chosen.bytes) / weights;
  for (std::size_t i = 0; i < each.options.size(); ++i)
    layer["errors"][std::string(dtype_info(each.options[i].type).name)] = each.errors[i];
  const auto better =
      std::find_if(each.options.begin() + static_cast<std::ptrdiff_t>(choice), each.options.end(),
                   [&](const TypeOption& option) { return option.loss < chosen.loss; });
  if (better != each.options.end()) layer["next"] = row(*better);
  if (each.probe != DType::kF16)
    layer["measured"] = {{"type", dtype_info(each.probe).name}, {"divergence", each.divergence}};
  return layer;
}

MethodResult run_mixed(const MethodRun& run, const std::filesystem::path& folder) {
  if (run.request.budget == 0) {
    throw InputError("a limit is needed", "--budget", "give the bytes that the file may have, such as 4.5G");
  }
  if (run.calibration == nullptr) {
    throw InputError("what the model loses by a type is measured on prompts", "--calibration",
                     "give prompts like those it will serve");
  }
  GgufPlan plan = plan_preset(run.model, "Q8_0", true);
  plan.file_type = kMostlyQ4KM;
  std::vector<Candidate> candidates;
  for (TensorPlan& tensor : plan.tensors) {
    if (may_quantize(*tensor.source)) candidates.push_back(candidate(tensor));
  }
  const std::uint64_t rest = overhead(run.model);
  const auto choose = [&] {
    std::vector<std::vector<TypeOption>> options;
    for (const Candidate& each : candidates) options.push_back(each.options);
    return spend_budget(options, run.request.budget, rest);
  };
  choose();  // refuses one that holds not even the smallest types, before the long work
  for (const Candidate& each : candidates) each.plan->type = each.options.front().type;
  require_space_for(plan, folder / "model.gguf");
  const formats::Imatrix imatrix = importance_for(run, folder);
  for (Candidate& each : candidates) each.importance = importance_of(imatrix, *each.plan->source);
  {
    kernels::ThreadPool pool(run.threads > 0 ? run.threads : kernels::usable_processors());
    measure_errors(pool, run.model, candidates);
    measure_losses(pool, run, candidates, folder / kSensitivity);
  }
  const auto choice = choose();
  MethodResult result;
  result.layers = nlohmann::json::array();
  double bits = 0;
  double weights = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const TypeOption& option = candidates[i].options[choice[i]];
    candidates[i].plan->type = option.type;
    bits += 8.0 * static_cast<double>(option.bytes);
    weights +=
        static_cast<double>(candidates[i].plan->source->rows() * candidates[i].plan->source->columns());
    result.layers.push_back(explain(candidates[i], choice[i]));
  }
  const WrittenGguf written = write_model(run, plan, imatrix, folder, "quantize mixed");
  discard_state(folder / kSensitivity);
  result.size = written.size;
  result.tensors = written.tensors;
  result.digest = written.digest;
  result.bits = static_cast<int>(std::lround(bits / std::max(1.0, weights)));
  result.used_calibration = true;
  return result;
}

}  // namespace

Method mixed_method() {
  return {"mixed", "model.gguf", "--budget --imatrix-out", run_mixed, [](const MethodRun& run) {
            const std::int64_t writing = gguf_memory(run);
            return run.calibration == nullptr
                       ? writing
                       : std::max(writing, sensitivity_working_memory(run.model, *run.calibration));
          }};
}

}  // namespace stepdown::quant
