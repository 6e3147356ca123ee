"""What Argo CD shows of an object, by the health check that is shipped; Argo's Lua is 5.1."""

import subprocess

from .cluster import ROOT

CHECK = ROOT / "manifests/gitops/argocd/health.lua"


def literal(value):
    if isinstance(value, dict):
        return "{" + ",".join(f"[{literal(key)}]={literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ",".join(map(literal, value)) + "}"
    if isinstance(value, str):
        return '"' + "".join(f"\\{byte:03}" for byte in value.encode()) + '"'
    return {None: "nil", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)


def health(item):
    text = f"obj = {literal(item)}\nlocal found = (function()\n{CHECK.read_text()}\nend)()\nio.write(found.status)"
    return subprocess.run(["lua5.1", "-"], input=text, capture_output=True, text=True, check=True).stdout
