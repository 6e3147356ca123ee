#pragma once

namespace stepdown::model {

/// How keys and values are kept: binary16, or int8 with a binary16 scale per token and head.
enum class KvType { kF16, kInt8 };

}  // namespace stepdown::model
