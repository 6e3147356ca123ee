#!/usr/bin/env python3
"""Writes a random Llama of 0.2 M parameters as GGUF, with the vocabulary of the tokenizer goldens and a chat template.
Its answers are noise, which is enough to see whether the API keeps its promises. Usage: make_tiny_model.py OUT.gguf [nan]"""
import json
import pathlib
import sys

import gguf
import numpy

HIDDEN, FEED_FORWARD, LAYERS, HEADS, CONTEXT = 64, 128, 2, 2, 2048
ROOT = pathlib.Path(__file__).resolve().parents[3]
TEMPLATE = ("{% if tools %}<|im_start|>system\nCall tools as <tool_call>{\"name\": …, \"arguments\": …}</tool_call>: {{ tools | tojson }}<|im_end|>\n{% endif %}"
            "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def main(path, broken):
    vocabulary = json.loads((ROOT / "tests/unit/engine/tokenizer/goldens/smollm.json").read_text())
    random = numpy.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(vocabulary["tokens"]))
    writer.add_file_type(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary["pre"])
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["types"])
    writer.add_token_merges(vocabulary["merges"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)

    def matrix(name, rows, columns):
        values = random.normal(0, 0.5 / numpy.sqrt(columns), (rows, columns)).astype(numpy.float16)
        if broken and name == "blk.1.ffn_down.weight":
            values[:] = numpy.inf
        writer.add_tensor(name, values)

    def norm(name):
        writer.add_tensor(name, numpy.ones(HIDDEN, numpy.float32))

    matrix("token_embd.weight", len(vocabulary["tokens"]), HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        norm(block + "attn_norm.weight")
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"]:
            matrix(block + name + ".weight", HIDDEN, HIDDEN)
        norm(block + "ffn_norm.weight")
        matrix(block + "ffn_gate.weight", FEED_FORWARD, HIDDEN)
        matrix(block + "ffn_up.weight", FEED_FORWARD, HIDDEN)
        matrix(block + "ffn_down.weight", HIDDEN, FEED_FORWARD)
    norm("output_norm.weight")
    matrix("output.weight", len(vocabulary["tokens"]), HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1], len(sys.argv) > 2)
