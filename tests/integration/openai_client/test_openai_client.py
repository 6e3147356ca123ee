"""What clients see of `stepdown-engine serve`."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import jsonschema
import openai

ENGINE = pathlib.Path(os.environ["STEPDOWN_BIN"]) / "stepdown-engine"
HERE = pathlib.Path(__file__).parent
INCIDENT = {
    "type": "object", "additionalProperties": False, "required": ["severity", "root_cause", "recommendations"],
    "properties": {
        "severity": {"type": "string", "enum": ["low", "medium", "high"]},
        "root_cause": {"type": "string", "minLength": 1, "maxLength": 30},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "recommendations": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3, "maxItems": 3},
    },
}
TOOLS = [{"type": "function", "function": {"name": "set_alarm", "description": "Sounds an alarm", "parameters": {
    "type": "object", "additionalProperties": False, "required": ["deck", "kind"],
    "properties": {"deck": {"type": "integer", "minimum": 1, "maximum": 9}, "kind": {"type": "string", "enum": ["fire", "flood"]}}}}}]
USER = [{"role": "user", "content": "Report the incident on deck two."}]


class Server:
    """One engine on a free port."""

    def __init__(self, model, *arguments, context=None):
        self.context = context
        self.process = subprocess.Popen([ENGINE, "serve", "--model", model, "--port", "0", "--served-model-name", "m", "--threads", "1",
                                         "--log-format", "json", *arguments], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            entry = json.loads(line) if line.startswith("{") else {"message": line}
            if entry["message"] == "serving":
                self.port = int(entry["address"].rsplit(":", 1)[1])
                self.revision = entry["revision"]
                break
        else:
            raise RuntimeError("the server did not start")
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.client = openai.OpenAI(base_url=self.url + "/v1", api_key="none", max_retries=0, timeout=60)
        wait(lambda: self.status("/readyz") == 200, "ready")

    def status(self, path):
        try:
            return urllib.request.urlopen(self.url + path, timeout=5, context=self.context).status
        except urllib.error.HTTPError as error:
            return error.code

    def metric(self, name, label=""):
        text = urllib.request.urlopen(self.url + "/metrics", timeout=5, context=self.context).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[{ ]", line) and label in line)

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR) if data.startswith(b"\0") else None
            return connection.recv(65536)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(timeout=30)
        self.process.stderr.close()
        return status


def wait(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not {what} within {seconds} s")
        time.sleep(0.05)


def tiny_model(*arguments):
    path = pathlib.Path(tempfile.mkdtemp()) / "tiny.gguf"
    subprocess.run([sys.executable, HERE / "make_tiny_model.py", path, *arguments], check=True)
    return path


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = os.environ.get("STEPDOWN_MODEL") or tiny_model()
        cls.server = Server(cls.model, "--context", "1024", "--max-sequences", "4")
        cls.client = cls.server.client

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def chat(self, **arguments):
        return self.client.chat.completions.create(**{"model": "m", "messages": USER, "max_tokens": 24, "temperature": 0, **arguments})

    def test_chat_completion(self):
        answer = self.chat()
        self.assertEqual(answer.object, "chat.completion")
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertIn(answer.choices[0].finish_reason, ["stop", "length"])
        self.assertGreater(answer.usage.prompt_tokens, 0)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertEqual(answer.model_extra["stepdown"]["revision"], self.server.revision)
        self.assertLess(answer.model_extra["stepdown"]["mean_logprob"], 0)

    def test_stream_says_the_same(self):
        whole = self.chat(logprobs=True)
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}, logprobs=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], whole.choices[0].finish_reason)
        self.assertEqual(chunks[-1].usage, whole.usage)
        self.assertEqual(chunks[-1].model_extra["stepdown"], whole.model_extra["stepdown"])
        tokens = [t.token for c in chunks if c.choices and c.choices[0].logprobs for t in c.choices[0].logprobs.content]
        self.assertEqual(tokens, [t.token for t in whole.choices[0].logprobs.content])

    def test_headers(self):
        raw = self.client.chat.completions.with_raw_response.create(model="m", messages=USER, max_tokens=1, extra_headers={"x-request-id": "req-7"})
        self.assertEqual(raw.headers["x-request-id"], "req-7")
        self.assertEqual(raw.headers["x-stepdown-revision"], self.server.revision)

    def test_completions(self):
        answer = self.client.completions.create(model="m", prompt=["one two", "three"], max_tokens=4, n=2, logprobs=2, seed=1)
        self.assertEqual([c.index for c in answer.choices], [0, 1, 2, 3])
        self.assertLessEqual(len(answer.choices[0].logprobs.tokens), 4)
        tokens = self.client.completions.create(model="m", prompt=[5, 6, 7], max_tokens=1)
        self.assertEqual(tokens.usage.prompt_tokens, 3)
        streamed = list(self.client.completions.create(model="m", prompt="one two", max_tokens=5, temperature=0, stream=True))
        whole = self.client.completions.create(model="m", prompt="one two", max_tokens=5, temperature=0)
        self.assertEqual("".join(c.choices[0].text for c in streamed), whole.choices[0].text)

    def test_seed_repeats_and_temperature_varies(self):
        ask = lambda seed: self.chat(temperature=1.5, seed=seed).choices[0].message.content
        self.assertEqual(ask(3), ask(3))
        self.assertGreater(len({ask(seed) for seed in range(5)}), 1)

    def test_stop_strings_never_appear(self):
        whole = self.chat().choices[0].message.content
        stop = whole[5:8]
        answer = self.chat(stop=stop)
        self.assertEqual(answer.choices[0].message.content, whole[:whole.index(stop)])
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        text = "".join(c.choices[0].delta.content or "" for c in self.chat(stop=stop, stream=True))
        self.assertEqual(text, answer.choices[0].message.content)

    def test_schema_holds_whenever_an_answer_stops(self):
        format = {"type": "json_schema", "json_schema": {"name": "incident", "strict": True, "schema": INCIDENT}}
        stopped = 0
        for seed in range(20):
            answer = self.chat(response_format=format, max_tokens=400, temperature=1.0, seed=seed)
            if answer.choices[0].finish_reason == "stop":
                jsonschema.validate(json.loads(answer.choices[0].message.content), INCIDENT)
                stopped += 1
        self.assertEqual(stopped, 20, "bounded strings let every answer end")

    def test_a_stop_string_cuts_no_document(self):
        format = {"type": "json_schema", "json_schema": {"name": "incident", "strict": True, "schema": INCIDENT}}
        for seed in range(5):
            asked = dict(response_format=format, max_tokens=400, temperature=1.0, seed=seed)
            whole, cut = (self.chat(**asked, **more).choices[0] for more in ({}, {"stop": [",", "e"]}))
            self.assertEqual((cut.message.content, cut.finish_reason), (whole.message.content, "stop"))
            jsonschema.validate(json.loads(cut.message.content), INCIDENT)

    def test_json_object(self):
        answer = self.chat(response_format={"type": "json_object"}, max_tokens=120, temperature=1.0, seed=4)
        if answer.choices[0].finish_reason == "stop":
            self.assertIsInstance(json.loads(answer.choices[0].message.content), dict)
        else:
            self.assertTrue(answer.choices[0].message.content.lstrip().startswith("{"))

    def test_continue_final_message(self):
        format = {"type": "json_schema", "json_schema": {"name": "incident", "schema": INCIDENT}}
        begun = '{"severity": "hi'
        answer = self.chat(messages=USER + [{"role": "assistant", "content": begun}], response_format=format, max_tokens=400,
                           extra_body={"continue_final_message": True})
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        document = json.loads(begun + answer.choices[0].message.content)
        jsonschema.validate(document, INCIDENT)
        self.assertEqual(document["severity"], "high")
        with self.assertRaises(openai.BadRequestError):
            self.chat(messages=USER + [{"role": "assistant", "content": "Sure!"}], response_format=format, extra_body={"continue_final_message": True})

    def test_tools_required(self):
        for choice, reason in [("required", "tool_calls"), ({"type": "function", "function": {"name": "set_alarm"}}, "stop")]:
            answer = self.chat(tools=TOOLS, tool_choice=choice, temperature=1, seed=3, max_tokens=400)
            call = answer.choices[0].message.tool_calls[0]
            self.assertEqual(answer.choices[0].finish_reason, reason)
            self.assertEqual((call.function.name, answer.choices[0].message.content), ("set_alarm", None))
            jsonschema.validate(json.loads(call.function.arguments), TOOLS[0]["function"]["parameters"])
            chunks = list(self.chat(tools=TOOLS, tool_choice=choice, temperature=1, seed=3, max_tokens=400, stream=True))
            streamed = [c for chunk in chunks for c in chunk.choices[0].delta.tool_calls or []]
            self.assertEqual([(c.index, c.id is not None, c.function.name, c.function.arguments) for c in streamed],
                             [(0, True, "set_alarm", call.function.arguments)])
            self.assertEqual(chunks[-1].choices[0].finish_reason, reason)
            turn = [*USER, answer.choices[0].message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "done"}]
            self.chat(messages=turn, tools=TOOLS)

    def test_tools_offered(self):
        offered = self.chat(tools=TOOLS)
        self.assertGreater(offered.usage.prompt_tokens, self.chat(tools=TOOLS, tool_choice="none").usage.prompt_tokens)

    def test_schemas_that_cannot_be_held(self):
        loose = {"name": "f", "parameters": {"type": "object", "minProperties": 2}}
        for choice in ["auto", "required", {"type": "function", "function": {"name": "f"}}]:
            with self.subTest(choice):
                with self.assertRaises(openai.BadRequestError) as caught:
                    self.chat(tools=[{"type": "function", "function": {**loose, "strict": True}}], tool_choice=choice)
                self.assertIn("the strict tool 'f'", caught.exception.message)
                self.assertIn("minProperties", caught.exception.message)
                answer = self.chat(tools=[{"type": "function", "function": loose}], tool_choice=choice, temperature=1, seed=1, max_tokens=900)
                if choice != "auto" and answer.choices[0].finish_reason != "length":
                    self.assertIsInstance(json.loads(answer.choices[0].message.tool_calls[0].function.arguments), dict)

    def test_calls_that_go_on_behind_a_text(self):
        for written in ["Let me look.", "So: <tool_call>", "<tool_call>\n{\"name\": \"set_al", "{\"name\""]:
            with self.subTest(written):
                messages = [*USER, {"role": "assistant", "content": written}]
                choice = self.chat(messages=messages, tools=TOOLS, tool_choice="required", temperature=1, seed=3, max_tokens=400,
                                   extra_body={"continue_final_message": True}).choices[0]
                self.assertEqual((choice.finish_reason, choice.message.content), ("tool_calls", None))
                jsonschema.validate(json.loads(choice.message.tool_calls[0].function.arguments), TOOLS[0]["function"]["parameters"])
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(messages=[*USER, {"role": "assistant", "content": "<tool_call>{\"name\": \"other"}], tools=TOOLS, tool_choice="required",
                      extra_body={"continue_final_message": True})
        self.assertIn("no beginning", caught.exception.message)

    def test_strict_tools_hold_though_the_model_may_answer_freely(self):
        strict = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
        begun = [*USER, {"role": "assistant", "content": "So:\n<tool_call>"}]  # a random model would not begin a call
        ended = 0
        for seed in range(10):
            choice = self.chat(messages=begun, tools=strict, temperature=1, seed=seed, max_tokens=300,
                               extra_body={"continue_final_message": True}).choices[0]
            if choice.finish_reason == "length":
                continue
            ended += 1
            self.assertEqual(choice.finish_reason, "tool_calls")
            self.assertIsNone(choice.message.content)
            for call in choice.message.tool_calls:
                self.assertEqual(call.function.name, "set_alarm")
                jsonschema.validate(json.loads(call.function.arguments), TOOLS[0]["function"]["parameters"])
        self.assertGreater(ended, 0)
        loose = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "contain": 1}}}
        self.chat(tools=[loose])
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(tools=[{"type": "function", "function": {**loose["function"], "strict": True}}])
        self.assertIn("the strict tool 'f'", caught.exception.message)

    def test_tools_that_are_allowed(self):
        other = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
        allowed = lambda mode: {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [{"type": "function", "function": {"name": "set_alarm"}}]}}
        for seed in range(5):
            answer = self.chat(tools=[other, *TOOLS], tool_choice=allowed("required"), temperature=1, seed=seed, max_tokens=400)
            self.assertEqual([call.function.name for call in answer.choices[0].message.tool_calls], ["set_alarm"])
        self.assertEqual(self.chat(tools=[other, *TOOLS], tool_choice=allowed("auto")).usage.prompt_tokens,
                         self.chat(tools=[other, *TOOLS]).usage.prompt_tokens)
        flat = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "set_alarm"}]}
        answer = self.respond(tools=[{"type": "function", **tool["function"]} for tool in [other, *TOOLS]], tool_choice=flat, max_output_tokens=400)
        self.assertEqual(answer.output[0].name, "set_alarm")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(tools=[*TOOLS, *TOOLS])
        self.assertEqual(caught.exception.param, "tools[1].function.name")

    def respond(self, **arguments):
        return self.client.responses.create(**{"model": "m", "input": USER[0]["content"], "max_output_tokens": 24, "temperature": 0, **arguments})

    def test_responses(self):
        chat = self.chat(messages=[{"role": "system", "content": "Be brief."}, *USER])
        answer = self.respond(instructions="Be brief.")
        self.assertEqual(answer.output_text, chat.choices[0].message.content)
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (chat.usage.prompt_tokens, chat.usage.completion_tokens))
        self.assertEqual((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(answer.model_extra["stepdown"]["revision"], self.server.revision)
        parts = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": USER[0]["content"]}]}]
        self.assertEqual(self.respond(instructions="Be brief.", input=parts).output_text, answer.output_text)
        told = self.respond(top_logprobs=2).output[0].content[0].logprobs
        self.assertEqual((len(told), len(told[0].top_logprobs)), (24, 2))

    def test_responses_stream(self):
        whole = self.respond()
        events = list(self.respond(stream=True))
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        self.assertEqual([e.type for e in events if e.type != "response.output_text.delta"], [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
            "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete"])
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), whole.output_text)
        self.assertEqual((events[-1].response.output_text, events[-1].response.usage), (whole.output_text, whole.usage))
        with self.client.responses.stream(model="m", input="Go.", max_output_tokens=8, temperature=0) as stream:  # the client's own accumulator
            text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        self.assertEqual(text, self.respond(input="Go.", max_output_tokens=8).output_text)

    def test_responses_schema_and_tools(self):
        format = {"format": {"type": "json_schema", "name": "incident", "strict": True, "schema": INCIDENT}}
        answer = self.respond(text=format, max_output_tokens=400, temperature=1)
        self.assertEqual(answer.status, "completed")
        jsonschema.validate(json.loads(answer.output_text), INCIDENT)
        tools = [{"type": "function", **TOOLS[0]["function"], "strict": True}]
        asked = dict(tools=tools, tool_choice="required", temperature=0, max_output_tokens=400)
        answer = self.respond(**asked)
        call = answer.output[0]
        self.assertEqual((len(answer.output), call.type, call.name, answer.status), (1, "function_call", "set_alarm", "completed"))
        jsonschema.validate(json.loads(call.arguments), tools[0]["parameters"])
        events = list(self.respond(stream=True, **asked))
        self.assertEqual([e.arguments for e in events if e.type == "response.function_call_arguments.done"], [call.arguments])
        self.assertEqual(events[-1].response.output[0].name, "set_alarm")
        turn = [*USER, call.model_dump(exclude_none=True), {"type": "function_call_output", "call_id": call.call_id, "output": "done"}]
        self.assertTrue(self.respond(input=turn, tools=tools).output)

    def test_responses_refuse_what_they_cannot(self):
        for arguments, param in [({"previous_response_id": "resp_1"}, "previous_response_id"), ({"background": True}, "background"),
                                 ({"tools": [{"type": "web_search"}]}, "tools[0]"), ({"temperature": 9}, "temperature"),
                                 ({"input": [{"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content")]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.respond(**arguments)
            self.assertEqual(caught.exception.param, param)

    def test_n_choices_in_a_stream(self):
        whole = self.chat(n=3, temperature=1.2, seed=11, extra_body={"ignore_eos": True})
        self.assertEqual(len({c.message.content for c in whole.choices}), 3)
        texts = ["", "", ""]
        for chunk in self.chat(n=3, temperature=1.2, seed=11, stream=True, extra_body={"ignore_eos": True}):
            texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        self.assertEqual(texts, [c.message.content for c in whole.choices])
        self.assertEqual(whole.usage.completion_tokens, 3 * 24)

    def test_bias_and_penalties(self):
        tokens = lambda **arguments: self.client.completions.create(model="m", prompt="one two", max_tokens=16, temperature=0, logprobs=1, **arguments).choices[0].logprobs.tokens
        self.assertEqual(set(tokens(logit_bias={"300": 100})), {tokens(logit_bias={"300": 100})[0]})
        self.assertNotEqual(tokens(logit_bias={"300": 100})[0], tokens(logit_bias={"301": 100})[0])
        for penalty in ["presence_penalty", "frequency_penalty"]:  # two tokens that nothing else comes near take turns
            told = tokens(logit_bias={"300": 50, "301": 49.9}, **{penalty: 2})
            self.assertEqual(len(set(told[:2])), 2, penalty)
        self.assertEqual(len(set(tokens(logit_bias={"300": 50, "301": 40}))), 1)

    def test_grammars(self):
        for extra, pattern in [({"guided_regex": "[a-c]{3}-[0-9]{2}"}, r"[a-c]{3}-[0-9]{2}"), ({"guided_choice": ["north", "south"]}, "north|south"),
                               ({"structured_outputs": {"grammar": 'root ::= "(" root ")" | [xy]{1,3}'}}, r"\(*[xy]{1,3}\)*"),
                               ({"grammar": 'root ::= "a" ", b"*'}, "a(, b)*")]:
            for seed in range(5):
                choice = self.chat(extra_body=extra, temperature=1.5, seed=seed, max_tokens=60).choices[0]
                if choice.finish_reason == "stop":
                    self.assertRegex(choice.message.content, f"^({pattern})$")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(extra_body={"grammar": "root ::= thing"})
        self.assertIn("rule 'thing' is not defined", caught.exception.message)
        with self.assertRaises(openai.BadRequestError) as caught:  # seconds a token, which all others would wait for
            self.chat(extra_body={"grammar": 'root ::= (a | b | c | d | e)*\na ::= [a-z]+ " "\nb ::= [a-z]* [a-z] " "\nc ::= [a-z]{1,40} " "\n'
                                             'd ::= [a-z ]+\ne ::= ([a-z] [a-z]?)+ " "'})
        self.assertEqual(caught.exception.code, "grammar_too_ambiguous")

    def test_embeddings(self):
        answer = self.client.embeddings.create(model="m", input=["a ship", "a ship", "forty ropes"])
        vectors = [e.embedding for e in answer.data]
        self.assertEqual(vectors[0], vectors[1])
        self.assertNotEqual(vectors[0], vectors[2])
        self.assertAlmostEqual(sum(x * x for x in vectors[0]), 1, places=4)
        plain = self.client.embeddings.create(model="m", input="a ship", encoding_format="float").data[0].embedding
        self.assertTrue(all(abs(a - b) < 1e-6 for a, b in zip(plain, vectors[0])))

    def test_a_shared_prompt_is_computed_once(self):
        system = {"role": "system", "content": "You write the log of a ship. " * 20}
        before = self.server.metric("vllm:prefix_cache_hits_total")
        first, second = (self.chat(messages=[system, {"role": "user", "content": text}]) for text in ("Monday", "Tuesday"))
        self.assertIsNone(first.usage.prompt_tokens_details)
        self.assertGreaterEqual(second.usage.prompt_tokens_details.cached_tokens, 64)
        self.assertGreaterEqual(self.server.metric("vllm:prefix_cache_hits_total") - before, 64)

    def test_a_deadline_ends_a_request(self):
        with self.assertRaises(openai.APIStatusError) as caught:
            self.chat(max_tokens=900, extra_body={"ignore_eos": True, "deadline_ms": 1})
        self.assertEqual((caught.exception.status_code, caught.exception.code), (504, "deadline_exceeded"))

    def test_many_at_once(self):
        alone = self.chat(max_tokens=16).choices[0].message.content
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: self.chat(max_tokens=16).choices[0].message.content, range(24)))
        self.assertEqual(set(answers), {alone})

    def test_errors_name_what_is_wrong(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat(model="other")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(messages=[{"role": "user", "content": "word " * 3000}])
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "uniqueItems": True}}})
        self.assertIn("uniqueItems", caught.exception.message)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(temperature=9)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError):
            self.client.completions.create(model="m", prompt=[10**8], max_tokens=1)

    def test_malformed_http_and_json(self):
        post = lambda body: self.server.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        for body in [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100000]:
            self.assertIn(b" 400 ", post(body).split(b"\r\n")[0], body[:10])
        for request in [b"\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n"]:
            self.server.raw(request + (b"" if request.endswith(b"\r\n\r\n") else b"\r\n\r\n"))
        for status, lines in [(400, b"Content-Length: -1"), (400, b"Content-Length: 2\r\nContent-Length: 3"), (413, b"Content-Length: 2147483648"),
                              (400, b"Content-Length: 2\r\nTransfer-Encoding: chunked"), (400, b"no colon"), (431, b"A: " + b"a" * 100000),
                              (400, b"Transfer-Encoding: chunked\r\n\r\n-5")]:
            answer = self.server.raw(b"POST /v1/completions HTTP/1.1\r\n" + lines + b"\r\n\r\n{}")
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status) and b"invalid_request" in answer, (lines[:40], answer))
        with self.assertRaises(openai.APIStatusError) as caught:
            self.chat(messages=[{"role": "user", "content": "x" * (9 << 20)}])
        self.assertEqual(caught.exception.status_code, 413)
        self.assertEqual(self.server.status("/healthz"), 200)
        self.assertEqual(self.server.status("/nowhere"), 404)

    def test_hanging_up_cancels(self):
        for stream in [b"true", b"false"]:
            body = b'{"model":"m","messages":[{"role":"user","content":"go"}],"max_tokens":900,"n":16,"ignore_eos":true,"stream":%s}' % stream
            aborted = lambda: self.server.metric("vllm:request_success_total", 'finished_reason="abort"')
            hung_up = lambda: self.server.metric("stepdown_http_answers_total", 'path="/v1/chat/completions",status="499"')
            before, before_hung_up = aborted(), hung_up()
            connection = socket.create_connection(("127.0.0.1", self.server.port))
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            wait(lambda: self.server.metric("vllm:num_requests_running") >= 1, "running")
            connection.close()
            wait(lambda: self.server.metric("vllm:num_requests_running") == 0, "cancelled")
            self.assertGreater(aborted(), before, "it ran to its end though nobody waited")
            wait(lambda: hung_up() == before_hung_up + 1, "counted as 499")

    def test_models_and_metrics(self):
        self.assertEqual([m.id for m in self.client.models.list()], ["m"])
        self.chat()
        for name in ["vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total",
                     "vllm:time_to_first_token_seconds_count", "vllm:e2e_request_latency_seconds_count", "vllm:request_queue_time_seconds_count",
                     "vllm:request_prefill_time_seconds_count", "vllm:request_decode_time_seconds_count", "vllm:prefix_cache_queries_total"]:
            self.assertGreater(self.server.metric(name), 0, name)
        for method, path in [("GET", "/made-up"), ("TRACE", "/made-up"), ("FOO", "/made-up"), ("POST", "/v1/made-up")]:
            self.server.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        self.assertEqual(self.server.metric("stepdown_http_answers_total", "made-up"), 0, "clients' paths are no labels")

    def test_a_schema_that_multiplies_holds_nobody_up(self):
        defs = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)} | {"d40": {"type": "boolean"}}
        schema = {"$ref": "#/$defs/d0", "$defs": defs}
        answer = self.chat(response_format={"type": "json_schema", "json_schema": {"name": "bomb", "schema": schema}}, timeout=10)
        self.assertIn(answer.choices[0].message.content.strip(), ["true", "false"])

class Lifecycle(unittest.TestCase):
    def test_overload_is_429(self):
        server = Server(tiny_model(), "--max-sequences", "1", "--max-queue", "1")
        try:
            def ask(_):
                try:
                    server.client.chat.completions.create(model="m", messages=USER, max_tokens=300, extra_body={"ignore_eos": True})
                    return 200, None
                except openai.APIStatusError as error:
                    return error.status_code, error.response.headers.get("retry-after")
            with concurrent.futures.ThreadPoolExecutor(10) as pool:
                answers = list(pool.map(ask, range(10)))
            self.assertIn((200, None), answers)
            self.assertTrue(any(status == 429 and 1 <= int(after) <= 60 for status, after in answers), answers)
            self.assertTrue(all(status in (200, 429) for status, _ in answers), answers)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_what_never_fits_the_queue_is_told_so(self):
        server = Server(tiny_model(), "--max-sequences", "2", "--max-queue", "3", "--context", "1024")
        try:
            asks = {"n": lambda: server.client.chat.completions.create(model="m", messages=USER, max_tokens=2, n=6),
                    "prompt": lambda: server.client.completions.create(model="m", prompt=["a"] * 6, max_tokens=2),
                    "input": lambda: server.client.embeddings.create(model="m", input=["a"] * 6)}
            for param, ask in asks.items():
                with self.assertRaises(openai.BadRequestError) as caught:
                    ask()
                self.assertEqual(caught.exception.param, param)
                self.assertIn("asks for 6 sequences at once; this server decodes and lets wait 5", caught.exception.message)
            self.assertEqual(len(server.client.chat.completions.create(model="m", messages=USER, max_tokens=2, n=4).choices), 4)  # a probe of readiness may have the fifth place
            with self.assertRaises(openai.BadRequestError) as caught:
                server.client.embeddings.create(model="m", input="word " * 3000)
            self.assertEqual((caught.exception.code, caught.exception.param), ("context_length_exceeded", "input"))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_idle_costs_nothing(self):
        server = Server(tiny_model())
        try:
            server.client.chat.completions.create(model="m", messages=USER, max_tokens=20)
            time.sleep(1)
            used = lambda: sum(map(int, pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
            before, begun = used(), time.monotonic()
            time.sleep(8)
            share = (used() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begun)
            print(f"idle: {share:.2%} of a processor")
            self.assertLess(share, 0.01)
            self.assertEqual(server.status("/readyz"), 200)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_sigterm_drains(self):
        server = Server(tiny_model())
        stream = server.client.chat.completions.create(model="m", messages=USER, max_tokens=1500, stream=True, extra_body={"ignore_eos": True})
        next(stream)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        if server.process.poll() is None and not stream.response.is_closed:
            try:
                self.assertEqual(server.status("/readyz"), 503)
            except (urllib.error.URLError, ConnectionError):
                pass  # it drained already
        reasons = [c.choices[0].finish_reason for c in stream]
        self.assertEqual(reasons[-1], "length", "an open stream ends as it should")
        self.assertEqual(server.stop(), 0)

    def test_grace_ends(self):
        server = Server(tiny_model(), "--grace-seconds", "1", "--max-sequences", "1", "--max-queue", "300")
        def ask():
            with self.assertRaises(openai.InternalServerError) as caught:
                server.client.completions.create(model="m", prompt=["a"] * 16, max_tokens=1500, n=16, extra_body={"ignore_eos": True})
            return caught.exception.status_code
        with concurrent.futures.ThreadPoolExecutor() as pool:
            status = pool.submit(ask)
            wait(lambda: server.metric("vllm:num_requests_running") == 1, "running")
            begun = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertEqual(status.result(), 503)
        self.assertLess(time.monotonic() - begun, 4)

    def test_nonfinite_logits_are_an_error(self):
        server = Server(tiny_model("nan"))
        try:
            for stream in [False, True]:
                with self.assertRaises(openai.InternalServerError) as caught:
                    server.client.chat.completions.create(model="m", messages=USER, max_tokens=5, stream=stream)
                self.assertEqual(caught.exception.code, "nonfinite_logits")
        finally:
            self.assertEqual(server.stop(), 0)

    def drip(self, server, context):
        """Greetings and records that come byte by byte get no more time than plain requests."""
        hello = ssl.MemoryBIO()
        with self.assertRaises(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1").do_handshake()
        greeting = socket.create_connection(("127.0.0.1", server.port))
        speaking = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="127.0.0.1")
        record = socket.socket(fileno=os.dup(speaking.fileno()))
        slow = {greeting: hello.read(), record: b"\x17\x03\x03\x40\x00" + bytes(1000)}
        begun, at = time.monotonic(), 0
        while slow and time.monotonic() - begun < 18:
            for connection, data in list(slow.items()):
                try:
                    connection.sendall(data[at:at + 1])
                except OSError:
                    del slow[connection]
            at += 1
            time.sleep(0.5)
        self.assertEqual(slow, {}, "the server still listens")
        for connection in [greeting, record, speaking]:
            connection.close()

    def test_keys_and_tls(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "keys").write_text("# clients\nsesame\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key.pem",
                        "-out", folder / "cert.pem", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        context = ssl.create_default_context(cafile=folder / "cert.pem")
        server = Server(tiny_model(), "--api-key-file", folder / "keys", "--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem",
                        "--max-body-mib", "1", context=context)
        try:
            client = lambda key: openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, http_client=openai.DefaultHttpxClient(verify=context))
            ask = lambda key, **arguments: client(key).chat.completions.create(**{"model": "m", "messages": USER, "max_tokens": 8, "temperature": 0, **arguments})
            whole = ask("sesame").choices[0].message.content
            self.assertEqual("".join(c.choices[0].delta.content or "" for c in ask("sesame", stream=True)), whole)
            for key in ["sesam", "sesames"]:
                with self.assertRaises(openai.AuthenticationError) as caught:
                    ask(key)
                self.assertEqual(caught.exception.code, "invalid_api_key")
            with self.assertRaises(openai.APIStatusError) as caught:
                ask("sesame", messages=[{"role": "user", "content": "x" * (2 << 20)}])
            self.assertEqual(caught.exception.status_code, 413)
            self.assertNotIn(b"200 OK", server.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), "plain HTTP on the TLS port")
            self.drip(server, context)
            stream = ask("sesame", max_tokens=1500, stream=True, extra_body={"ignore_eos": True})
            next(stream)
            stream.close()
            wait(lambda: server.metric("vllm:num_requests_running") == 0, "cancelled by hanging up")
        finally:
            self.assertEqual(server.stop(), 0)
        refused = subprocess.run([ENGINE, "serve", "--model", tiny_model(), "--tls-cert", folder / "keys", "--tls-key", folder / "key.pem"],
                                 capture_output=True, text=True, timeout=20)
        self.assertEqual((refused.returncode, "is no certificate chain" in refused.stderr), (2, True), refused.stderr)

    def test_digest_is_verified(self):
        model = tiny_model()
        digest = subprocess.run(["sha256sum", model], capture_output=True, text=True, check=True).stdout.split()[0]
        server = Server(model, "--verify-digest", "sha256:" + digest)
        self.assertEqual(server.revision, "sha256:" + digest)
        self.assertEqual(server.stop(), 0)
        folder = Server(model.parent, "--verify-digest", "sha256:" + digest)  # artifacts are pinned by their file
        self.assertEqual(folder.revision, "sha256:" + digest)
        self.assertEqual(folder.stop(), 0)
        refused = subprocess.run([ENGINE, "serve", "--model", model, "--verify-digest", "sha256:" + "0" * 64], capture_output=True, text=True, timeout=20)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("the digest is sha256:" + digest, refused.stderr)


if __name__ == "__main__":
    unittest.main()
