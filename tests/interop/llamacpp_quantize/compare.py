"""See run. Usage: compare.py STEPDOWN_ENGINE LLAMA_QUANTIZE LLAMA_IMATRIX WORK_FOLDER [harbor|MODEL.gguf…]"""
import itertools
import json
import math
import pathlib
import shutil
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
HARBOR = ROOT / "examples/harbor-analytics"
PRESETS = "Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 Q3_K_L Q3_K_M Q3_K_S Q2_K IQ4_NL IQ4_XS".split()
WIDE_PRESETS = "Q6_K Q5_K_M Q4_K_M Q3_K_M Q2_K IQ4_XS".split()  # between them every type with blocks of 256
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


class Gguf:
    """Tensors of a file by name: type and bytes up to the next one."""

    def __init__(self, path):
        self.bytes, self.at = path.read_bytes(), 8
        tensors, keys = self.scalar("Q"), self.scalar("Q")
        alignment = 32
        for _ in range(keys):
            key = self.text()
            value = self.value(self.scalar("I"))
            alignment = value if key == "general.alignment" else alignment
        rows = []
        for _ in range(tensors):
            name = self.text()
            shape = [self.scalar("Q") for _ in range(self.scalar("I"))]
            rows.append((name, tuple(shape), self.scalar("I"), self.scalar("Q")))
        start = math.ceil(self.at / alignment) * alignment
        ends = sorted(row[3] for row in rows) + [len(self.bytes) - start]
        self.tensors = {name: (shape, kind, self.bytes[start + offset:start + ends[ends.index(offset) + 1]].rstrip(b"\0"))
                        for name, shape, kind, offset in rows}

    def scalar(self, form):
        (value,) = struct.unpack_from("<" + form, self.bytes, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def text(self):
        length = self.scalar("Q")
        self.at += length
        return self.bytes[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout[-500:]}{done.stderr[-2000:]}")


def compare(engine, peer, work, model, preset, imatrix):
    ours, theirs = work / "ours.gguf", work / "theirs.gguf"
    call(engine, "quantize", "--model", model, "--method", "gguf", "--preset", preset, "--out", ours,
         *(["--imatrix", imatrix] if imatrix else []))
    call(peer, *(["--imatrix", imatrix] if imatrix else []), model, theirs, preset, 2)
    left, right = Gguf(ours).tensors, Gguf(theirs).tensors
    different = [name for name in right if left.get(name) != right[name]]
    ours.unlink()
    theirs.unlink()
    return [] if left.keys() == right.keys() and not different else different or ["other tensors"]


def wide_models(engine, work):
    """Of every family, with rows that blocks of 256 fill."""
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1}
    for family in ("mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3", "phi3", "granite", "olmo2", "smollm3"):
        folder, model = work / family, work / f"{family}-wide.gguf"
        more = {"num_local_experts": 8} if family == "mixtral" else {"moe_intermediate_size": 256} if family == "qwen3_moe" else {}
        call(sys.executable, ROOT / "tests/bench/random_checkpoint.py", family, folder, *(f"{key}={value}" for key, value in (sizes | more).items()))
        call(engine, "convert", "--model", folder, "--out", model)
        shutil.rmtree(folder)
        yield model
        model.unlink()


def with_their_imatrix(engine, peer, peer_imatrix, work):
    """The Harbor model with the importance that llama-imatrix computed of its prompts; answers how many files differ."""
    model, text, imatrix, failed = work / "harbor.gguf", work / "harbor.txt", work / "theirs-imatrix.gguf", 0
    call(engine, "convert", "--model", HARBOR / "model", "--out", model)
    prompts = [json.loads(line) for line in (HARBOR / "data/heldout.jsonl").read_text().splitlines()[:40]]
    text.write_text("\n\n".join(prompt["messages"][0]["content"] for prompt in prompts))
    call(peer_imatrix, "-m", model, "-f", text, "-o", imatrix, "-c", 256, "-t", 2)
    for preset in PRESETS:
        different = compare(engine, peer, work, model, preset, imatrix)
        failed += bool(different)
        if different:
            print(f"harbor {preset} with llama-imatrix's importance: {', '.join(different)}")
    print(f"harbor: {len(PRESETS)} presets with llama-imatrix's importance", flush=True)
    return failed


def main(engine, peer, peer_imatrix, work, *models):
    work = pathlib.Path(work)
    failed = with_their_imatrix(engine, peer, peer_imatrix, work) if not models or "harbor" in models else 0
    models = [model for model in models if model != "harbor"] if models else None
    # Of files that llama.cpp's converter wrote rows are short: there the types that stand in are compared.
    converted = sorted((ROOT / "tests/goldens/llamacpp").glob("*.gguf"))
    for model in map(pathlib.Path, models) if models is not None else itertools.chain(converted, wide_models(engine, work)):
        prompts = work / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"text": f"prompt {i}: " + "the quick brown fox " * (i % 5 + 1)}) + "\n" for i in range(16)))
        imatrix = work / "imatrix.gguf"
        call(engine, "quantize", "--model", model, "--method", "gguf", "--preset", "Q4_0", "--calibration", prompts,
             "--imatrix-out", imatrix, "--out", work / "informed.gguf")
        presets = WIDE_PRESETS if model.stem.endswith("-wide") else PRESETS
        for preset in presets:
            for informed in (None, imatrix):
                different = compare(engine, peer, work, model, preset, informed)
                failed += bool(different)
                if different:
                    print(f"{model.name} {preset}{' with importance' if informed else ''}: {', '.join(different)}")
        print(f"{model.name}: {len(presets)} presets with and without importance", flush=True)
        (work / "informed.gguf").unlink()
        imatrix.unlink()
    if failed:
        sys.exit(f"{failed} files differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
