#!/usr/bin/env python3
"""Writes the tokenizer goldens: small vocabularies trained here, and what Hugging Face's `tokenizers` and
`sentencepiece` make of the same texts.

    pip install tokenizers sentencepiece gguf
    ./make_tokenizer_goldens.py                              # rewrites the committed files beside this script
    ./make_tokenizer_goldens.py --gguf MODEL.gguf --out FILE # a real model's vocabulary; test it with
                                                             # STEPDOWN_TOKENIZER_GOLDEN=FILE
"""
import argparse
import io
import json
import pathlib

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "",
    " ",
    "Hello, world!",
    "Hello  world   with    runs of spaces   ",
    "I'm sure they'll say it's what we've done; you'd agree. I'M SURE THEY'LL AGREE.",
    "In 2024 there were 1234567 ships, 3.14159 and 1e-9 of them adrift; ½ Ⅷ ٣٤٥ 一二三.",
    "\n\nnew\nlines\r\nand\ttabs\t\t end\n",
    "def f(x: int) -> str:\n    return f\"{x!r}\"  # comment\n\n\nclass A:\n\tpass\n",
    "{\"severity\": \"high\", \"actions\": [\"a\", \"b\"], \"n\": -1.5e+3, \"ok\": true}",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] << 2; } // C++20 && templates<T>",
    "Größe, naïve façade, Ærøskøbing, Đà Nẵng, Kraków, İstanbul, ſtraße",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Η γρήγορη καφέ αλεπού πηδάει πάνω από το σκυλί",
    "敏捷的棕色狐狸跳过了懒狗。日本語のテキストです。한국어 문장입니다.",
    "السلام عليكم ورحمة الله وبركاته، كيف حالك؟",
    "नमस्ते दुनिया, यह एक परीक्षण है। ไม่มีช่องว่างระหว่างคำ",
    "Emoji: 😀😃 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ❤️ 🇩🇪 ☃",
    "zero\u200bwidth\u00a0no-break\u2003em\u3000ideographic\ufeffbom",
    "e\u0301 combining n\u0303, \U0001d54f\U0001d4ff math",
    "a" * 300,
    "=" * 80 + "\n" + "-" * 41 + "  \n",
    "<|im_start|>user\nWhat is <|im_end|> here?<|im_end|>\n<|im_start|>assistant\n",
    "not special: <|im_star|> <|im_end| > |im_end|>",
    "https://example.org/a/b?c=d&e=f#g user@example.org C:\\path\\to\\file.txt",
    "  leading, and   inner  spaces\u2581with the SentencePiece mark",
    "Mixed\u0007control\u0000bytes\u001bhere\u007f",
]
CORPUS = TEXTS + [
    "The night shift reports that the pump on deck two has failed again and that the crew will need the spare.",
    "Severity high: the root cause is a worn seal; recommend replacing it, testing it and reporting within a day.",
    "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all",
] * 3


def pre_tokenizer(pre):
    level = lambda use_regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    split = lambda regex: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), level(False)])
    return {
        "gpt-2": level(True),
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level(True)]),
        "llama-bpe": split(LLAMA3),
        "qwen2": split(QWEN2),
    }[pre]


def bpe_golden(pre, vocab, merges, control):
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    tokens = sorted(vocab, key=vocab.get)
    plain = [{"text": t, "special": False, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in TEXTS]
    tokenizer.add_special_tokens([AddedToken(c, normalized=False, special=True) for c in control])
    special = [{"text": t, "special": True, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in TEXTS if "<|" in t]
    return {
        "model": "bpe", "pre": pre, "tokens": tokens, "types": [3 if t in control else 1 for t in tokens],
        "merges": [" ".join(m) for m in merges], "cases": plain + special,
    }


def trained_bpe(pre):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(pre)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=CONTROL, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return bpe_golden(pre, model["vocab"], [tuple(m) for m in model["merges"]], CONTROL)


def trained_sentencepiece():
    out = io.BytesIO()
    # Lossless: no NFKC, no stripping of spaces, as Llama's model.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in CORPUS for line in text.split("\n") if line and "\0" not in line]), model_writer=out,
        model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, character_coverage=0.99, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    ids = range(model.get_piece_size())
    kind = lambda i: 2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
    return {
        "model": "sentencepiece", "pre": "", "addSpacePrefix": True, "tokens": [model.id_to_piece(i) for i in ids],
        "types": [kind(i) for i in ids], "scores": [model.get_score(i) for i in ids], "merges": [],
        "cases": [{"text": t, "special": False, "ids": model.encode(t)} for t in TEXTS],
    }


def gguf_golden(path):
    import gguf
    fields = gguf.GGUFReader(path).fields
    content = lambda name: fields["tokenizer.ggml." + name].contents()
    tokens, types = content("tokens"), content("token_type")
    return bpe_golden(content("pre"), {t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in content("merges")],
                      [t for t, kind in zip(tokens, types) if kind == 3])


def write(path, golden):
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(path, len(golden["tokens"]), "tokens,", len(golden["cases"]), "cases")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gguf")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.gguf:
        write(arguments.out, gguf_golden(arguments.gguf))
    else:
        for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2"]:
            write(HERE / f"{pre}.json", trained_bpe(pre))
        write(HERE / "sentencepiece.json", trained_sentencepiece())
