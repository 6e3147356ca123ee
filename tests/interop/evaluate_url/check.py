"""See run. Usage: check.py STEPDOWN_ENGINE LLAMA_SERVER WORK_FOLDER"""
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HARBOR = pathlib.Path(__file__).resolve().parents[3] / "examples/harbor-analytics"
ENGINE, PEER, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
PROMPTS = 24


def evaluated(name, *target):
    report = WORK / f"{name}.json"
    suites = [{"type": "jsonSchema", "schema": json.loads((HARBOR / "schema.json").read_text())}, {"type": "exactMatch"}]
    done = subprocess.run([ENGINE, "evaluate", *map(str, target), "--dataset", WORK / "prompts.jsonl", "--suites", json.dumps(suites),
                           "--max-tokens", "200", "--report", report], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return {key: metric["value"] for key, metric in json.loads(report.read_text())["metrics"].items()}


@contextlib.contextmanager
def serving(command, path, port):
    with open(WORK / f"{port}.log", "w") as log, subprocess.Popen([str(word) for word in command], stdout=log, stderr=log) as server:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError, urllib.error.URLError):
                    if urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).status == 200:
                        break
                if server.poll() is not None:
                    sys.exit(f"{command[0]} ended: {pathlib.Path(log.name).read_text()[-2000:]}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main():
    lines = (HARBOR / "data/heldout.jsonl").read_text().splitlines()[:PROMPTS]
    (WORK / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    gguf = WORK / "model.gguf"
    subprocess.run([ENGINE, "convert", "--model", HARBOR / "model", "--out", gguf], check=True, capture_output=True)
    expected = evaluated("in-process", "--model", gguf)
    ports = free_port(), free_port()
    with serving([ENGINE, "serve", "--model", gguf, "--host", "127.0.0.1", "--port", ports[0], "--served-model-name", "harbor"], "/readyz", ports[0]) as url:
        found = {"this engine's server": evaluated("engine", "--url", url, "--name", "harbor")}
    with serving([PEER, "-m", gguf, "--host", "127.0.0.1", "--port", ports[1], "--alias", "harbor", "-t", 2, "--jinja"], "/health", ports[1]) as url:
        found["llama-server"] = evaluated("llama-server", "--url", url, "--name", "harbor")
    for name, metrics in found.items():
        for key in ("jsonPass", "jsonPassConstrained", "fieldAccuracy", "exactMatch"):
            print(f"{name}: {key} {metrics[key]:.4f}, in process {expected[key]:.4f}", flush=True)
            assert expected[key] > 0.9, f"{key} in process is {expected[key]}: the comparison would say nothing"
            assert abs(metrics[key] - expected[key]) <= 0.05, f"{name}: {key}"
        assert metrics["latencyP99Ms"] >= metrics["latencyP50Ms"] > 0, metrics


if __name__ == "__main__":
    main()
