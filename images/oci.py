"""Writes OCI image archives (image-spec v1.1) from folders, without a daemon. The same folders give the same bytes."""

import gzip
import hashlib
import io
import json
import pathlib
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_of(folder):
    """The folder's content as an uncompressed tar: sorted, owned by root, without times."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            entry = archive.gettarinfo(str(path), arcname=str(path.relative_to(folder)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            if entry.isfile():
                with open(path, "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return out.getvalue()


def write_archive(path, name, layers, entrypoint, architecture, user="65532:65532"):
    """`name`: docker.io/stepdown/operator:1.0; gives the bytes that a pull of it moves."""
    tars = [layer_of(folder) for folder in layers]
    packed = [gzip.compress(tar, 6, mtime=0) for tar in tars]
    config = json.dumps({
        "architecture": ARCHITECTURES[architecture],
        "os": "linux",
        "config": {"User": user, "Entrypoint": entrypoint, "Env": ["PATH=/usr/bin", "HOME=/tmp"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
        "history": [{"created_by": "images/assemble"} for _ in tars],
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob) for blob in packed],
    }).encode()
    annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    index = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**descriptor("application/vnd.oci.image.manifest.v1+json", manifest), "annotations": annotations}],
    }).encode()
    with tarfile.open(path, "w") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add(archive, "index.json", index)
        for blob in dict.fromkeys([manifest, config, *packed]):
            add(archive, "blobs/" + digest(blob).replace(":", "/"), blob)
    return sum(map(len, packed)) + len(config) + len(manifest)


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
