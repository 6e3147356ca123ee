#include "engine/fetch/sources/oci_manifest.h"

#include <array>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/fetch/sources/oci_reference.h"

namespace stepdown::fetch {
namespace {

using nlohmann::json;

constexpr std::size_t kMostLayers = 2000;
constexpr const char* kModelFolder = "models/";

/// What layers are called that carry no name: by the beginning of their media type. An empty name: not
/// wanted.
struct KnownLayer {
  std::string_view type;
  std::string_view name;
};
constexpr std::array<KnownLayer, 6> kKnownLayers = {{
    {"application/vnd.ollama.image.model", "model.gguf"},
    {"application/vnd.ollama.", ""},
    {"application/vnd.docker.ai.gguf", "model.gguf"},
    {"application/vnd.docker.ai.", ""},
    {"application/vnd.oci.empty.", ""},
    {"application/vnd.in-toto", ""},
}};

json parse(const std::string& text, const std::string& where) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) throw InputError("the registry's manifest is not JSON", where);
  return document;
}

std::string text_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string annotation(const json& layer, const char* name) {
  const auto found = layer.find("annotations");
  return found != layer.end() && found->is_object() ? text_at(*found, name) : "";
}

std::string platform(const json& entry) {
  const auto found = entry.find("platform");
  return found != entry.end() && found->is_object() ? text_at(*found, "architecture") : "";
}

/// Throws for what no program here unpacks.
Packing packing_of(const std::string& type, const std::string& where) {
  if (type.ends_with(".tar") || type.ends_with("+tar")) return Packing::kTar;
  if (type.ends_with("tar+gzip") || type.ends_with("tar.gzip") || type.ends_with("diff.tar.gzip") ||
      type.ends_with("tar+gz")) {
    return Packing::kTarGzip;
  }
  if (type.ends_with("+zstd")) {
    throw InputError("a layer is packed by zstd: " + type, where, "push it as tar, tar+gzip or raw");
  }
  return Packing::kPlain;
}

std::string name_of(const json& layer, const std::string& type) {
  for (const char* name : {"org.cncf.model.filepath", "org.opencontainers.image.title"}) {
    if (std::string found = annotation(layer, name); !found.empty()) return found;
  }
  for (const KnownLayer& known : kKnownLayers) {
    if (type.starts_with(known.type)) return std::string(known.name);
  }
  return type.ends_with(".json") || type.ends_with("+json") ? "" : "?";
}

bool is_image_layer(const std::string& type) {
  return type.starts_with("application/vnd.oci.image.layer.v1.") ||
         type.starts_with("application/vnd.docker.image.rootfs.");
}

bool is_image(const json& manifest) {
  const auto config = manifest.find("config");
  if (config == manifest.end() || !config->is_object()) return false;
  const std::string type = text_at(*config, "mediaType");
  return type == "application/vnd.oci.image.config.v1+json" ||
         type == "application/vnd.docker.container.image.v1+json";
}

}  // namespace

const std::string kManifestTypes =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json";

std::optional<std::string> choose_manifest(const std::string& text, const std::string& architecture,
                                           const std::string& where) {
  const json document = parse(text, where);
  const auto list = document.find("manifests");
  if (list == document.end()) return std::nullopt;
  if (!list->is_array() || list->size() > kMostLayers) throw InputError("an index without manifests", where);
  const json* chosen = nullptr;
  std::size_t others = 0;
  for (const json& entry : *list) {
    if (!entry.is_object() || !is_sha256_digest(text_at(entry, "digest"))) continue;
    if (platform(entry) == "unknown") continue;  // attestations that builders put beside an image
    if (chosen == nullptr || platform(entry) == architecture) chosen = &entry;
    if (platform(entry) != architecture) ++others;
  }
  if (chosen == nullptr) throw InputError("an index without a manifest that is known by sha256", where);
  if (platform(*chosen) != architecture && others > 1) {
    throw InputError("an index of " + std::to_string(others) + " manifests, none of them for " + architecture,
                     where, "give the digest of one: oci://host/repository@sha256:…");
  }
  return text_at(*chosen, "digest");
}

std::vector<RemoteFile> read_layers(const std::string& text, const std::string& where) {
  const json manifest = parse(text, where);
  const auto layers = manifest.find("layers");
  if (layers == manifest.end() || !layers->is_array() || layers->size() > kMostLayers) {
    throw InputError("a manifest without layers", where, "old Docker manifests (schema 1) are not read");
  }
  const bool image = is_image(manifest);
  std::vector<RemoteFile> files;
  for (const json& layer : *layers) {
    if (!layer.is_object()) throw InputError("a layer that is no object", where);
    const std::string type = text_at(layer, "mediaType"), digest = text_at(layer, "digest");
    const auto size = layer.find("size");
    if (!is_sha256_digest(digest)) throw InputError("a layer whose digest is no sha256: " + digest, where);
    if (size == layer.end() || !size->is_number_unsigned()) throw InputError("a layer without a size", where);
    RemoteFile file{.path = name_of(layer, type),
                    .size = size->get<std::uint64_t>(),
                    .checksum = {ChecksumKind::kSha256, digest.substr(digest.find(':') + 1)},
                    .location = digest};
    file.packing = packing_of(type, where);
    if (annotation(layer, "io.deis.oras.content.unpack") == "true") file.packing = Packing::kTarGzip;
    if (is_image_layer(type) && image) file.below = kModelFolder;
    // ORAS gives plain files an image layer's type as well, and their name.
    if (is_image_layer(type) && !image && file.path != "?" && !type.ends_with("gzip") &&
        annotation(layer, "io.deis.oras.content.unpack") != "true") {
      file.packing = file.path.ends_with(".tar") ? Packing::kTar : Packing::kPlain;
    }
    if (file.path.empty()) continue;
    if (file.packing != Packing::kPlain) {
      file.path = digest;
    } else if (file.path == "?") {
      throw InputError("a layer without a name: " + type, where,
                       "push files with their names (oras push, modctl, an org.opencontainers.image.title)");
    }
    files.push_back(std::move(file));
  }
  if (files.empty()) throw InputError("the manifest has no layer with files of a model", where);
  return files;
}

}  // namespace stepdown::fetch
