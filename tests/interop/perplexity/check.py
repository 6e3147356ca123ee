"""See run. Usage: check.py STEPDOWN_ENGINE LLAMA_PERPLEXITY WORK_FOLDER"""
import json
import math
import pathlib
import re
import subprocess
import sys

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

HARBOR = pathlib.Path(__file__).resolve().parents[3] / "examples/harbor-analytics"
ENGINE, PEER, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
CONTEXT = 256


def output_of(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def measured(text, convention, model):
    report = WORK / "report.json"
    output_of(ENGINE, "evaluate", "--model", model, "--text", text, "--convention", convention, "--context", CONTEXT, "--report", report)
    return {name: metric["value"] for name, metric in json.loads(report.read_text())["metrics"].items()}


def by_lm_eval(text):
    model = AutoModelForCausalLM.from_pretrained(HARBOR / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(HARBOR / "model")
    judge = HFLM(pretrained=model, tokenizer=tokenizer, max_length=CONTEXT, batch_size=1, device="cpu")
    request = Instance(request_type="loglikelihood_rolling", doc={}, arguments=(text,), idx=0)
    (total,) = judge.loglikelihood_rolling([request], disable_tqdm=True)
    words, size = len(re.split(r"\s+", text)), len(text.encode())
    return {"wordPerplexity": math.exp(-total / words), "bytePerplexity": math.exp(-total / size), "bitsPerByte": -total / size / math.log(2)}


def compare(name, ours, theirs):
    apart = abs(ours / theirs - 1)
    print(f"{name}: {ours:.6g}, {theirs:.6g} by the other, {100 * apart:.4f} % apart", flush=True)
    return apart < 1e-3


def main():
    prompts = [json.loads(line) for line in (HARBOR / "data/heldout.jsonl").read_text().splitlines()[:40]]
    text = "\n\n".join(prompt["messages"][0]["content"] for prompt in prompts)
    file, gguf = WORK / "text.txt", WORK / "model.gguf"
    file.write_text(text)
    output_of(ENGINE, "convert", "--model", HARBOR / "model", "--out", gguf)
    final = re.search(r"Final estimate: PPL = ([0-9.]+)", output_of(PEER, "-m", gguf, "-f", file, "-c", CONTEXT, "-t", 2))
    good = compare("perplexity, llama.cpp", measured(file, "llama.cpp", gguf)["perplexity"], float(final[1]))
    ours, theirs = measured(file, "lm-eval", HARBOR / "model"), by_lm_eval(text)
    good = all([compare(f"{name}, lm-eval", ours[name], value) for name, value in theirs.items()]) and good
    if not good:
        sys.exit("more than 0.1 % apart")


if __name__ == "__main__":
    main()
