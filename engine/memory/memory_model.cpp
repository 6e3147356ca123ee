#include "engine/memory/memory_model.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/memory/saturating.h"

namespace stepdown::memory {
namespace {

constexpr std::int64_t kF32 = 4;
constexpr std::int64_t kF16 = 2;
constexpr std::array<std::pair<std::string_view, KvType>, 4> kKvTypes = {{
    {"fp16", KvType::kF16},
    {"int8", KvType::kInt8},
    {"fp8", KvType::kFp8},
    {"int4", KvType::kInt4},
}};

/// Tokens in whole pages.
std::int64_t paged(std::int64_t tokens, const EngineTraits& engine) {
  return product({sum({tokens, engine.page - 1}) / engine.page, engine.page});
}

/// Of what takes `f16` bytes at binary16.
std::int64_t at_type(std::int64_t f16, const KvCost& cost, KvType type, const EngineTraits& engine) {
  if (type == KvType::kF16 || f16 == kTooMuch) return f16;
  const std::int64_t elements = f16 / kF16;
  const std::int64_t plain = type == KvType::kInt4 ? elements / 2 : elements;
  const std::int64_t block = engine.scale_block > 0 ? engine.scale_block : cost.head_dim;
  if (engine.scaleless || block <= 0) return plain;
  return sum({plain, product({elements / block, kF16})});
}

/// A whole head is the least that an accelerator keeps: 8 heads on 3 accelerators take 3 on each.
std::int64_t split(std::int64_t bytes, const KvCost& cost, std::int64_t accelerators) {
  const std::int64_t heads = std::max<std::int64_t>(1, cost.heads);
  const std::int64_t each = (heads + accelerators - 1) / accelerators;
  return product({bytes / heads, each, accelerators});
}

}  // namespace

std::optional<KvType> kv_type_of(std::string_view name) {
  for (const auto& [known, type] : kKvTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

std::int64_t Estimate::total() const {
  return sum({weights, kv, activations, overhead});
}

std::int64_t kv_bytes_per_sequence(const KvCost& cost, const Load& load, const EngineTraits& engine) {
  const std::int64_t tokens = paged(load.context, engine);
  // A prompt's step writes its tokens before those that slid out can go.
  const std::int64_t kept = engine.frees_window && cost.window > 0
                                ? std::min(tokens, paged(sum({cost.window, engine.chunk}), engine))
                                : tokens;
  const bool expanded = engine.expands_latent && cost.expanded_per_token > 0;
  const std::int64_t per_token = expanded ? cost.expanded_per_token : cost.per_token;
  const auto at = [&](KvType type) {
    return sum({product({tokens, at_type(per_token, cost, type, engine)}),
                product({kept, at_type(cost.windowed_per_token, cost, type, engine)})});
  };
  std::int64_t bytes = at(load.kv_type);
  if (load.layers > 0 && load.f16_layers > 0 && bytes != kTooMuch) {
    const std::int64_t more = std::max<std::int64_t>(0, at(KvType::kF16) - bytes);
    bytes = sum({bytes, product({more / load.layers, std::min(load.f16_layers, load.layers)})});
  }
  // Who keeps all heads asks for a number of accelerators that divides them.
  const std::int64_t parallel = load.accelerators / std::max<std::int64_t>(1, load.nodes);
  const bool repeats = parallel > 1 && !expanded && !engine.splits_layers && bytes != kTooMuch;
  return repeats ? split(bytes, cost, parallel) : bytes;
}

std::int64_t activation_bytes(const Shape& shape, std::int64_t sequences) {
  // Residual, normed input and output; queries with the attention's output, keys and values; gate and up.
  const std::int64_t row =
      sum({product({3, shape.hidden}), product({2, shape.heads, shape.head_dim}),
           product({2, shape.kv_heads, shape.head_dim}), product({2, shape.feed_forward})});
  return sum({product({kPrefillChunk, row, kF32}), product({sequences, shape.vocab, kF32})});
}

Estimate estimate(const Model& model, const Load& load, const EngineTraits& engine) {
  return {engine.repacks ? sum({model.weights, model.repackable}) : model.weights,
          product({load.sequences, kv_bytes_per_sequence(model.kv, load, engine)}),
          product({model.activations, load.accelerators}), product({engine.overhead, load.accelerators})};
}

std::int64_t largest_sequences(const Model& model, Load load, const EngineTraits& engine,
                               std::int64_t budget) {
  load.sequences = 0;
  const std::int64_t fixed = estimate(model, load, engine).total();
  const std::int64_t each = kv_bytes_per_sequence(model.kv, load, engine);
  if (each == kTooMuch || fixed > budget) return 0;
  return each == 0 ? kTooMuch : (budget - fixed) / each;
}

std::int64_t largest_context(const Model& model, Load load, const EngineTraits& engine, std::int64_t budget) {
  std::int64_t fits = 0;
  std::int64_t fails = load.context / kPageTokens + 1;
  while (fits + 1 < fails) {
    const std::int64_t pages = fits + (fails - fits) / 2;
    load.context = pages * kPageTokens;
    (estimate(model, load, engine).total() <= budget ? fits : fails) = pages;
  }
  return fits * kPageTokens;
}

std::optional<Change> cheapest_change(const Model& model, const Load& load, const EngineTraits& engine,
                                      std::int64_t budget, std::optional<KvType> smaller_cache,
                                      std::int64_t most_accelerators) {
  const std::int64_t needed = estimate(model, load, engine).total();
  if (needed <= budget) return std::nullopt;
  if (smaller_cache && load.kv_type == KvType::kF16) {
    Load smaller = load;
    smaller.kv_type = *smaller_cache;
    if (estimate(model, smaller, engine).total() <= budget) {
      return Change{.kind = Change::Kind::kKvType, .kv_type = *smaller_cache};
    }
  }
  const std::int64_t sequences = largest_sequences(model, load, engine, budget);
  if (sequences > 0 && sequences * 2 >= load.sequences) return Change{Change::Kind::kConcurrency, sequences};
  const std::int64_t context = largest_context(model, load, engine, budget);
  if (context > 0 && context * 2 >= load.context) return Change{Change::Kind::kContext, context};
  const std::int64_t each = budget / load.accelerators;
  for (std::int64_t count = product({load.accelerators, 2}); count > 0 && count <= most_accelerators;
       count *= 2) {
    Load wider = load;
    wider.accelerators = count;
    if (estimate(model, wider, engine).total() <= product({each, count})) {
      return Change{Change::Kind::kAccelerators, count};
    }
  }
  return Change{Change::Kind::kMemory, needed};
}

}  // namespace stepdown::memory
