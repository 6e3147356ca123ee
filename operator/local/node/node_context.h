#pragma once

#include <filesystem>
#include <string>

#include "operator/kube/client.h"
#include "operator/local/node/pod_plan.h"

namespace stepdown::local {

/// What all parts of the node agent share.
struct NodeContext {
  kube::Client client;
  std::string node_name = "local";
  std::filesystem::path dir;          ///< pods/, volumes/
  std::filesystem::path program;      ///< kubectl-stepdown itself; the images' programs lie beside it
  Environment environment;            ///< of every container: where the API server is
  std::string certificate_authority;  ///< PEM of the API server, for ServiceAccount volumes
  int pod_network = 97;               ///< pods get 127.<this>.x.y

  std::filesystem::path binaries() const { return program.parent_path(); }
  std::filesystem::path images() const { return dir / "images"; }
  std::filesystem::path pods() const { return dir / "pods"; }
  std::filesystem::path claim_folder(const kube::ObjectKey& claim) const {
    return dir / "volumes" / (claim.ns + "_" + claim.name);
  }
};

}  // namespace stepdown::local
