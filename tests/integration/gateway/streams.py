import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys

from bed import BAD, BASE, BIN, HERE, ROOT, free_port, route, until

HARBOR = pathlib.Path(ROOT) / "examples/harbor-analytics"


def ask(port, body):
    """The text of a streamed answer, its route, and whether it ended in form."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": True}), {"content-type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    text, done, finish, ids = "", False, None, set()
    for line in response.read().decode().splitlines():
        if line == "data: [DONE]":
            done = True
        elif line.startswith("data: "):
            chunk = json.loads(line[6:])
            assert "error" not in chunk, chunk
            ids.add(chunk["id"])
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                finish = choice.get("finish_reason") or finish
    assert len(ids) == 1, "one stream, one id"
    return text, response.getheader("x-stepdown-route"), done and finish == "stop"


def continued_streams(bed):
    """Streams that die at any point in structured output are finished by a real FP16 engine, seamlessly."""
    engine_port = free_port()
    bed.processes.append(subprocess.Popen(
        [os.path.join(BIN, "stepdown-engine"), "serve", "--model", str(HARBOR / "model"), "--host", "0.0.0.0",
         "--port", str(engine_port), "--served-model-name", "m", "--context", "512", "--max-sequences", "2", "--threads", "1"],
        stderr=subprocess.DEVNULL))
    cutter_port, order = free_port(), os.path.join(bed.folder, "cut-after")
    bed.processes.append(subprocess.Popen(
        [sys.executable, os.path.join(HERE, "cutting_proxy.py"), str(cutter_port), str(engine_port), order]))

    def up(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    until("the engine and the proxy listen", 60, lambda: up(engine_port) and up(cutter_port))
    bed.slice("m-fp16", engine_port)
    bed.slice("m-cut", cutter_port)
    routes = [{"digest": BASE, "service": "m-fp16", "role": "fp16"}, {"digest": BAD, "service": "m-cut", "role": "candidate"}]
    _, port = bed.gateway()

    schema = json.loads((HARBOR / "schema.json").read_text())
    prompts = [json.loads(line)["messages"] for line in (HARBOR / "data/heldout.jsonl").read_text().splitlines()[:8]]
    continued = same = 0
    cuts = (9, 12, 20, 30, 45)
    for epoch, cut in enumerate(cuts, start=1):
        pathlib.Path(order).write_text(str(cut))
        # Each cut is tried anew, as the command retry does.
        bed.rollout(digest=BAD, weight=100, epoch=2 * epoch, retriedEpoch=2 * epoch, routes=routes)
        until("the candidate has all traffic", 15,
              lambda epoch=epoch: (lambda now: now["epoch"] == 2 * epoch and now["arms"]["candidate"]["share"] == 1)(route(port)))
        body = {"model": "m", "messages": prompts[epoch % len(prompts)], "temperature": 0, "max_tokens": 200,
                "response_format": {"type": "json_schema", "json_schema": {"name": "incident", "schema": schema}}}
        text, taken, whole = ask(port, body)
        assert whole, f"cut after {cut} chunks: the stream did not end in form: {text}"
        answer = json.loads(text)
        assert set(answer) == {"severity", "root_cause", "recommendations"} and len(answer["recommendations"]) == 3, text
        continued += taken == "candidate"
        straight, _, _ = ask(engine_port, body)
        same += text == straight
    metrics = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    metrics.request("GET", "/metrics")
    exposed = metrics.getresponse().read().decode()
    assert "stepdown_gateway_failed_streams_total{" not in exposed, "no client saw a stream fail"
    assert continued == len(cuts), f"only {continued} streams were continued after their release"
    print(f"{continued} of {len(cuts)} streams cut in mid-document were finished by FP16, {same} exactly as FP16 alone writes them")
