#include "operator/local/local_command.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "operator/local/api/api_command.h"
#include "operator/local/node/node_agent.h"
#include "operator/local/proxy/proxy_command.h"
#include "operator/local/supervisor/up_command.h"

namespace stepdown::local {

Command local_command() {
  return {"local", "Run everything on this machine, without a cluster",
          [](CLI::App& app) -> std::function<int()> {
            auto chosen = std::make_shared<std::function<int()>>();
            app.require_subcommand(1);
            for (const Command& command : {up_command(), down_command(), api_command(), node_command(),
                                           proxy_command(), container_command()}) {
              CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
              auto body = command.configure(*sub);
              sub->callback([chosen, body = std::move(body)] { *chosen = body; });
            }
            return [chosen] {
              ::umask(077);  // keys, tokens and prompts are its owner's alone
              return (*chosen)();
            };
          }};
}

}  // namespace stepdown::local
