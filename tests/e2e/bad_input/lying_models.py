"""Model files that tell lies, each made from a good one by one change."""

import json
import shutil
import struct


class Gguf:
    """Just enough of a reader to find where the values of a good file stand."""

    def __init__(self, path):
        self.bytes = path.read_bytes()

    def after(self, name):
        found = self.bytes.index(struct.pack("<Q", len(name)) + name.encode())
        return found + 8 + len(name)

    def key(self, name, code, value):
        """The file with another number behind a key."""
        return self._patched(self.after(name) + 4, struct.pack("<" + code, value))

    def rows(self, tensor, rows):
        return self._patched(self.after(tensor) + 4 + 8, struct.pack("<Q", rows))

    def moved(self, tensor, by):
        at = self.after(tensor) + 4 + 2 * 8 + 4
        (offset,) = struct.unpack_from("<Q", self.bytes, at)
        return self._patched(at, struct.pack("<Q", offset + by))

    def renamed(self, old, new):
        assert len(old) == len(new)
        return self.bytes.replace(old.encode(), new.encode())

    def _patched(self, at, value):
        return self.bytes[:at] + value + self.bytes[at + len(value):]


def gguf_lies(good, folder):
    """{what the error must name: file}"""
    file = Gguf(good)
    nan, negative = float("nan"), -1.0
    contents = {
        "llama.rope.freq_base': is nan": file.key("llama.rope.freq_base", "f", nan),
        "llama.rope.freq_base': is -1": file.key("llama.rope.freq_base", "f", negative),
        "rms_epsilon': is 0": file.key("llama.attention.layer_norm_rms_epsilon", "f", 0.0),
        "llama.block_count': is 4000000": file.key("llama.block_count", "I", 4000000),
        "llama.context_length': is 1000000000": file.key("llama.context_length", "I", 1000000000),
        "head_count_kv': does not divide": file.key("llama.attention.head_count_kv", "I", 3),
        "blk.0.ffn_": file.key("llama.feed_forward_length", "I", 512),
        "vocabulary of 1000": file.key("llama.vocab_size", "I", 1000),
        "token_embd.weight': has shape": file.rows("token_embd.weight", 100),
        "overlaps": file.moved("blk.0.ffn_up.weight", -32),
        "output_Norm.weight': does not belong": file.renamed("output_norm.weight", "output_Norm.weight"),
        "eos_token_id': is": file.key("tokenizer.ggml.eos_token_id", "I", 1 << 20),
        "pass the end of the file": file.bytes[: len(file.bytes) // 2],
    }
    return {says: _written(folder / f"lie-{i}.gguf", content) for i, (says, content) in enumerate(contents.items())}


def folder_lies(good, folder):
    """The same of a Hugging Face folder."""

    def changed(name, change):
        def spoil(copy):
            document = json.loads((copy / name).read_text())
            change(document)
            (copy / name).write_text(json.dumps(document))
        return spoil

    def config(**fields):
        return changed("config.json", lambda document: document.update(fields))

    def overlapping(copy):
        path = copy / "model.safetensors"
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        first, second = [name for name in header if name != "__metadata__"][:2]
        header[second]["shape"], header[second]["data_offsets"] = header[first]["shape"], header[first]["data_offsets"]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])

    spoilers = {
        "$.rope_theta: is -1": config(rope_theta=-1.0),
        "$.rope_theta: is 0": config(rope_theta=0),
        "$.rms_norm_eps: is 0": config(rms_norm_eps=0.0),
        "$.rope_scaling.factor: is -2": config(rope_scaling={"rope_type": "linear", "factor": -2.0}),
        "$.num_hidden_layers: is 100000": config(num_hidden_layers=100000),
        "its shape is not what config.json": config(intermediate_size=512),
        "does not divide": config(num_key_value_heads=3),
        "overlaps its neighbour": overlapping,
        "model.merges: merge": changed("tokenizer.json", lambda file: file["model"]["merges"].append(["zzq", "qzz"])),
        "beyond the vocabulary": changed("tokenizer.json", lambda file: file["model"]["vocab"].update(zzq=1 << 20)),
    }
    lies = {}
    for i, (says, spoil) in enumerate(spoilers.items()):
        copy = folder / f"lie-{i}"
        shutil.copytree(good, copy)
        spoil(copy)
        lies[says] = copy
    return lies


def _written(path, content):
    path.write_bytes(content)
    return path
