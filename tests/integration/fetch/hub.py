"""A Hub in a few lines, by the API's published shapes; test_hub.py lets the huggingface_hub client judge them."""

import hashlib
import json
import urllib.parse

from tools import sha256

COMMITS = {"main": "a" * 40, "v2": "b" * 40}
TOKEN = "hf_secrettoken"


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def hub_of(repositories, store=None, page=1000):
    """`repositories`: {"models/owner/name": {"files": {revision: {path: bytes}}, "gated": bool}}. Large files are redirected to
    `store`, another host, as the real Hub does."""

    def large(path):
        return path.endswith((".safetensors", ".gguf", ".bin"))

    def entry(path, data):
        out = {"type": "file", "oid": git_blob(data), "size": len(data), "path": path}
        if large(path):
            out["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return out

    def find(request, kind, name):
        repository = repositories.get(f"{kind}/{name}")
        if repository is None:
            return None, (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b'{"error": "Repository not found"}')
        if repository.get("gated") and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return None, (403 if request.headers.get("Authorization") else 401, {"X-Error-Code": "GatedRepo"}, b'{"error": "gated"}')
        return repository, None

    def files_of(repository, revision):
        for name, commit in COMMITS.items():
            if revision in (name, commit) and name in repository["files"]:
                return commit, repository["files"][name]
        return None, None

    def handle(request, _):
        url = urllib.parse.urlsplit(request.path)
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        if parts[0] == "api":
            kind, name, action = parts[1], "/".join(parts[2:4]), parts[4:]
            repository, refusal = find(request, kind, name)
            if refusal:
                return refusal
            commit, files = files_of(repository, action[1] if len(action) > 1 else "main")
            if files is None:
                return 404, {"X-Error-Code": "RevisionNotFound"}, b'{"error": "Invalid rev id"}'
            if not action or action[0] == "revision":
                body = {"_id": "1", "id": name, "sha": commit, "private": False, "gated": False, "siblings": [{"rfilename": path} for path in files],
                        "tags": [], "downloads": 1, "likes": 0, "createdAt": "2024-01-01T00:00:00.000Z", "lastModified": "2024-01-01T00:00:00.000Z"}
                return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
            folders = sorted({path.rsplit("/", 1)[0] for path in files if "/" in path})
            entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in folders] + [entry(*item) for item in sorted(files.items())]
            at = int(dict(urllib.parse.parse_qsl(url.query)).get("cursor", 0))
            headers = {"Content-Type": "application/json"}
            if at + page < len(entries):
                headers["Link"] = f'<http://{request.headers["Host"]}{url.path}?recursive=true&cursor={at + page}>; rel="next"'
            return 200, headers, json.dumps(entries[at:at + page]).encode()
        kind = "datasets" if parts[0] == "datasets" else "models"
        parts = parts[1:] if kind == "datasets" else parts
        if len(parts) < 5 or parts[2] != "resolve":
            return 404, {}, b""
        repository, refusal = find(request, kind, "/".join(parts[:2]))
        if refusal:
            return refusal
        commit, files = files_of(repository, parts[3])
        path = "/".join(parts[4:])
        if files is None or path not in files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b"Entry not found"
        data = files[path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_blob(data)}"', "Accept-Ranges": "bytes"}
        if large(path) and store is not None:
            digest = hashlib.sha256(data).hexdigest()
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "Location": f"http://{store()}/blob/{sha256(data)}?signature=abc"}
            return 302, headers, b""
        return 200, headers, data

    return handle
