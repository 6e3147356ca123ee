#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/fetch/remote.h"

/// Image manifests and indexes (OCI image-spec 1.1, Docker schema 2), and what their layers are called. Pure.
namespace stepdown::fetch {

/// Of the manifest media types that are understood, as an Accept header.
extern const std::string kManifestTypes;

/// An index: digest of the manifest that is meant, for `architecture` ("amd64") where several are given for
/// platforms. nullopt: `text` is a manifest, not an index. Throws InputError for an ambiguous index.
std::optional<std::string> choose_manifest(const std::string& text, const std::string& architecture,
                                           const std::string& where);

/// The files that the manifest's layers hold:
///   ModelPack   application/vnd.cncf.model.*, named by org.cncf.model.filepath, raw or packed
///   ORAS        named by org.opencontainers.image.title
///   images      layers of a container image, of which the folder /models is taken, as KServe's modelcars do
///   one GGUF    Ollama's and Docker Model Runner's layers, named model.gguf
/// Throws InputError for a manifest that is none of these, or a layer that cannot be unpacked.
std::vector<RemoteFile> read_layers(const std::string& text, const std::string& where);

}  // namespace stepdown::fetch
