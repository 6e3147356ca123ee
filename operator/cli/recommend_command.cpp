#include "operator/cli/recommend_command.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/arguments.h"
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/header_facts.h"
#include "operator/api/yaml.h"
#include "operator/cli/documents.h"
#include "operator/compat/header_model.h"
#include "operator/compat/recommend/recommend.h"

namespace stepdown::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string model;
  std::string hardware;
  std::int64_t context = 0;
  std::int64_t concurrency = 4;
  std::string task = "chat";
  std::vector<std::string> adapters;
  std::string memory;
  std::string source;
  std::string name;
  std::string dataset;
  std::string calibration;
  std::string schema;
  std::vector<std::string> inventory;
  std::string output = "yaml";
};

/// A folder's or file's name as the CRD wants it: "Llama-3.1-8B-Instruct.gguf" is llama-3-1-8b-instruct.
std::string name_of(const fs::path& model) {
  constexpr std::size_t kLongest = 40;
  const fs::path path = model.has_filename() ? model : model.parent_path();
  const std::string text = (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
  std::string out;
  for (const char each : text) {
    const auto letter = static_cast<unsigned char>(each);
    if (std::isalnum(letter) != 0)
      out += static_cast<char>(std::tolower(letter));
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out.front())) != 0) out.insert(0, "model-");
  out.resize(std::min(out.size(), kLongest));
  while (out.ends_with('-')) out.pop_back();
  return out;
}

compat::Device device_of(const std::string& name) {
  const compat::Device* device = compat::find_device(name);
  if (device != nullptr) return *device;
  std::string known;
  for (const compat::Device& each : compat::devices()) {
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  throw InputError("unknown hardware " + name, "--hardware", "use one of " + known);
}

std::int64_t memory_of(const Options& options) {
  if (options.memory.empty()) return 0;
  const auto bytes = api::parse_quantity(options.memory);
  if (bytes && *bytes > 0) return *bytes;
  throw InputError("malformed quantity " + options.memory, "--memory", "such as 32Gi");
}

std::string schema_of(const Options& options) {
  if (options.schema.empty()) return "";
  std::string text = read_file(options.schema);
  if (nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false).is_object()) return text;
  throw InputError("is no JSON Schema", options.schema, "give a file with one JSON object");
}

std::string name_of(const Options& options, const fs::path& model) {
  if (options.name.empty()) return name_of(model);
  if (const std::string good = name_of(options.name); good != options.name)
    throw InputError("\"" + options.name + "\" is no name of a QuantizedModel", "--name", "use " + good);
  return options.name;
}

compat::Wish wish_of(const Options& options, const compat::Purpose& purpose) {
  const fs::path path = fs::absolute(options.model).lexically_normal();
  compat::Wish wish{.name = name_of(options, path),
                    .source = options.source.empty() ? "file://" + path.string() : options.source,
                    .model = compat::facts_of(formats::read_header_facts(path)),
                    .device = device_of(options.hardware),
                    .memory = memory_of(options),
                    .concurrency = options.concurrency,
                    .schema = schema_of(options)};
  const std::int64_t longest = wish.model.context_length > 0 ? wish.model.context_length : wish.context;
  wish.context = options.context > 0 ? options.context : std::min(wish.context, longest);
  if (wish.context > longest) {
    throw InputError("the model knows positions up to " + std::to_string(longest), "--context",
                     "ask for at most that");
  }
  // A folder of headers alone has no digest.
  if (purpose.pinned && (fs::is_regular_file(path) || fs::exists(path / "tokenizer.json"))) {
    wish.model.digest = "sha256:" + artifact_digest(path);
  }
  for (const std::string& each : options.adapters) wish.adapters.push_back({each, 1});
  if (!options.dataset.empty()) wish.dataset = options.dataset;
  if (!options.calibration.empty()) wish.calibration = options.calibration;
  return wish;
}

/// As comments of at most kWidth columns; what follows a reason's first line is indented.
std::string comment(const std::string& reason) {
  constexpr std::size_t kWidth = 110;
  std::string out, line = "#";
  std::istringstream words(reason);
  for (std::string word; words >> word;) {
    if (line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = "#  ";
    }
    line += " " + word;
  }
  return out + line + "\n";
}

std::string as_yaml(const compat::Recommendation& found) {
  std::string out;
  for (const std::string& reason : found.reasons) out += comment(reason);
  if (found.manifest.text.empty()) return out;
  return out + api::to_yaml(nlohmann::ordered_json::parse(found.manifest.text));
}

std::string as_json(const compat::Recommendation& found) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const compat::Finding& each : found.findings) {
    findings.push_back({{"id", each.id},
                        {"severity", compat::severity_name(each.severity)},
                        {"path", each.path},
                        {"message", each.message},
                        {"mend", each.mend}});
  }
  const nlohmann::ordered_json out = {
      {"platform", found.platform},
      {"purpose", found.purpose},
      {"reasons", found.reasons},
      {"findings", std::move(findings)},
      {"manifest", found.manifest.text.empty() ? nlohmann::ordered_json(nullptr)
                                               : nlohmann::ordered_json::parse(found.manifest.text)}};
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_text(const compat::Recommendation& found) {
  std::string out;
  for (const std::string& reason : found.reasons) out += "- " + reason + "\n";
  for (const compat::Finding& each : found.findings) {
    out += "- " + each.id + " " + std::string(compat::severity_name(each.severity)) + ": " + each.message +
           "; " + each.mend + "\n";
  }
  return out;
}

int recommend(const Options& options) {
  const compat::Purpose& purpose = *compat::find_purpose(options.task);
  Documents cluster = read_documents(options.inventory);
  const compat::Recommendation found = compat::recommend(
      wish_of(options, purpose), purpose, {std::move(cluster.profiles), std::move(cluster.nodes)});
  const std::string text = options.output == "json"   ? as_json(found)
                           : options.output == "text" ? as_text(found)
                                                      : as_yaml(found);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return found.manifest.text.empty() ? kBadInput : kDone;
}

std::set<std::string> tasks() {
  std::set<std::string> names;
  for (const compat::Purpose& each : compat::purposes()) names.emplace(each.name);
  return names;
}

}  // namespace

Command recommend_command() {
  return {"recommend", "A QuantizedModel for a model, hardware, load and task, with the reasons; offline",
          [](CLI::App& app) {
            const auto options = std::make_shared<Options>();
            app.add_option("--model", options->model, "The FP16 model; its headers alone are read")
                ->required()
                ->type_name("DIR|FILE");
            app.add_option("--hardware", options->hardware,
                           "What it is to run on: rtx-4090, h100, t4, mi300x, cpu, mac, phone-npu, …")
                ->required();
            app.add_option("--context", options->context,
                           "Tokens of prompt and answer (default: the model's own limit, at most 8192)")
                ->check(positive());
            app.add_option("--concurrency", options->concurrency, "Sequences at once")
                ->check(CLI::Range(1, 4096))
                ->capture_default_str();
            app.add_option("--task", options->task, "What it must still be able to do")
                ->check(CLI::IsMember(tasks()))
                ->capture_default_str();
            app.add_option("--adapter", options->adapters, "LoRA adapter that belongs to it; may be repeated")
                ->type_name("SOURCE");
            app.add_option("--memory", options->memory,
                           "Memory of one accelerator, or of the machine (default: the product's)")
                ->type_name("QUANTITY");
            app.add_option("--source", options->source,
                           "Where the cluster finds the model (default: file:// and its path here)")
                ->type_name("SOURCE");
            app.add_option("--name", options->name, "Of the QuantizedModel (default: the model's)");
            app.add_option("--dataset", options->dataset, "Where held-out prompts lie")->type_name("SOURCE");
            app.add_option("--calibration", options->calibration, "Where calibration prompts lie")
                ->type_name("SOURCE");
            app.add_option("--schema", options->schema, "JSON Schema of the answers, for --task json")
                ->check(CLI::ExistingFile);
            app.add_option(
                   "--inventory", options->inventory,
                   "Nodes and EngineProfiles of the cluster: kubectl get nodes,engineprofiles -o yaml")
                ->type_name("FILE");
            app.add_option("--output,-o", options->output,
                           "yaml (reasons as comments), json, or text (reasons alone)")
                ->check(CLI::IsMember(std::set<std::string>{"yaml", "json", "text"}))
                ->capture_default_str();
            return [options] { return recommend(*options); };
          }};
}

}  // namespace stepdown::cli
