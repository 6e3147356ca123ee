import signal
import time

from bed import BAD, BASE, GOOD, Load, embed, route, until


def one_gateway(bed):
    """A killed candidate is no verdict; a looping one is off the traffic within a second; a trip holds without the API
    server."""
    routes = [{"digest": BASE, "service": "m-fp16", "role": "fp16"}]
    _, fp16 = bed.engine("healthy")
    good, good_port = bed.engine("healthy")
    _, bad_port = bed.engine("looping")
    for service, port in (("m-fp16", fp16), ("m-good", good_port), ("m-bad", bad_port)):
        bed.slice(service, port)
    bed.rollout(digest=GOOD, weight=50, epoch=1,
                routes=routes + [{"digest": GOOD, "service": "m-good", "role": "candidate"}])
    gateway, port = bed.gateway()
    until("half of the traffic is the candidate's", 15,
          lambda: route(port)["arms"].get("candidate", {}).get("share") == 0.5)

    for _ in range(8):
        status, arm, answer = embed(port, "a pump")
        assert (status, arm, answer["asked"]) == (200, "fp16", "a pump"), (status, arm, answer)
    print("embeddings are FP16's")

    load = Load(port)
    time.sleep(1)
    good.send_signal(signal.SIGKILL)
    good.wait()
    time.sleep(1)
    bed.engine("healthy", good_port)
    until("the restarted engine has its share again", 10,
          lambda: route(port)["arms"]["candidate"]["share"] == 0.5)
    time.sleep(0.5)
    load.stop()
    assert not route(port)["trips"], "one crash is no verdict"
    print(f"kill -9 of the candidate under load: 0 of {len(load.routes)} answers failed, no rollback")
    until("CanaryHealthy is True", 10, lambda: any(
        c["type"] == "CanaryHealthy" and c["status"] == "True" for c in bed.status().get("conditions", [])))

    load = Load(port)
    bed.rollout(digest=BAD, weight=25, epoch=2,
                routes=routes + [{"digest": BAD, "service": "m-bad", "role": "candidate"}])
    trip = until("the looping candidate trips", 15, lambda: route(port)["trips"])[0]
    time.sleep(1)
    load.stop()
    late = [at for at, r in load.routes if r == "candidate" and at > trip["atMs"] / 1000 + 1]
    assert not late, "candidate answers more than a second after the trip"
    verdict = until("status tells of the trip", 10, lambda: (
        lambda v: v if v.get("state") == "Tripped" else None)(bed.status().get("verdict", {})))
    assert verdict["badAnswers"] <= 10 and verdict["msTripToFp16"] < 1000, verdict
    condition = next(c for c in bed.status()["conditions"] if c["type"] == "CanaryHealthy")
    assert condition["status"] == "False", condition
    print(f"looping candidate: tripped by {verdict['detectedBy']} after {verdict['badAnswers']} bad answers, "
          f"FP16 {verdict['msTripToFp16']:.1f} ms later, 0 of {len(load.routes)} answers failed")

    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(10) == 0, "SIGTERM ends the gateway cleanly"
    _, port = bed.gateway(bed.dead_kubeconfig())
    until("serves from its state file", 10, lambda: route(port)["tripsKnown"])
    load = Load(port, 2)
    time.sleep(0.5)
    load.stop()
    assert load.routes and all(r == "fp16" for _, r in load.routes), "a trip holds without the API server"
    print(f"restart without the API server: {len(load.routes)} answers, all from FP16")
