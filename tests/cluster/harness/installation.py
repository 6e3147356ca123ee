"""Stepdown in a cluster with a node: its images, its chart, and volumes with a model to serve."""

import json
import pathlib
import shutil
import subprocess
import sys

from .cluster import ROOT, say

sys.path.insert(0, str(ROOT / "examples/harbor-analytics"))
from embedded import BIN, HARBOR, short_dataset

NAMESPACE = "stepdown-system"
NONROOT = 65532
ENFORCED = "pod-security.kubernetes.io/enforce=restricted"


def load_images(cluster, tag):
    """Assembles the three images under this tag, and gives them to the node. No registry is asked for them."""
    out = cluster.dir / f"images-{tag}"
    told = subprocess.run([ROOT / "images/assemble", "--bin", BIN, "--out", out, "--tag", tag], check=True, capture_output=True, text=True).stdout
    for name in ("operator", "gateway", "engine"):
        cluster.import_image(out / f"{name}.tar")
    shutil.rmtree(out)
    for line in told.splitlines():
        image, size = line.split()[:2]
        say(f"{image}: {size} MB to pull")
        assert float(size) < 120, line


def install(cluster, tag, *settings):
    """helm install, or upgrade, of the chart in a namespace that holds pods to the restricted standard."""
    if not cluster.get("namespace", NAMESPACE):
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.kubectl("label", "namespace", NAMESPACE, ENFORCED)
    return cluster.helm(
        "upgrade", "--install", "stepdown", ROOT / "charts/stepdown", "-n", NAMESPACE, "--wait", "--timeout=90s", "--set=crds.keep=false",
        f"--set=images.operator.tag={tag}", f"--set=images.gateway.tag={tag}", f"--set=images.engine.tag={tag}", *settings,
    )


def make_volumes(cluster):
    """Claim `harbor` with the example's model and prompts, and a volume for artifacts; gives the latter's folder."""
    for name in ("harbor", "artifacts"):
        (cluster.dir / "volumes" / name).mkdir(parents=True)
    shutil.copytree(HARBOR / "model", cluster.dir / "volumes/harbor/model")
    shutil.copy(short_dataset(), cluster.dir / "volumes/harbor/heldout.jsonl")
    # Pods run as nobody in particular, and a volume of the host's is not chowned for them.
    for path in [cluster.dir, cluster.dir / "volumes"]:
        path.chmod(0o755)
    shutil.chown(cluster.dir / "volumes/artifacts", NONROOT, NONROOT)
    cluster.apply(volume(cluster, "harbor", "ReadOnlyMany"), claim("harbor", "ReadOnlyMany"), volume(cluster, "artifacts", "ReadWriteOnce"))
    return cluster.dir / "volumes/artifacts"


def volume(cluster, name, mode):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": [mode], "persistentVolumeReclaimPolicy": "Retain",
                 "hostPath": {"path": str(cluster.dir / "volumes" / name)}},
    }


def claim(name, mode):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": name},
    }


def everything(cluster):
    """Every object but what a cluster makes by itself as time goes by: `kind/name`s with their namespaces."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    passing = ("events", "events.events.k8s.io", "componentstatuses")
    kinds = ",".join(kind for kind in kinds if kind not in passing)
    table = json.loads(cluster.kubectl("get", kinds, "-A", "-o", "json"))["items"]
    return {f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}" for item in table}
