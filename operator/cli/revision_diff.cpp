#include "operator/cli/revision_diff.h"

#include <set>

#include "operator/cli/text_table.h"

namespace stepdown::cli {
namespace {

class Comparison {
 public:
  Comparison(const std::string& a, const std::string& b) { rows_.push_back({"", a, b}); }

  void field(const std::string& name, const std::string& a, const std::string& b) {
    if (a == b) {
      if (!a.empty()) same_ += (same_.empty() ? "" : ", ") + name;
      return;
    }
    rows_.push_back({name, a.empty() ? "-" : a, b.empty() ? "-" : b});
  }

  /// Always shown: that a score did not move is news too.
  void figure(const std::string& name, std::optional<double> a, std::optional<double> b) {
    const auto text = [](std::optional<double> value) { return value ? number(*value) : "-"; };
    rows_.push_back({name, text(a), text(b), a && b ? change(*a, *b) : ""});
  }

  void size(const std::string& name, std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
    const auto text = [](std::optional<std::int64_t> value) { return value ? mebibytes(*value) : "-"; };
    rows_.push_back(
        {name, text(a), text(b),
         a && b && *a > 0 ? percent(static_cast<double>(*b - *a) / static_cast<double>(*a)) : ""});
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> out = table(rows_);
    if (!same_.empty()) out.push_back("the same: " + same_);
    return out;
  }

 private:
  static std::string change(double a, double b) { return a == b ? "=" : (b > a ? "+" : "") + number(b - a); }
  static std::string percent(double share) { return (share > 0 ? "+" : "") + number(share * 100) + " %"; }

  std::vector<Row> rows_;
  std::string same_;
};

std::string text_of(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

std::optional<double> score(const api::Metrics& scores, const std::string& name) {
  const auto found = scores.find(name);
  return found == scores.end() ? std::nullopt : found->second.value;
}

std::optional<std::int64_t> bytes(std::optional<double> value) {
  return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

}  // namespace

std::vector<std::string> revision_diff(const api::QuantRevision& a, const api::QuantRevision& b) {
  const api::QuantRevisionSpec &x = a.spec, &y = b.spec;
  Comparison out(a.metadata.name, b.metadata.name);
  out.field("model", x.model, y.model);
  out.field("base", short_digest(x.base.digest), short_digest(y.base.digest));
  out.field("tokenizer", short_digest(x.base.tokenizer_digest), short_digest(y.base.tokenizer_digest));
  out.field("chat template", short_digest(x.base.template_digest), short_digest(y.base.template_digest));
  out.field("method", x.method, y.method);
  out.field("preset", x.preset, y.preset);
  out.field("group size", text_of(x.group_size), text_of(y.group_size));
  const auto adapters = [](const api::QuantRevisionSpec& spec) {
    std::string all;
    for (const api::MergedAdapter& each : spec.adapters) {
      all += (all.empty() ? "" : " ") + short_digest(each.digest) + "*" + number(each.weight);
    }
    return all;
  };
  const auto recipe = [](const api::QuantRevisionSpec& spec) {
    std::string all;
    for (const std::string& argument : spec.recipe) all += (all.empty() ? "" : " ") + argument;
    return all;
  };
  out.field("adapters", adapters(x), adapters(y));
  out.field("recipe", recipe(x), recipe(y));
  const auto calibration = [](const api::QuantRevisionSpec& spec) {
    return spec.calibration.value_or(api::Calibration{});
  };
  out.field("calibration", short_digest(calibration(x).digest), short_digest(calibration(y).digest));
  out.field("imatrix", short_digest(calibration(x).imatrix), short_digest(calibration(y).imatrix));
  out.field("tool", x.tool_version, y.tool_version);
  out.field("artifact", short_digest(x.artifact.digest), short_digest(y.artifact.digest));
  const auto evaluation = [](const api::QuantRevisionSpec& spec) {
    return spec.evaluation.value_or(api::EvaluationRecord{});
  };
  out.field("dataset", evaluation(x).dataset, evaluation(y).dataset);
  out.field("KV cache", evaluation(x).kv_type, evaluation(y).kv_type);
  const auto layers = [](const api::EvaluationRecord& record) {
    std::string all;
    for (const std::int64_t layer : record.fp16_kv_layers)
      all += (all.empty() ? "" : ",") + std::to_string(layer);
    return all;
  };
  out.field("layers with FP16 KV", layers(evaluation(x)), layers(evaluation(y)));
  out.field("context", text_of(evaluation(x).context_length), text_of(evaluation(y).context_length));
  out.figure("bits a weight", x.bits, y.bits);
  out.size("size", x.artifact.size, y.artifact.size);
  std::set<std::string> names;
  for (const auto* scores : {&x.scores, &y.scores}) {
    for (const auto& [name, metric] : *scores) names.insert(name);
  }
  for (const std::string& name : names) {
    const auto before = score(x.scores, name), after = score(y.scores, name);
    if (name == "peakMemoryBytes") {
      out.size("peak memory", bytes(before), bytes(after));
    } else {
      out.figure(name, before, after);
    }
  }
  return out.lines();
}

}  // namespace stepdown::cli
