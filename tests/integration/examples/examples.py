"""See run."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
STEPDOWN = pathlib.Path(os.environ["STEPDOWN_BIN"]) / "kubectl-stepdown"


def run(*command, cwd=ROOT, text=None):
    done = subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


def command_of(folder):
    """The recommend command in the README, as arguments."""
    found = re.search(r"```\nkubectl stepdown (recommend .*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    return shlex.split(found[1].replace("\\\n", " ")) if found else None


def includes(found, wanted, path):
    """Everything in `wanted` stands in `found`, which may hold defaults beside it."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in found, f"{path}.{key} was dropped"
            includes(found[key], value, f"{path}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), path
        for index, value in enumerate(wanted):
            includes(found[index], value, f"{path}[{index}]")
    else:
        assert found == wanted, f"{path}: {found} for {wanted}"


def check(folder, arguments):
    manifest = folder / "quantizedmodel.yaml"
    assert run(STEPDOWN, *arguments, cwd=folder) == manifest.read_text(), f"{manifest} differs: tests/integration/examples/run --update"
    print(f"{folder.name}: {run(STEPDOWN, 'validate', manifest).splitlines()[-1]}")
    wanted = json.loads(run(STEPDOWN, *arguments, "--output", "json", cwd=folder))["manifest"]
    name = wanted["metadata"]["name"]
    run("kubectl", "apply", "--server-side", "-f", manifest)
    includes(json.loads(run("kubectl", "get", "quantizedmodel", name, "-o", "json")), wanted, name)
    run("kubectl", "delete", "quantizedmodel", name)


INVENTORY = """apiVersion: v1
kind: Node
metadata: {name: a, labels: {nvidia.com/gpu.product: NVIDIA-L4}}
status: {allocatable: {nvidia.com/gpu: "4"}}
---
apiVersion: stepdown.dev/v1alpha1
kind: EngineProfile
metadata: {name: vllm}
spec:
  support:
  - {formats: [awq], verdict: refused, note: not in our build, source: "https://wiki.example.com/vllm"}
"""


def by_the_clusters_own_inventory(folder):
    """What is recommended for a cluster is valid in that cluster, and its own opinion about an engine counts."""
    inventory, manifest = folder / "inventory.yaml", folder / "quantizedmodel.yaml"
    inventory.write_text(INVENTORY)
    model = ROOT / "examples/headers/llama-3.1-8b-instruct"
    manifest.write_text(run(STEPDOWN, "recommend", "--model", model, "--hardware", "l4", "--task", "json", "--inventory", inventory))
    assert "not in our build" in manifest.read_text() and "method: awq" not in manifest.read_text(), manifest.read_text()
    print(run(STEPDOWN, "validate", manifest, "--inventory", inventory))
    text = run(STEPDOWN, "recommend", "--model", model, "--hardware", "phone-npu", "--output", "text")
    assert "vendor's SDK" in text and "no serving engine loads a quantized checkpoint there" in text, text


def main():
    commands = {readme.parent: command_of(readme.parent) for readme in sorted(ROOT.glob("examples/*/README.md"))}
    commands = {folder: arguments for folder, arguments in commands.items() if arguments}
    assert len(commands) >= 8, f"only {len(commands)} examples have a command"
    for folder, arguments in commands.items():
        if "--update" in sys.argv:
            (folder / "quantizedmodel.yaml").write_text(run(STEPDOWN, *arguments, cwd=folder))
        else:
            check(folder, arguments)
    if "--update" not in sys.argv:
        print(run(STEPDOWN, "validate", ROOT / "manifests/node-cache/example.yaml").splitlines()[-1])
        with tempfile.TemporaryDirectory() as folder:
            by_the_clusters_own_inventory(pathlib.Path(folder))


main()
