#include "engine/quant/calibration/prompt_attention.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/operations.h"
#include "engine/quant/linear_algebra.h"

namespace stepdown::quant {
namespace {

struct Prompt {
  std::int64_t first, count;
};

std::vector<Prompt> prompts_of(Lengths lengths, std::int64_t rows) {
  if (lengths.empty()) return {{0, rows}};
  std::vector<Prompt> prompts;
  std::int64_t first = 0;
  for (const std::int64_t count : lengths) {
    prompts.push_back({first, count});
    first += count;
  }
  return prompts;
}

}  // namespace

void rotate(const Rotation& rotation, std::int64_t head_dim, Lengths lengths, Matrix& rows, float direction) {
  const std::vector<Prompt> prompts = prompts_of(lengths, rows.rows);
  std::int64_t longest = 0;
  for (const Prompt& prompt : prompts) longest = std::max(longest, prompt.count);
  std::vector<float> cosines(rotation.frequencies.size());
  std::vector<float> sines(cosines.size());
  for (std::int64_t position = 0; position < longest; ++position) {
    for (std::size_t i = 0; i < cosines.size(); ++i) {
      const float angle = static_cast<float>(position) * rotation.frequencies[i];
      cosines[i] = std::cos(angle) * rotation.magnitude;
      sines[i] = std::sin(angle) * rotation.magnitude * direction;
    }
    for (const Prompt& prompt : prompts) {
      if (position >= prompt.count) continue;
      float* row = rows.row(prompt.first + position);
      for (float* head = row; head < row + rows.columns; head += head_dim) {
        for (std::size_t i = 0; i < cosines.size(); ++i) {
          float& left = head[i];
          float& right = head[static_cast<std::int64_t>(i) + rotation.apart];
          const float x = left;
          left = x * cosines[i] - right * sines[i];
          right = right * cosines[i] + x * sines[i];
        }
      }
    }
  }
}

Matrix attend(kernels::ThreadPool& pool, const model::AttentionRule& rule, std::int64_t head_dim,
              Lengths lengths, const AttentionInputs& inputs) {
  const auto& [queries, keys, values] = inputs;
  const std::int64_t heads = queries.columns / head_dim;
  const std::int64_t group = queries.columns / keys.columns;
  const auto width = static_cast<std::size_t>(head_dim);
  Matrix out(queries.rows, queries.columns);
  const std::vector<Prompt> prompts = prompts_of(lengths, queries.rows);
  pool.each(static_cast<std::int64_t>(prompts.size()) * heads, [&](std::int64_t task, int /*worker*/) {
    const Prompt& prompt = prompts[static_cast<std::size_t>(task / heads)];
    const std::int64_t head = task % heads;
    const std::int64_t from = head / group * head_dim;
    std::vector<float> scores(static_cast<std::size_t>(prompt.count));
    for (std::int64_t query = 0; query < prompt.count; ++query) {
      const float* q = queries.row(prompt.first + query) + head * head_dim;
      const std::int64_t first = rule.window > 0 ? std::max<std::int64_t>(0, query + 1 - rule.window) : 0;
      const std::span seen(scores.data() + first, static_cast<std::size_t>(query + 1 - first));
      dots(q, keys.row(prompt.first + first) + from, keys.columns, width, seen);
      for (float& score : seen) {
        score *= rule.scale;
        if (rule.softcap > 0.0f) score = rule.softcap * std::tanh(score / rule.softcap);
      }
      kernels::operations().softmax(seen.data(), static_cast<std::int64_t>(seen.size()));
      const auto count = static_cast<std::int64_t>(seen.size());
      add_product({seen.data(), count}, {values.row(prompt.first + first) + from, values.columns}, count,
                  {out.row(prompt.first + query) + head * head_dim, head_dim}, 1, head_dim);
    }
  });
  return out;
}

}  // namespace stepdown::quant
