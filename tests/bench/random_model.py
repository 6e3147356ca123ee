"""Writes a llama-architecture GGUF of 320 M random F16 weights with another file's vocabulary.

random_model.py VOCABULARY.gguf OUT.gguf
"""
import sys

import gguf
import numpy

HIDDEN, FEED_FORWARD, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 1024, 2816, 24, 16, 4, 64
SPREAD = 0.02  # of trained models' weights, so that activations stay in range


def main(vocabulary, out):
    random = numpy.random.default_rng(0)
    fields = gguf.GGUFReader(vocabulary).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"].contents())
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"].contents())
    writer.add_token_list(tokens)
    writer.add_token_types(fields["tokenizer.ggml.token_type"].contents())
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"].contents())
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"].contents())

    def weights(name, *shape):
        values = random.standard_normal(shape, dtype=numpy.float32) * SPREAD
        writer.add_tensor(name + ".weight", values.astype(numpy.float16))

    def norm(name):
        writer.add_tensor(name + ".weight", numpy.ones(HIDDEN, numpy.float32))

    weights("token_embd", len(tokens), HIDDEN)
    norm("output_norm")
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm")
        norm(f"blk.{layer}.ffn_norm")
        weights(f"blk.{layer}.attn_q", HEADS * HEAD_DIM, HIDDEN)
        weights(f"blk.{layer}.attn_k", KV_HEADS * HEAD_DIM, HIDDEN)
        weights(f"blk.{layer}.attn_v", KV_HEADS * HEAD_DIM, HIDDEN)
        weights(f"blk.{layer}.attn_output", HIDDEN, HEADS * HEAD_DIM)
        weights(f"blk.{layer}.ffn_gate", FEED_FORWARD, HIDDEN)
        weights(f"blk.{layer}.ffn_up", FEED_FORWARD, HIDDEN)
        weights(f"blk.{layer}.ffn_down", HIDDEN, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(*sys.argv[1:])
