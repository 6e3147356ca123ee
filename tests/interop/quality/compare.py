"""See run. Usage: compare.py STEPDOWN_ENGINE LLAMA_FOLDER WORK_FOLDER [gptq|awq|gguf|MODEL]…"""
import math
import pathlib
import shutil
import statistics
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checkpoints"))
import held_out
from models import engine_weights, random_model, reference_model, write_prompts
from peers import GROUP, PRESET, SAMPLES, by_engine, by_llamacpp, by_llmcompressor, by_numpy, tokens_of

ENGINE, LLAMA, WORK = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
METHODS = ("gptq", "awq", "gguf")
WANTED = [one for one in sys.argv[4:] if one in METHODS] or METHODS
ONLY = [one for one in sys.argv[4:] if one not in METHODS]
FAMILIES = ("qwen2", "qwen3", "gemma2")
MOST = 1.01
# Of calibration prompts: by another draw the same method's mean divergence may be half or twice as large, AWQ's less so.
DRAWS = {"gptq": 10, "awq": 5, "gguf": 10}
STUDENT = {5: 2.776, 10: 2.262}  # of one degree of freedom less, 95 %
WIDEST = 1.5  # of an interval, between its ends and its middle: beyond it nothing is told
# A few tokens make most of the mean, by chance; the median and the layers' outputs tell percents, so rounding must fail by both.
JUDGED = {"mean": "KL divergence", "median": "median KL divergence", "layers": "errors of layers' outputs"}

GROUPS = ("--group-size", GROUP)
OURS = {"gptq": ("gptq", *GROUPS), "awq": ("awq", *GROUPS), "gguf": ("gguf", "--preset", PRESET)}
# Plain rounding in as many bits, which the comparison must refuse.
ROUNDED = {"gptq": ("int4", "--no-clip", *GROUPS), "awq": ("int4", "--asymmetric", "--no-clip", *GROUPS), "gguf": ("gguf", "--preset", "Q4_0")}
LABELS = {"gptq": "llmcompressor", "awq": "NumPy reference", "gguf": "llama.cpp"}
PEERS = {"gptq": by_llmcompressor, "awq": by_numpy,
         "gguf": by_llamacpp({name: LLAMA / name for name in ("llama-imatrix", "llama-quantize")})}


def ratio_of(key, lost, theirs):
    """Geometric mean of the ratios over draws, and the ends of its 95 % interval."""
    logs = [math.log(a[key] / b[key]) for a, b in zip(lost, theirs)]
    middle, half = statistics.mean(logs), STUDENT[len(logs)] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def layer_errors(model, quantized, tokens):
    """‖y_q − y‖ / ‖y‖ of each decoder layer, fed with what the model in full precision passes on."""
    exact = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    other = reference_model(engine_weights(ENGINE, quantized, WORK, config_of=model), model)
    lost, energy = [0.0] * len(exact.model.layers), [0.0] * len(exact.model.layers)

    def compare(index):
        def hook(_, args, kwargs, output):
            result = other.model.layers[index](*args, **kwargs)
            mine, theirs = (x[0] if isinstance(x, tuple) else x for x in (output, result))
            lost[index] += (theirs - mine).square().sum().item()
            energy[index] += mine.square().sum().item()
        return hook

    for index, layer in enumerate(exact.model.layers):
        layer.register_forward_hook(compare(index), with_kwargs=True)
    with torch.no_grad():
        for one in tokens[:16]:
            exact(torch.tensor([one]), use_cache=False)
    return [(a / b) ** 0.5 for a, b in zip(lost, energy)]


def target(name, method):
    """Where a result goes; what an earlier one left there is gone."""
    for old in WORK.glob(f"{name}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    return WORK / (f"{name}.gguf" if method == "gguf" else name)


def on_harbor(method, reports):
    """Complaints about what this engine loses beside the reference, over draws of calibration prompts."""
    prompts, label = WORK / "harbor.jsonl", LABELS[method]
    rounded = target("rounded", method)
    by_engine(ENGINE, ROUNDED[method], held_out.MODEL, None, rounded)
    of_rounded = reports.measure(rounded)
    lost, seconds = {"ours": [], "theirs": [], "rounded": []}, {"ours": 0.0, "theirs": 0.0}
    for draw in range(DRAWS[method]):
        held_out.write_prompts(prompts, draw * SAMPLES, SAMPLES)
        tokens = tokens_of(held_out.MODEL, prompts)
        for name in ("ours", "theirs"):
            out = target(name, method)
            seconds[name] += (by_engine(ENGINE, OURS[method], held_out.MODEL, prompts, out) if name == "ours" else
                              PEERS[method](ENGINE, held_out.MODEL, prompts, out))
            lost[name].append(reports.measure(out) | {"layers": sum(layer_errors(held_out.MODEL, out, tokens))})
        lost["rounded"].append(of_rounded | {"layers": sum(layer_errors(held_out.MODEL, rounded, tokens))})
    print(f"{method} harbor, {DRAWS[method]} draws of {SAMPLES} prompts; beside {label} with 95 % intervals:")
    for name, said in (("ours", "here"), ("theirs", label), ("rounded", "rounded")):
        mean = {key: statistics.geometric_mean(one[key] for one in lost[name]) for key in lost[name][0]}
        beside = "" if name == "theirs" else "; " + ", ".join(
            f"{said_of} {{:.3f}} x ({{:.3f}} to {{:.3f}})".format(*ratio_of(key, lost[name], lost["theirs"])) for key, said_of in JUDGED.items())
        print(f"  {said}: KL divergence of reports {mean['mean']:.6f}, median {mean['median']:.6f}, of answers {mean['answers']:.7f}, "
              f"perplexity of answers {mean['perplexity']:.5f}{beside}", flush=True)
    layers = DRAWS[method] * AutoConfig.from_pretrained(held_out.MODEL).num_hidden_layers
    print(f"  processor seconds a layer: {seconds['ours'] / layers:.2f}, {label} {seconds['theirs'] / layers:.2f}", flush=True)
    passed = {"median", "layers"} - refused(lost["rounded"], lost["theirs"])
    return [f"{method} harbor: {JUDGED[key]} does not tell {label} from rounding" for key in passed] + [
        f"{method} harbor: {JUDGED[key]} is more than {label}'s" for key in refused(lost["ours"], lost["theirs"])]


def refused(lost, theirs):
    """What is surely more than MOST x the reference's."""
    found = set()
    for key in JUDGED:
        middle, low, high = ratio_of(key, lost, theirs)
        if high / middle > WIDEST:
            sys.exit(f"{JUDGED[key]} is {low:.2f} to {high:.2f} x the reference's: too wide to tell, take more draws")
        if low > MOST:
            found.add(key)
    return found


def on_random(method, family):
    model, prompts, label = WORK / family, WORK / "random.jsonl", LABELS[method]
    random_model(family, model)
    write_prompts(prompts)
    tokens = tokens_of(model, prompts)
    ours, theirs = target("ours", method), target("theirs", method)
    seconds = by_engine(ENGINE, OURS[method], model, prompts, ours), PEERS[method](ENGINE, model, prompts, theirs)
    errors, peer_errors = layer_errors(model, ours, tokens), layer_errors(model, theirs, tokens)
    ratio = sum(errors) / sum(peer_errors)  # a single layer's differ by chance, a few percent either way
    print(f"{method} {family}: errors of layers' outputs {', '.join(f'{e:.6f}' for e in errors)}, {label} "
          f"{', '.join(f'{e:.6f}' for e in peer_errors)}, {ratio:.4f} x; {seconds[0] / len(errors):.2f} processor seconds a layer, "
          f"{label} {seconds[1] / len(errors):.2f}", flush=True)
    shutil.rmtree(model)
    return [f"{method} {family}: {ratio:.4f} x {label}"] if ratio > MOST else []


def main():
    logging.disable_progress_bar()
    wrong = []
    if not ONLY or "harbor" in ONLY:
        reports = held_out.HeldOut(ENGINE, WORK)
        for method in WANTED:
            wrong += on_harbor(method, reports)
    for method in (one for one in WANTED if one != "gguf"):  # whose bytes are llama.cpp's: interop/llamacpp_quantize
        for family in (one for one in FAMILIES if not ONLY or one in ONLY):
            wrong += on_random(method, family)
    if wrong:
        sys.exit("worse than the reference:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
