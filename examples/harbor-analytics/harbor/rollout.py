"""Follows one QuantizedModel as an on-call engineer would: by its status alone."""

import sys
import time

from harbor.cluster import Cluster

NAME = "harbor-analytics"
STUCK = ("Invalid", "Failed")


class NotReached(Exception):
    pass


def _line(status: dict) -> str:
    shown = status.get("summary", {})
    cells = [status.get("phase"), *(shown.get(name) for name in ("method", "weight", "errors", "message"))]
    return "  ".join(cell for cell in cells if cell)


def _follow(cluster: Cluster, reached, failed, seconds: float) -> dict:
    """Prints each change of status until `reached` holds; raises NotReached on `failed`, or when time is up."""
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        model = cluster.get("quantizedmodel", NAME)
        status = model.get("status", {})
        line = _line(status)
        if line != last:
            print(f"  {time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)
            last = line
        if status.get("observedGeneration") == model["metadata"]["generation"]:
            if reached(status):
                return status
            if failed(status):
                break
        time.sleep(0.25)
    raise NotReached(f"{NAME} stands at: {last or 'no status'}")


def serving(cluster: Cluster, seconds: float) -> dict:
    """Until candidates are chosen and answers are served, at the start of the canary."""
    return _follow(cluster, lambda status: status.get("phase") in ("Canary", "Promoted", "ServingFP16"),
                   lambda status: status.get("phase") in STUCK, seconds)


def promoted(cluster: Cluster, seconds: float) -> dict:
    """Until the smallest candidate that passes is promoted, or FP16 serves as none passes."""
    return _follow(cluster, lambda status: status.get("phase") in ("Promoted", "ServingFP16"),
                   lambda status: status.get("phase") in (*STUCK, "RolledBack"), seconds)


def rolled_back(cluster: Cluster, digest: str, seconds: float) -> dict:
    return _follow(cluster, lambda status: status.get("phase") == "RolledBack"
                   and status.get("lastRollback", {}).get("digest") == digest,
                   lambda status: status.get("phase") in (*STUCK, "Promoted"), seconds)


def winner(status: dict) -> dict | None:
    """The row of the candidate that was promoted; None when FP16 serves."""
    return next((one for one in status["candidates"] if one["state"] == "Chosen"), None)


def smallest(status: dict) -> dict:
    """The row of the smallest artifact that was made, whether it passed or not."""
    return min((one for one in status["candidates"] if one.get("uri")), key=lambda one: one["size"])


def candidate_table(status: dict) -> list[dict]:
    """Every candidate as it was measured, FP16 first."""
    def row(one: dict) -> dict:
        values = {name: metric.get("value") for name, metric in one.get("metrics", {}).items()}
        return {"name": one["name"], "state": one["state"], "digest": one.get("digest"), "size": one.get("size", 0),
                "json_pass": values.get("jsonPass"), "json_pass_constrained": values.get("jsonPassConstrained"),
                "field_accuracy": values.get("fieldAccuracy"), "perplexity": values.get("perplexity"),
                "message": one.get("message", "")}
    return [row(one) for one in [status["baseline"], *status["candidates"]]]
