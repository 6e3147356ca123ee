import http.client
import math
import time

from bed import ADDRESS, BAD, BASE, Load, get, post, route, until


def two_gateways(bed):
    """Evidence of two gateways adds, a trip of one is a trip of both, and a restart does not forget it."""
    routes = [{"digest": BASE, "service": "m-fp16", "role": "fp16"},
              {"digest": BAD, "service": "m-bad", "role": "candidate"}]
    _, fp16 = bed.engine("healthy")
    _, flaky = bed.engine("flaky")
    bed.slice("m-fp16", fp16)
    bed.slice("m-bad", flaky)
    bed.rollout(digest=BAD, weight=100, epoch=1, routes=routes)
    ports, processes = [], []
    for name in ("a", "b"):
        process, port = bed.gateway(host=ADDRESS, state=f"state-{name}")
        bed.slice("m", port, name=f"m-{name}")
        processes.append(process)
        ports.append(port)
    for port in ports:
        until("the candidate has all traffic", 15,
              lambda port=port: route(port, ADDRESS)["arms"].get("candidate", {}).get("share") == 1)

    def ask(port, prompt, times=1):
        connection = http.client.HTTPConnection(ADDRESS, port, timeout=20)
        routes_taken = []
        for i in range(times):
            right, taken = post(connection, f"{prompt}{i}")
            assert right, "a client saw a failed answer"
            routes_taken.append(taken)
        return routes_taken

    for port in ports:
        ask(port, "good", 30)
        ask(port, "break")
    figures = until("each counts the other's answers", 5, lambda: (
        lambda told: told if all(one["answers"]["candidate"] == 62 for one in told) else None)(
            [route(port, ADDRESS)["status"]["verdict"] for port in ports]))
    own = [get(port, "/peer", ADDRESS)["evidence"][BAD]["ceiling"] for port in ports]
    summed = [sum(point) for point in zip(*own)]
    mixture = math.log(sum(math.exp(log) for log in summed) / len(summed))
    for verdict in figures:
        assert verdict["errors"]["candidate"] == 2 and verdict["stepAnswers"] == 62, verdict
        assert abs(verdict["evidence"]["logCeiling"] - mixture) < 1e-6, (verdict, mixture)
    print("evidence of two gateways adds: 62 answers, 2 errors, log e-value", round(mixture, 3))

    broken = 0
    while not route(ports[0], ADDRESS)["trips"]:
        ask(ports[0], "break")
        broken += 1
        assert broken < 20, "never trips"
    begun = time.time()
    until("the other trips too", 5, lambda: route(ports[1], ADDRESS)["trips"])
    print(f"tripped after {broken} more errors at one gateway; the other {1000 * (time.time() - begun):.0f} ms later")
    for port in ports:
        assert ask(port, "break", 20) == ["fp16"] * 20

    for what, state in (("its own state", "state-b"), ("an empty one, from its peer and status", "state-c")):
        processes[1].kill()
        processes[1].wait()
        processes[1], _ = bed.gateway(host=ADDRESS, port=ports[1], state=state)
        load_when = until("it serves again", 15, lambda: route(ports[1], ADDRESS)["arms"].get("fp16", {}).get("reachable"))
        assert load_when and ask(ports[1], "break", 20) == ["fp16"] * 20
        until("it knows the trip", 5, lambda: route(ports[1], ADDRESS)["trips"])
        print(f"killed and restarted with {what}: tripped")

    _, port = bed.gateway(bed.dead_kubeconfig(), state="state-d")
    time.sleep(1)
    known = until("a gateway that can read nothing is up", 5, lambda: route(port))
    assert not known["tripsKnown"] and "candidate" not in known["arms"], known
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/readyz")
    assert connection.getresponse().status == 503, "and takes no traffic"
    print("a gateway that can read nothing routes nothing quantized and is not ready")

    load = Load(ports[0], 2, host=ADDRESS)
    processes[1].kill()
    time.sleep(1)
    load.stop()
    print(f"one of two gateways killed: 0 of {len(load.routes)} answers of the other failed")
