#include "engine/fetch/node_cache_command.h"

#include <cstdio>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/arguments.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/base/shutdown.h"
#include "engine/fetch/node_cache.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;

struct Options {
  NodeCacheRequest request;
  std::string cache, model, link;
  bool hold = false;
};

/// A container that starts again finds its link already there.
void link_to(const fs::path& target, const fs::path& link) {
  const fs::path beside = link.string() + ".new";
  fs::remove(beside);
  fs::create_symlink(target, beside);
  fs::rename(beside, link);
}

int copy(Options options) {
  options.request.cache = options.cache;
  options.request.model = fs::absolute(options.model);
  const NodeCacheResult result = copy_to_node(options.request);
  for (const std::string& digest : result.evicted) log::info("evicted", {{"digest", digest}});
  if (!result.why_not.empty()) log::warn("not copied to the node", {{"reason", result.why_not}});
  const fs::path served = result.copy.empty() ? options.request.model : fs::absolute(result.copy);
  if (!options.link.empty()) link_to(served, options.link);
  const nlohmann::json summary = {{"path", served.string()},
                                  {"cached", !result.copy.empty()},
                                  {"wasThere", result.was_there},
                                  {"size", result.size},
                                  {"evicted", result.evicted}};
  std::printf("%s\n", summary.dump(1).c_str());
  return kDone;
}

int hold(const Options& options) {
  Shutdown shutdown;
  std::optional<NodeCacheHold> held;
  try {
    held.emplace(options.cache, options.request.digest);
  } catch (const std::exception& error) {
    // Its server reads another volume then.
    log::warn("nothing to hold", {{"reason", error.what()}});
  }
  shutdown.wait();
  return kDone;
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("--cache", options->cache, "Folder on a volume of this node's own")
      ->required()
      ->type_name("DIR");
  app.add_option("--digest", options->request.digest, "Digest of the model, as inspect tells it")
      ->required()
      ->check(sha256_digest())
      ->type_name("sha256:HEX");
  app.add_option("--model", options->model, "GGUF file or Hugging Face folder to be copied")
      ->type_name("PATH");
  app.add_option("--limit", options->request.limit, "Bytes that all copies may take, such as 100Gi")
      ->transform(bytes())
      ->type_name("SIZE");
  app.add_option("--link", options->link,
                 "Symbolic link to be made: to the copy, or to the model where there is no room for one")
      ->type_name("PATH");
  app.add_flag("--hold", options->hold, "Rather keep the copy from eviction, until SIGTERM");
  return [options] {
    if (options->hold) return hold(*options);
    if (options->model.empty() || options->request.limit == 0)
      throw InputError("--model and --limit are required, or --hold", "cache");
    return copy(*options);
  };
}

}  // namespace

Command node_cache_command() {
  return {"cache", "Copy a model to a volume of this node, from where servers start faster", configure};
}

}  // namespace stepdown::fetch
