#include <algorithm>

#include "operator/compat/rule.h"

// How keys and values are kept.
namespace stepdown::compat {
namespace {

template <class Look>
void each_answer(const Subject& subject, Look look) {
  const std::string& type = subject.spec.kv_cache.type;
  if (type == "fp16" || !subject.engine.known()) return;
  for (const std::string& each : subject.classes()) {
    const Answer answer = subject.engine.keeps_cache({"", type, each, subject.architecture()});
    if (look(each, answer)) return;
  }
}

std::string on(const std::string& hardware) {
  return hardware.empty() ? "" : " on " + hardware;
}

void no_such_cache(const Subject& subject, Report& report) {
  each_answer(subject, [&](const std::string& hardware, const Answer& answer) {
    if (answer.verdict != Verdict::kRefused && answer.verdict != Verdict::kUnlisted) return false;
    std::string known;
    for (const std::string& each : subject.engine.kv_types()) known += (known.empty() ? "" : ", ") + each;
    report.add("spec.kvCache.type",
               "engine " + subject.spec.serving.engine + " has no " + subject.spec.kv_cache.type +
                   " KV cache" + on(hardware) + because(answer),
               "use one of " + known);
    return true;
  });
}

void degraded_cache(const Subject& subject, Report& report) {
  each_answer(subject, [&](const std::string& hardware, const Answer& answer) {
    if (answer.verdict != Verdict::kDegraded && answer.verdict != Verdict::kUndocumented) return false;
    report.add("spec.kvCache.type",
               subject.spec.kv_cache.type + " KV cache of " + subject.spec.serving.engine + on(hardware) +
                   (answer.verdict == Verdict::kUndocumented ? ": nothing is documented about it"
                                                             : because(answer)));
    return true;
  });
}

void unchecked_cache(const Subject& subject, Report& report) {
  if (subject.spec.kv_cache.type == "fp16" || !subject.spec.quantization.from_revision.empty()) return;
  if (!subject.spec.evaluation.dataset.empty() && subject.spec.kv_cache.max_attention_error) return;
  report.add("spec.kvCache.type",
             subject.spec.evaluation.dataset.empty()
                 ? "a quantized KV cache without an evaluation: nothing measures what attention loses"
                 : "a quantized KV cache without a limit on the attention error");
}

void loose_limit(const Subject& subject, Report& report) {
  const auto& limit = subject.spec.kv_cache.max_attention_error;
  const std::string& type = subject.spec.kv_cache.type;
  const bool four_bits = type == "int4";
  if (!limit || type == "fp16" || *limit <= (four_bits ? 0.25 : 0.1)) return;
  report.add("spec.kvCache.maxAttentionError",
             std::string(four_bits ? "a quarter" : "a tenth") +
                 " of each layer's attention output may be wrong at that limit");
}

constexpr Rule kRules[] = {
    {"SD008", Severity::kWarning, "A quantized KV cache without the attention check",
     "Errors of keys move attention to other tokens: long prompts lose facts while short benchmarks stay "
     "flat.",
     "kvCache: {type: int8}",
     "give an evaluation with prompts of 4k tokens or more, and kvCache.maxAttentionError (0.02 for int8, "
     "0.06 for fp8, 0.2 for int4)",
     unchecked_cache},
    {"SD009", Severity::kError, "A KV cache that the engine does not have",
     "Engines have different caches: vLLM and SGLang FP8, llama.cpp q8_0 and q4_0, the bundled engine "
     "int8, fp8 and int4. What an engine would ignore in silence is refused here.",
     "kvCache: {type: int4}\nserving: {engine: vllm}", "use fp16", no_such_cache},
    {"SD037", Severity::kWarning, "A KV cache that disappoints",
     "FP8 caches with scales of 1.0 clip, quantized caches make Gemma slow and wrong, Ollama ignores the "
     "setting without flash attention.",
     "kvCache: {type: fp8}\nserving: {engine: vllm}",
     "compare longContext and perplexity with an fp16 cache before relying on it", degraded_cache},
    {"SD053", Severity::kWarning, "An attention error that is allowed too much", "The check guards nothing.",
     "kvCache: {type: int8, maxAttentionError: 0.5}",
     "0.02 for int8, 0.06 for fp8 and 0.2 for int4 are usual", loose_limit},
};

}  // namespace

std::span<const Rule> kv_cache_rules() {
  return kRules;
}

}  // namespace stepdown::compat
