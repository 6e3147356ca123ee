#include <algorithm>
#include <cctype>

#include "engine/base/error.h"
#include "engine/fetch/check_source.h"
#include "engine/fetch/source.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/rule.h"
#include "operator/compat/spec_sources.h"

// What the model is made from: sources, pins, adapters, and files that are quantized already.
namespace stepdown::compat {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// What an error says, without where and mend, which findings have fields for.
std::string plain_message(const Error& error) {
  std::string text = error.what();
  if (!error.where().empty() && text.starts_with(error.where() + ": "))
    text.erase(0, error.where().size() + 2);
  if (!error.mend().empty() && text.ends_with("; " + error.mend()))
    text.resize(text.size() - error.mend().size() - 2);
  return text;
}

void mountable(const Subject& subject, Report& report) {
  if (subject.spec.model.source.empty())
    report.add("spec.model.source", "there is no source", "say where the model lies");
  for (const SpecSource& each : spec_sources(subject.spec)) {
    const std::string& source = each.source;
    if (fetch::is_remote(source)) {
      try {
        fetch::check_source(source);
      } catch (const InputError& error) {
        report.add(each.path, "source " + source + " cannot be fetched: " + plain_message(error),
                   error.mend());
      }
      continue;
    }
    const bool known = source.empty() || source.starts_with("file:///") ||
                       (source.starts_with("pvc://") && source.size() > 6);
    if (known && source.find("/../") == std::string::npos && !source.ends_with("/..")) continue;
    report.add(each.path, "source " + source + " cannot be mounted");
  }
}

/// How large a copy becomes is known once it is there, so its claim is sized by a person.
void room_for_copies(const Subject& subject, Report& report) {
  const api::StorageSpec& storage = subject.spec.storage;
  if (!storage.claim_name.empty() || !storage.size.empty()) return;
  for (const SpecSource& each : spec_sources(subject.spec)) {
    if (!fetch::is_remote(each.source)) continue;
    report.add(each.path, "source " + each.source + " is fetched to a claim, and spec.storage gives none");
    return;
  }
}

void small_node_cache(const Subject& subject, Report& report) {
  const auto& cache = subject.spec.storage.node_cache;
  const auto& model = subject.inventory.model;
  if (!cache || !model || api::parse_quantity(cache->size).value_or(0) >= model->size) return;
  report.add("spec.storage.nodeCache.size",
             "FP16 (" + readable_bytes(model->size) + ") is never copied into " + cache->size);
}

bool is_gguf(const Subject& subject) {
  if (subject.inventory.model) return subject.inventory.model->format == "gguf";
  return lower(subject.spec.model.source).ends_with(".gguf");
}

/// They are merged into a Hugging Face folder's weights: by Jobs before they quantize, and by the bundled
/// engine where it serves FP16. Any other engine would serve an FP16 without them.
void adapters(const Subject& subject, Report& report) {
  if (subject.spec.model.adapters.empty()) return;
  if (is_gguf(subject)) {
    report.add("spec.model.adapters", "adapters do not merge into a GGUF file",
               "give the base's Hugging Face folder as source");
  }
  if (!subject.bundled_engine()) {
    report.add("spec.model.adapters",
               subject.spec.serving.engine +
                   " would serve FP16 without them: control and fallback would be another model than what "
                   "was quantized");
  }
}

void base_digest(const Subject& subject, Report& report) {
  // Headers that were read offline have no digest.
  if (!subject.inventory.model || subject.inventory.model->digest.empty()) return;
  const std::string& found = subject.inventory.model->digest;
  const std::string& pinned = subject.spec.model.revision;
  if (!pinned.empty() && pinned != found) {
    report.add("spec.model.revision", "the source has digest " + found,
               "mend the source, or pin that digest");
  }
  if (!subject.inventory.from_revision) return;
  const std::string& made_from = subject.inventory.from_revision->spec.base.digest;
  if (made_from != found) {
    report.add("spec.quantization.fromRevision",
               "it was made from base " + made_from + ", the source has " + found,
               "promote a revision of this base, or give its base as source");
  }
}

/// Marks that publishers put into the names of quantized repositories.
std::string quantized_by_name(const std::string& source) {
  const std::string text = lower(source);
  const auto in_word = [&](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  for (const std::string mark : {"awq", "gptq", "gguf", "int4", "int8", "fp8", "nvfp4", "bnb-4bit", "exl2",
                                 "w4a16", "w8a8", "w8a16"}) {
    for (auto at = text.find(mark, 1); at != std::string::npos; at = text.find(mark, at + 1)) {
      if (text[at - 1] != '/' && !in_word(at - 1) && !in_word(at + mark.size())) return mark;
    }
  }
  return "";
}

constexpr double kFp16Bits = 15;  // a weight, at least: some tensors of such files have fewer

double bits_a_weight(const api::ModelFacts& model) {
  if (model.parameters <= 0) return kFp16Bits;
  return static_cast<double>(model.memory.weights) * 8 / static_cast<double>(model.parameters);
}

void base_is_quantized(const Subject& subject, Report& report) {
  if (subject.inventory.model) {
    const std::string& format = subject.inventory.model->format;
    if (const double bits = bits_a_weight(*subject.inventory.model); format == "gguf" && bits < kFp16Bits) {
      char text[16];
      std::snprintf(text, sizeof text, "%.1f", bits);
      report.add("spec.model.source",
                 std::string("the source is a GGUF file of ") + text +
                     " bits a weight: its errors would be quantized again, and it is no FP16 to fall back to",
                 "", Severity::kWarning);
    }
    if (format == "gguf" || format == "safetensors" || format.empty()) return;
    report.add(
        "spec.model.source",
        "the source is " + format +
            ", quantized already: its errors would be quantized again, and it is no FP16 to fall back to");
    return;
  }
  const std::string mark = quantized_by_name(subject.spec.model.source);
  if (mark.empty() || mark == "gguf") return;
  report.add("spec.model.source", "by its name the source is " + mark + ", quantized already", "",
             Severity::kWarning);
}

/// GGUF carries its own tokenizer and configuration; the others take them from the base's folder.
void formats_mixed(const Subject& subject, Report& report) {
  const bool gguf_base = is_gguf(subject);
  for (const AskedFormat& asked : subject.formats) {
    const bool candidate = asked.path.starts_with("spec.quantization.candidates");
    if (!candidate || !gguf_base || asked.format == "gguf" || asked.format == "ternary") continue;
    report.add(asked.path,
               asked.name +
                   " is written as safetensors with the base's config.json and tokenizer.json, and the base "
                   "is a GGUF file that has none",
               "give the Hugging Face folder as source, or use gguf candidates");
  }
  if (subject.bundled_engine()) return;
  const auto gguf = std::ranges::find(subject.formats, "gguf", &AskedFormat::format);
  const auto other = std::ranges::find_if(subject.formats, [](const AskedFormat& asked) {
    return asked.format != "gguf" && asked.format != "safetensors" && asked.format != "ternary";
  });
  if (gguf == subject.formats.end() || other == subject.formats.end()) return;
  if (!gguf->path.starts_with("spec.quantization") || !other->path.starts_with("spec.quantization")) return;
  report.add("spec.quantization.candidates",
             gguf->name + " and " + other->name + " would be served by " + subject.spec.serving.engine +
                 " in turn, with tokenizer and configuration from different files",
             "", Severity::kWarning);
}

void unpinned(const Subject& subject, Report& report) {
  if (subject.spec.model.revision.empty() && subject.spec.quantization.from_revision.empty()) {
    report.add("spec.model.revision",
               "the base is not pinned: other files at the same place become another model");
  }
}

/// Offline validation finds it while reading; what reaches the rules was read.
void read_already(const Subject&, Report&) {}

constexpr Rule kRules[] = {
    {"SD001", Severity::kError, "A source that cannot be mounted or fetched",
     "Sources on the node or on a claim are mounted into Jobs and servers as volumes; those in a registry, "
     "an "
     "object store or on the Hub are fetched first. A path that climbs out of its volume is refused.",
     "model: {source: \"models/llama\"}",
     "give file:///absolute/path or pvc://claim/path, without '..', or oci://host/repository:tag, "
     "s3://bucket/prefix, hf://owner/name",
     mountable},
    {"SD003", Severity::kError, "Adapters that are not merged",
     "A LoRA adapter beside a quantized base is another model than the one that was evaluated: merging after "
     "quantization rounds twice, and serving it unmerged skips the evaluation.",
     "model: {source: \"pvc://models/llama\", adapters: [{source: \"pvc://models/lora\"}]}\nserving: "
     "{engine: "
     "vllm}",
     "serve with the bundled engine, which merges them, or merge them into the base in FP32 and name the "
     "result as source",
     adapters},
    {"SD011", Severity::kError, "The base is not the one that was pinned",
     "Scores and artifacts belong to one base. Files that changed under the same path make them meaningless.",
     "model: {source: \"pvc://models/llama\", revision: \"sha256:...\"}",
     "mend the source, or pin what it holds", base_digest},
    {"SD018", Severity::kError, "Formats mixed in one deployment",
     "GGUF weights beside AWQ ones take tokenizer and configuration from different places: the server "
     "starts, and "
     "answers with the wrong tokens.",
     "model: {source: \"pvc://models/llama.gguf\"}\nquantization: {candidates: [{method: awq, bits: 4}]}",
     "keep one family of formats in one QuantizedModel", formats_mixed},
    {kUnreadable, Severity::kError, "A manifest that cannot be read",
     "An API server drops or refuses a field that it does not know, and what was meant is not done. A header "
     "that cannot be read is of no model that could be served.",
     "serving: {contextlength: 8192}  # contextLength", "mend it as the message says", read_already},
    {"SD035", Severity::kNote, "The base is not pinned",
     "A pinned digest makes a rollout repeatable and an audit possible; status.model.digest shows it.",
     "model: {source: \"pvc://models/llama\"}", "set spec.model.revision to status.model.digest", unpinned},
    {"SD044", Severity::kError, "The base is quantized already",
     "Quantizing quantized weights adds the errors of both, and there is no FP16 to compare with or to "
     "return to.",
     "model: {source: \"pvc://models/Llama-3.1-8B-AWQ\"}", "give the FP16 or BF16 model as source",
     base_is_quantized},
    {"SD073", Severity::kError, "A source that is fetched, and no room for it",
     "A Job fetches it once, to the claim of spec.storage, from where all pods mount it; how large it is "
     "nobody knows before.",
     "model: {source: \"hf://org/llama\"}",
     "give spec.storage.size, for the model, half of it for each candidate and some spare, or "
     "spec.storage.claimName",
     room_for_copies},
    {"SD074", Severity::kWarning, "A node cache that FP16 does not fit into",
     "Its engines read the claim at every start, across the network, when a rollback needs them soon.",
     "storage: {nodeCache: {claimName: disks, size: 10Gi}}  # of a model of 16 GB",
     "give room for FP16 and the revision beside it: one and a half times the model's size",
     small_node_cache},
};

}  // namespace

std::span<const Rule> source_rules() {
  return kRules;
}

}  // namespace stepdown::compat
