"""The embedded default on this machine, spoken to with stock kubectl."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from harbor import processes


class Cluster:
    def __init__(self, folder: Path, binaries: Path, logs: Path):
        self._folder, self._log = folder, logs / "local.log"
        self._environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"),
                             "PATH": f"{binaries}:{os.environ['PATH']}"}
        self._process = None

    def __enter__(self):
        # What a killed run left behind goes first, pods and objects.
        if self._folder.exists():
            self._run("stepdown", "local", "down", "--dir", str(self._folder))
            shutil.rmtree(self._folder)
        self._process = processes.start(["kubectl", "stepdown", "local", "up", "--dir", self._folder], self._log,
                                        env=self._environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if (self._folder / "ready").exists():
                return self
            time.sleep(0.1)
        processes.stop(self._process)
        raise RuntimeError(f"the local cluster did not start; see {self._log}")

    def __exit__(self, *_):
        processes.stop(self._process, patience=40)

    def _run(self, *arguments, **options):
        return subprocess.run(["kubectl", *arguments], env=self._environment, capture_output=True, text=True, **options)

    def kubectl(self, *arguments, stdin: str | None = None) -> str:
        done = self._run(*arguments, input=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def apply(self, manifest: str):
        print(self.kubectl("apply", "-f", "-", stdin=manifest).strip(), flush=True)

    @contextmanager
    def watching(self, kind: str, name: str, out: Path):
        """`kubectl get -w` into a file that the README's picture is made from."""
        process = processes.start(["kubectl", "get", kind, name, "-w"], out, env=self._environment)
        try:
            yield
        finally:
            processes.stop(process)

    def service_url(self, name: str) -> str:
        spec = self.get("service", name)["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def host_path(self, uri: str) -> Path:
        """Where a file:// or pvc:// source lies on this machine."""
        scheme, _, rest = uri.partition("://")
        if scheme == "file":
            return Path(rest)
        claim, _, inside = rest.partition("/")
        volume = self.get("persistentvolume", self.get("persistentvolumeclaim", claim)["spec"]["volumeName"])["spec"]
        return Path((volume.get("hostPath") or volume["local"])["path"]) / inside

    def keep(self):
        print(f"the cluster runs on: export KUBECONFIG={self._folder}/kubeconfig; Ctrl-C ends it", file=sys.stderr)
        self._process.wait()
