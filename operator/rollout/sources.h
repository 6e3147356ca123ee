#pragma once

#include <string>
#include <vector>

#include "operator/rollout/observed.h"

/// Sources that lie elsewhere, and where their copies lie on the claim of spec.storage: at a name made from
/// source and pin alone, so that models which share a claim share the copy. Pure.
namespace stepdown::rollout::sources {

struct Remote {
  std::string source;
  std::string revision;      ///< digest that the copy must have; empty: whatever lies there
  std::string secret;        ///< name of the Secret with what it takes; empty: none
  std::string field;         ///< of the spec, that names the source
  std::string secret_field;  ///< that names the Secret
  bool of_base = false;      ///< FP16 is made of it: nothing can be done without
};

/// All that the spec names, each copy once. `promoted`: the QuantRevision of fromRevision, where it is known.
std::vector<Remote> wanted(const api::QuantizedModelSpec& spec, const api::QuantRevision* promoted);

/// pvc://claim/sources/<16 hex digits>.
std::string place(const std::string& claim, const std::string& source, const std::string& revision);
/// "sources/<16 hex digits>" of a URI on a claim; empty where it is no copy of a source.
std::string folder(const std::string& uri);
/// Folders of the copies that serving a QuantRevision may take, whatever claim they lie on.
std::vector<std::string> folders_of(const api::QuantRevisionSpec& revision);

/// status.sources' row of a copy that is there, null otherwise. One that was fetched without a pin, and whose
/// files have the digest that is pinned since, will do; so will a pinned one where the pin was taken away.
const api::SourceStatus* fetched(const api::QuantizedModel& model, const std::string& source,
                                 const std::string& revision);

/// What pods mount for a source: itself, or its copy. `revision`: its pin.
std::string mounted(const api::QuantizedModel& model, const std::string& source,
                    const std::string& revision = {});
/// spec.model.source, as pods mount it.
std::string base(const api::QuantizedModel& model);
/// Where the base's copy lies; empty where it needs none.
std::string base_copy(const api::QuantizedModel& model);

}  // namespace stepdown::rollout::sources
