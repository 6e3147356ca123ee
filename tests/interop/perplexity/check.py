"""See run. Usage: check.py STEPDOWN_ENGINE LLAMA_PERPLEXITY LLAMA_QUANTIZE WORK_FOLDER"""
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
ENGINE, PEER, QUANTIZE, WORK = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
CONTEXT = 256
# Types that this engine reads and does not write: preset and more arguments of llama-quantize. Rounded to three levels this model is
# destroyed; what is compared is that both programs compute the same of what is left of it.
READ_ALONE = {"TQ1_0": ["TQ1_0"], "TQ2_0": ["TQ2_0"], "MXFP4": ["Q8_0", "--tensor-type", "ffn_.*=mxfp4"]}


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


def by_llama_cpp(model, file):
    for _ in range(3):  # its log is now and then not whole when it ends
        final = re.search(r"Final estimate: PPL = ([0-9.]+)", output_of(PEER, "-m", model, "-f", file, "-c", CONTEXT, "-t", 2))
        if final:
            return float(final[1])
    sys.exit(f"llama-perplexity says nothing of {model}")


def types_of(model):
    done = subprocess.run([ENGINE, "inspect", "--model", model, "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["tensors"]


def compare(name, ours, theirs, most=1e-3):
    apart = abs(ours / theirs - 1)
    print(f"{name}: {ours:.6g}, {theirs:.6g} by the other, {100 * apart:.4f} % apart", flush=True)
    return apart < most


def main():
    prompts = [json.loads(line) for line in (HARBOR / "data/heldout.jsonl").read_text().splitlines()[:40]]
    text = "\n\n".join(prompt["messages"][0]["content"] for prompt in prompts)
    file, gguf = WORK / "text.txt", WORK / "model.gguf"
    file.write_text(text)
    output_of(ENGINE, "convert", "--model", HARBOR / "model", "--out", gguf)
    good = compare("perplexity, llama.cpp", measured(file, "llama.cpp", gguf)["perplexity"], by_llama_cpp(gguf, file))
    for kind, arguments in READ_ALONE.items():
        rounded = WORK / f"{kind}.gguf"
        output_of(QUANTIZE, *arguments[1:], gguf, rounded, arguments[0], 2)
        if types_of(rounded).get(kind, 0) < 12:
            sys.exit(f"llama-quantize wrote no {kind}: {types_of(rounded)}")
        # Both round activations to 8 bits, each in its own blocks.
        good = compare(f"perplexity of {kind}, llama.cpp", measured(file, "llama.cpp", rounded)["perplexity"], by_llama_cpp(rounded, file), 1e-2) and good
    ours, theirs = measured(file, "lm-eval", HARBOR / "model"), by_lm_eval(text)
    good = all([compare(f"{name}, lm-eval", ours[name], value) for name, value in theirs.items()]) and good
    if not good:
        sys.exit("too far apart")


if __name__ == "__main__":
    main()
