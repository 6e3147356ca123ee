"""One engine outside the cluster, for the nightly batch, and the memory model that says how wide it may run."""

import json
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from harbor import processes


def weights_file(artifact: Path) -> Path:
    """The GGUF of an artifact, which is the file or the folder that holds it."""
    return artifact if artifact.suffix == ".gguf" else artifact / "model.gguf"


def inspect(binaries: Path, model: Path) -> dict:
    done = subprocess.run([binaries / "stepdown-engine", "inspect", "--model", model, "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"inspect {model}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def budget_for(memory: dict, sequences: int, context: int) -> int:
    """Bytes that so many sequences need (predicted)."""
    return memory["weights"] + memory["activations"] + sequences * context * memory["kvPerToken"]


def sequences_within(memory: dict, budget: int, context: int) -> int:
    """How many sequences a budget allows (predicted)."""
    return (budget - memory["weights"] - memory["activations"]) // (context * memory["kvPerToken"])


def wait_ready(url: str, process, log: Path, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the engine at {url} is not ready; see {log}")


@contextmanager
def serving(binaries: Path, model: Path, name: str, sequences: int, context: int, log: Path):
    """An engine on a port of its own: yields (url, process)."""
    port = processes.free_port()
    process = processes.start(
        [binaries / "stepdown-engine", "serve", "--model", model, "--host", "127.0.0.1", "--port", port,
         "--served-model-name", name, "--context", context, "--max-sequences", sequences], log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url, process, log)
        yield url, process
    finally:
        processes.stop(process)
