#!/usr/bin/env python3
"""Writes tests/goldens/llamacpp: tiny random models of every architecture as llama.cpp's own converter stores them, and what
transformers computes from the same weights and its tokenizers make of a text. Needs what make_models.py needs, sentencepiece,
and llama.cpp's tree, as PyPI's source of llama-cpp-python 0.3.36 carries it under vendor/:

    python3 tests/goldens/runtime/make_llamacpp_files.py LLAMA.CPP [CASE…]
"""
import importlib
import json
import pathlib
import sys
import tempfile

import sentencepiece
import tokenizers
import torch
import transformers

import make_models

OUT = pathlib.Path(__file__).parents[1] / "llamacpp"
VOCAB = 384  # all bytes and some merges
TEXT = "Die Ärztin naïvely paid 1234.5 €, didn't she?\n\n\tif (x >= 10) { return \"日本語\"; }  // 🚀🦊 Ωμέγα  end"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITS = {"llama-bpe": LLAMA3, "dbrx": LLAMA3, "smaug-bpe": LLAMA3, "qwen2": LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"), "gpt-4o": GPT4O}
SENTENCEPIECE = "llama"
PLAIN = {key: value for key, value in make_models.SMALL.items() if key != "head_dim"}
# What llama.cpp's files leave out is as its programs assume it: Gemma scales by the head's length and slides by its own pattern.
GEMMA = dict(make_models.SMALL, query_pre_attn_scalar=16, sliding_window=16)
LONG = {"type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.7], "long_factor": [1.0, 1.5, 3.0, 7.0]}
CASES = {
    "llama": ("Llama", dict(make_models.SMALL, rope_scaling=make_models.LLAMA3), "llama-bpe"),
    "llama_yarn": ("Llama", make_models.CASES["yarn_rope"][1], "smaug-bpe"),
    "mistral": ("Mistral", dict(make_models.SMALL, sliding_window=None), SENTENCEPIECE),
    "mixtral": ("Mixtral", make_models.CASES["mixtral"][1], SENTENCEPIECE),
    "qwen2": ("Qwen2", PLAIN, "qwen2"),
    "qwen3": ("Qwen3", make_models.SMALL, "qwen2"),
    "qwen3moe": ("Qwen3Moe", make_models.CASES["qwen3_moe"][1], "qwen2"),
    "gemma2": ("Gemma2", dict(GEMMA, attn_logit_softcapping=4.0, final_logit_softcapping=6.0), SENTENCEPIECE),
    "gemma3": ("Gemma3Text", dict(GEMMA, num_hidden_layers=6, rope_theta=1000000.0, rope_scaling={"rope_type": "linear", "factor": 8.0}),
               SENTENCEPIECE),
    "phi3": ("Phi3", dict(PLAIN, sliding_window=40, original_max_position_embeddings=128), SENTENCEPIECE),
    "phi3_long": ("Phi3", dict(PLAIN, partial_rotary_factor=0.5, rope_scaling=LONG, original_max_position_embeddings=32), "gpt-4o"),
    "granite": ("Granite", make_models.CASES["granite"][1], "refact"),
    "olmo2": ("Olmo2", PLAIN, "dbrx"),
    "smollm3": ("SmolLM3", dict(PLAIN, num_hidden_layers=4), "smaug-bpe"),
}


def corpus():
    yield TEXT
    yield pathlib.Path(__file__).read_text()


def write_bpe(folder, pre):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    bytes_alone = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre not in SPLITS)
    first = (tokenizers.pre_tokenizers.Split(tokenizers.Regex(SPLITS[pre]), "isolated") if pre in SPLITS
             else tokenizers.pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([first, bytes_alone])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), tokenizers.trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|end|>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.save(str(folder / "tokenizer.json"))
    kind = "GPT2Tokenizer" if pre == "gpt-4o" else "PreTrainedTokenizerFast"  # by which the converter tells Phi 4 from Phi 3
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": kind, "bos_token": "<|end|>", "eos_token": "<|end|>", "unk_token": "<|end|>"}))
    return tokenizer.encode(TEXT).ids


def write_sentencepiece(folder, dummy_prefix):
    text = folder / "corpus.txt"
    text.write_text("\n".join(corpus()))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=VOCAB, model_type="bpe", byte_fallback=True, hard_vocab_limit=False,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=dummy_prefix, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        minloglevel=2)
    text.unlink()
    return sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model")).encode(TEXT)


def convert(folder, target, pre):
    """As convert_hf_to_gguf.py does; only that a tokenizer nobody published has no hash there, so its name is told."""
    conversion = importlib.import_module("conversion")
    base = importlib.import_module("conversion.base")
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
    hparams = base.ModelBase.load_hparams(folder, False)
    kind = conversion.get_model_class(base.get_model_architecture(hparams, base.ModelType.TEXT))
    with torch.inference_mode():
        kind(folder, base.gguf.LlamaFileType.MOSTLY_F16, target, model_name="golden").write()


def main(llama_cpp, *chosen):
    sys.path[:0] = [llama_cpp, llama_cpp + "/gguf-py"]
    OUT.mkdir(exist_ok=True)
    for seed, (name, (family, shape, pre)) in enumerate(CASES.items()):
        if chosen and name not in chosen:
            continue
        torch.manual_seed(1000 + seed)
        model, golden = make_models.random_model(family, shape, VOCAB)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model.half().save_pretrained(folder)
            golden["text"] = TEXT
            golden["encoded"] = (write_sentencepiece(folder, not family.startswith("Gemma")) if pre == SENTENCEPIECE
                                 else write_bpe(folder, pre))
            convert(folder, OUT / f"{name}.gguf", pre)
        (OUT / f"{name}.json").write_text(json.dumps(golden) + "\n")
        print(name, (OUT / f"{name}.gguf").stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main(*sys.argv[1:])
