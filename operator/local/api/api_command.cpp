#include "operator/local/api/api_command.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "engine/base/shutdown.h"
#include "operator/local/api/server.h"

namespace stepdown::local {

Command api_command() {
  return {"api", "Run the embedded Kubernetes-compatible API server", [](CLI::App& app) {
            auto options = std::make_shared<api::ServerOptions>();
            auto folder = std::make_shared<std::string>();
            app.add_option("--dir", *folder, "State folder: objects.db, pki, kubeconfig")
                ->required()
                ->type_name("DIR");
            app.add_option("--port", options->port,
                           "Port on 127.0.0.1; by default that of the last start, or a free one")
                ->check(CLI::Range(0, 65535))
                ->type_name("N");
            app.add_option("--watch-history", options->history,
                           "Revisions kept for watches; older ones are Expired (410)")
                ->check(CLI::Range(10, 10'000'000))
                ->capture_default_str();
            return [options, folder]() -> int {
              options->folder = *folder;
              Shutdown shutdown;
              api::Server server(*options);
              shutdown.on_request([&server] { server.stop(); });
              server.run();
              return kDone;
            };
          }};
}

}  // namespace stepdown::local
