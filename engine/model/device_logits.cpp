#include "engine/model/device_logits.h"

#include <algorithm>
#include <array>

namespace stepdown::model {
namespace {

namespace cuda = kernels::cuda;

constexpr auto kAtOnce = static_cast<std::size_t>(DeviceLogits::kRows);

LeadingLogits found(const cuda::TokenSummary& summary, const cuda::LeadingRow& leaders) {
  static_assert(cuda::LeadingRow::kMost == LeadingLogits::kMost);
  LeadingLogits out{.distribution = {summary.finite != 0, summary.maximum, summary.log_sum, summary.entropy},
                    .mass = leaders.mass,
                    .count = leaders.count,
                    .tokens = {}};
  for (std::size_t i = 0; i < out.tokens.size(); ++i) out.tokens[i] = {leaders.logits[i], leaders.tokens[i]};
  return out;
}

}  // namespace

DeviceLogits::DeviceLogits(const cuda::Device& device, const formats::ModelConfig& config,
                           const DeviceLayers& model, const DeviceProducts& products)
    : device_(device),
      config_(config),
      model_(model),
      products_(products),
      rows_(device, kAtOnce * sizeof(std::int32_t)),
      normed_(device,
              kAtOnce * static_cast<std::size_t>(padded_columns(config.hidden)) * sizeof(std::uint16_t)),
      logits_(device, kAtOnce * static_cast<std::size_t>(config.vocab) * sizeof(float)),
      summaries_(device, kAtOnce * sizeof(cuda::TokenSummary)),
      temperatures_(device, kAtOnce * sizeof(float)),
      leaders_(device, kAtOnce * sizeof(cuda::LeadingRow)),
      rows_here_(device, rows_.size(), cuda::Buffer::Where::kHost),
      logits_here_(device, logits_.size(), cuda::Buffer::Where::kHost),
      found_here_(device, summaries_.size() + leaders_.size(), cuda::Buffer::Where::kHost) {}

// Leaves the logits on the device; `summarize`: though they are final without it.
cuda::Failure DeviceLogits::compute(const float* residual, std::span<const std::int64_t> rows,
                                    bool summarize) const {
  const auto count = static_cast<std::int32_t>(rows.size());
  const cuda::Stream stream = device_.stream();
  device_.select();
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows_here_.as<std::int32_t>()[i] = static_cast<std::int32_t>(rows[i]);
  cuda::Failure failure =
      device_.runtime().to_device(stream, rows_.as(), rows_here_.as(), rows.size() * sizeof(std::int32_t));
  if (failure != nullptr) return failure;
  failure = device_.operations().rms_norm(
      stream, {.rows = residual,
               .weight = model_.output_norm,
               .epsilon = config_.rms_eps,
               .columns = static_cast<std::int32_t>(config_.hidden),
               .count = count,
               .gather = rows_.as<std::int32_t>(),
               .out = normed_.as<std::uint16_t>(),
               .stride = static_cast<std::int32_t>(padded_columns(config_.hidden))});
  if (failure != nullptr) return failure;
  failure = products_.multiply(model_.output, normed_, count, logits_.as<float>(), false);
  if (failure != nullptr) return failure;
  if (!summarize && config_.logit_scale == 1.0f && config_.logit_softcap <= 0.0f) return nullptr;
  return device_.operations().summarize(stream, {.logits = logits_.as<float>(),
                                                 .columns = static_cast<std::int32_t>(config_.vocab),
                                                 .rows = count,
                                                 .scale = config_.logit_scale,
                                                 .softcap = config_.logit_softcap,
                                                 .out = summaries_.as<cuda::TokenSummary>()});
}

cuda::Failure DeviceLogits::whole(const float* residual, std::span<const std::int64_t> rows,
                                  float* out) const {
  const auto width = static_cast<std::size_t>(config_.vocab);
  const cuda::Runtime& runtime = device_.runtime();
  for (std::size_t done = 0; done < rows.size(); done += kAtOnce) {
    const auto some = rows.subspan(done, std::min(kAtOnce, rows.size() - done));
    const std::size_t values = some.size() * width;
    cuda::Failure failure = compute(residual, some, false);
    if (failure == nullptr)
      failure = runtime.to_host(device_.stream(), logits_here_.as(), logits_.as(), values * sizeof(float));
    if (failure == nullptr) failure = runtime.wait(device_.stream());
    if (failure != nullptr) return failure;
    std::copy_n(logits_here_.as<float>(), values, out + done * width);
  }
  return nullptr;
}

cuda::Failure DeviceLogits::leading(const float* residual, std::span<const LeadingQuery> queries,
                                    LeadingLogits* out) const {
  for (std::size_t done = 0; done < queries.size(); done += kAtOnce) {
    const auto some = queries.subspan(done, std::min(kAtOnce, queries.size() - done));
    if (const cuda::Failure failure = lead(residual, some, out + done); failure != nullptr) return failure;
  }
  return nullptr;
}

cuda::Failure DeviceLogits::lead(const float* residual, std::span<const LeadingQuery> queries,
                                 LeadingLogits* out) const {
  const std::size_t count = queries.size();
  const cuda::Runtime& runtime = device_.runtime();
  const cuda::Stream stream = device_.stream();
  std::array<std::int64_t, kAtOnce> rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows[i] = queries[i].row;
    found_here_.as<float>()[i] = queries[i].temperature;
  }
  cuda::Failure failure = compute(residual, std::span(rows).first(count), true);
  if (failure == nullptr)
    failure = runtime.to_device(stream, temperatures_.as(), found_here_.as(), count * sizeof(float));
  if (failure != nullptr) return failure;
  failure = device_.operations().lead(stream, {.logits = logits_.as<float>(),
                                               .columns = static_cast<std::int32_t>(config_.vocab),
                                               .rows = static_cast<std::int32_t>(count),
                                               .temperatures = temperatures_.as<float>(),
                                               .out = leaders_.as<cuda::LeadingRow>()});
  if (failure != nullptr) return failure;
  auto* const summaries = found_here_.as<cuda::TokenSummary>();
  auto* const leaders = reinterpret_cast<cuda::LeadingRow*>(found_here_.as() + summaries_.size());
  failure = runtime.to_host(stream, summaries, summaries_.as(), count * sizeof(cuda::TokenSummary));
  if (failure == nullptr)
    failure = runtime.to_host(stream, leaders, leaders_.as(), count * sizeof(cuda::LeadingRow));
  if (failure == nullptr) failure = runtime.wait(stream);
  if (failure != nullptr) return failure;
  for (std::size_t i = 0; i < count; ++i) out[i] = found(summaries[i], leaders[i]);
  return nullptr;
}

}  // namespace stepdown::model
