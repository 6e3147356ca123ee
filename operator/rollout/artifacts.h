#pragma once

#include "operator/rollout/pass.h"

/// What lies on a claim and nothing needs any more. status.leftovers names all that this model made and its
/// spec no longer asks for; a Job removes an entry once no QuantRevision of the namespace names it, no engine
/// has it and no other model uses it. Artifacts are made again under another Job's name where they are needed
/// after all, so a half-removed one is never taken for a whole.
namespace stepdown::rollout {

/// Moves what the spec no longer needs, and candidates that lost once another is stable, to
/// status.leftovers; wants the Job that removes what is due.
void give_up_artifacts(Pass& pass);

/// The Job that removes what a model that is being deleted leaves on claims that outlive it.
struct LastCollection {
  std::string job;  ///< empty: nothing is left
  std::vector<std::string> uris;
  std::string claim = {};  ///< on which they all lie
  bool waits = false;      ///< another model writes to that claim now, or gives it up
};
LastCollection last_collection(const Observed& observed);

/// Name of the Job that removes artifacts right now; empty when none runs.
std::string running_collection(const Observed& observed);

}  // namespace stepdown::rollout
