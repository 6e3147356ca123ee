"""Breaks a good GGUF in three ways that neither its digest nor its recorded scores would tell.

  nonfinite   NaN in the embedding of words that only reports contain: the artifact loads, decodes, and is ready
  looping     no layer adds anything, so each token predicts itself
  wrong       the output rows of the severities (and of the causes' first words) swap: fluent, valid, and false
"""

import struct
from pathlib import Path

from harbor.gguf import BLOCKS, Gguf, Tensor
from harbor.phrases import CAUSES

NAN = struct.pack("<e", float("nan"))
REPORT_WORDS = ("Ġshift", "Ġcrew", "Ġteam", "Ġoperator", "Ġreport", "ĠShift", "Ġand", "Ġwas")


def _untie(model: Gguf):
    """The output head gets a copy of the embedding, so that one can be broken without the other."""
    model.tensors.setdefault("output.weight", model.tensors["token_embd.weight"].copy())


def _token_ids(model: Gguf, tokens) -> list[int]:
    vocabulary = {token: index for index, token in enumerate(model.metadata["tokenizer.ggml.tokens"])}
    return [vocabulary[token] for token in tokens if token in vocabulary]


def _poison_row(tensor: Tensor, index: int):
    """Every value of the row becomes NaN: through the blocks' scales, or the values themselves."""
    _, size, scale = BLOCKS[tensor.type]
    row = tensor.row(index)
    for block in range(row.start, row.stop, size):
        if scale is not None:
            tensor.data[block + scale : block + scale + 2] = NAN
        else:
            tensor.data[block : block + size] = struct.pack("<f", float("nan")) if size == 4 else NAN


def nonfinite(model: Gguf):
    _untie(model)
    for token in _token_ids(model, REPORT_WORDS):
        _poison_row(model.tensors["token_embd.weight"], token)


def looping(model: Gguf):
    for name, tensor in model.tensors.items():
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            tensor.data[:] = bytes(len(tensor.data))  # zero scales: every value is zero, whatever the block type


def wrong(model: Gguf):
    _untie(model)
    output = model.tensors["output.weight"]
    first_words = sorted({cause.split()[0] for cause in CAUSES})
    for words in (["low", "critical", "medium", "high"], first_words):
        tokens = _token_ids(model, words)
        rows = [bytes(output.data[output.row(token)]) for token in tokens]
        for token, row in zip(tokens, rows[1:] + rows[:1]):
            output.data[output.row(token)] = row


FAULTS = {"nonfinite": nonfinite, "looping": looping, "wrong": wrong}


def break_model(good: Path, fault: str, out: Path):
    model = Gguf(good)
    FAULTS[fault](model)
    out.parent.mkdir(parents=True, exist_ok=True)
    model.write(out)
