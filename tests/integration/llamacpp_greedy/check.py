"""Asks stepdown-engine what golden.json's prompts were answered. check.py MODEL.gguf GOLDEN.json"""
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

ENGINE = pathlib.Path(os.environ["STEPDOWN_BIN"]) / "stepdown-engine"
TIE = 0.05  # nats; where the two best are this close, rounding may choose either and the texts part
LEAST_COMPARED = 200


def serving(model):
    process = subprocess.Popen([ENGINE, "serve", "--model", model, "--port", "0", "--context", "2048", "--log-format", "json",
                                "--served-model-name", "m"], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("message") == "serving":
            return process, "http://" + entry["address"]
    raise SystemExit("stepdown-engine did not start")


def tokens(url, prompt, count):
    body = {"model": "m", "prompt": prompt, "max_tokens": count, "temperature": 0, "logprobs": 1}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=120))["choices"][0]["logprobs"]["tokens"]


def same(ours, theirs):
    """A token that is a part of a character is told as U+FFFD by us and as bytes by the golden."""
    return ours == theirs.encode("latin-1").decode("utf-8", "replace")


def main(model, golden):
    process, url = serving(model)
    compared = 0
    try:
        for case in json.loads(pathlib.Path(golden).read_text()):
            ours = tokens(url, case["prompt"], len(case["tokens"]))
            for at, (theirs, lead) in enumerate(zip(case["tokens"], case["lead"])):
                if at == len(ours) and not theirs:
                    break
                if at < len(ours) and same(ours[at], theirs):
                    compared += 1
                    continue
                if lead > TIE:
                    said = ours[at] if at < len(ours) else "(the end)"
                    return f"{case['prompt']!r}, token {at}: llama.cpp says {theirs!r} by {lead} nats, stepdown-engine {said!r}"
                print(f"{case['prompt']!r}: a tie of {lead} nats at token {at} was decided otherwise")
                break
    finally:
        process.terminate()
        process.wait()
    print(f"{compared} greedy tokens are llama.cpp's")
    return None if compared >= LEAST_COMPARED else f"only {compared} tokens could be compared"


sys.exit(main(*sys.argv[1:]))
