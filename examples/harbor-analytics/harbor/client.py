"""A client of the OpenAI chat API that repeats by request id, and counts failed answers as a user would see them."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from harbor import schema as json_schema

MAX_TOKENS = 384  # over the longest answer the schema allows


@dataclass
class Answer:
    text: str
    finish_reason: str
    route: str  # which engine answered, as the gateway tells it
    retried: str  # why the gateway repeated it on FP16; empty if it did not
    attempts: int
    milliseconds: float


@dataclass
class Failures:
    """What clients saw go wrong: transport errors, non-2xx, answers without an end, broken schemas."""

    by_kind: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str):
        with self.lock:
            self.by_kind[kind] = self.by_kind.get(kind, 0) + 1

    @property
    def total(self) -> int:
        with self.lock:
            return sum(self.by_kind.values())


class GaveUp(Exception):
    pass


class Client:
    """One connection; a thread each. `constrained`: ask for decoding that cannot leave the schema."""

    def __init__(self, url: str, model: str, schema: dict, constrained: bool, failures: Failures, patience: float = 60):
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port or 80)
        self._model, self._schema, self._constrained = model, schema, constrained
        self._failures, self._patience = failures, patience
        self._connection = None

    def ask(self, request_id: str, document: str, stream: bool = False) -> Answer:
        """Repeats under the same request id until there is an answer; raises GaveUp when patience ends."""
        began, attempts, last = time.monotonic(), 0, ""
        while time.monotonic() - began < self._patience:
            attempts += 1
            try:
                status, headers, text, finish = self._post(request_id, self._body(document, stream), stream)
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a stream of no JSON
                self.close()
                last = f"transport: {type(error).__name__}"
                self._failures.add(last)
                time.sleep(min(0.05 * 2**attempts, 2))
                continue
            if status != 200:
                last = f"status {status}"
                self._failures.add(last)
                time.sleep(_pause(headers.get("Retry-After")))
                continue
            if finish is None:
                last = "no finish"
                self._failures.add(last)
                continue
            if self._constrained and finish == "stop" and json_schema.text_violation(text, self._schema):
                self._failures.add("broken schema")
            return Answer(text, finish, headers.get("x-stepdown-route", ""), headers.get("x-stepdown-retried", ""),
                          attempts, 1000 * (time.monotonic() - began))
        raise GaveUp(f"{request_id}: no answer within {self._patience:.0f} s (last: {last})")

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _body(self, document: str, stream: bool) -> bytes:
        body = {"model": self._model, "messages": [{"role": "user", "content": document}], "temperature": 0,
                "max_tokens": MAX_TOKENS, "stream": stream}
        if self._constrained:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "incident", "strict": True, "schema": self._schema},
            }
        return json.dumps(body).encode()

    def _post(self, request_id: str, body: bytes, stream: bool):
        if not self._connection:
            self._connection = http.client.HTTPConnection(*self._address, timeout=30)
        self._connection.request("POST", "/v1/chat/completions", body,
                                 {"Content-Type": "application/json", "x-request-id": request_id})
        response = self._connection.getresponse()
        if stream and response.status == 200:
            text, finish = _read_stream(response)
            return response.status, response.headers, text, finish
        content = response.read()
        if response.status != 200:
            return response.status, response.headers, "", None
        try:
            choice = json.loads(content)["choices"][0]
            return 200, response.headers, choice["message"]["content"] or "", choice.get("finish_reason")
        except (ValueError, LookupError, TypeError):
            return 200, response.headers, "", None


def _pause(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.2


def _read_stream(response) -> tuple[str, str | None]:
    """Joins the deltas of server-sent events; a stream that does not end with [DONE] has no finish."""
    parts, finish, done = [], None, False
    for line in response:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            done = True
            continue
        event = json.loads(data)
        for choice in event.get("choices", []):
            parts.append(choice.get("delta", {}).get("content") or "")
            finish = choice.get("finish_reason") or finish
    return "".join(parts), finish if done else None
