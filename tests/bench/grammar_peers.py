"""What xgrammar and llguidance need for the cases of `stepdown-engine bench grammar`.

grammar_peers.py MODEL.gguf CASES.json REPEATS OUT.json: JSON of {peer: {compile, cold, warm, accept: {count, mean, p50, p99, max}}} in
microseconds. A peer that is not installed is left out.
"""
import json
import pathlib
import sys
import time

import gguf
import numpy
import tokenizers


def read_tokenizer(path):
    fields = gguf.GGUFReader(path).fields
    get = lambda name: fields["tokenizer.ggml." + name].contents()
    if get("model") != "gpt2" or get("pre") not in ("smollm", "gpt-2"):
        raise SystemExit("give a model with SmolLM's or GPT-2's pre-tokenizer")
    tokens, merges, types = get("tokens"), get("merges"), get("token_type")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = [tokenizers.pre_tokenizers.Digits(individual_digits=True)] if get("pre") == "smollm" else []
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*digits, level])
    bpe.decoder = tokenizers.decoders.ByteLevel()
    bpe.add_special_tokens([tokenizers.AddedToken(token, special=True) for token, kind in zip(tokens, types) if kind == 3])
    return bpe, tokens, get("eos_token_id")


class LLGuidance:
    def __init__(self, bpe, tokens, end):
        import llguidance
        import llguidance.numpy
        self.module = llguidance
        self.tokenizer = llguidance.LLTokenizer(bpe.to_str(), eos_token=end)
        self.mask = llguidance.numpy.allocate_token_bitmask(1, self.tokenizer.vocab_size)
        self.fill_mask = llguidance.numpy.fill_next_token_bitmask

    def compile(self, schema):
        self.grammar = self.module.LLMatcher.grammar_from_json_schema(schema)
        return self.start()

    def start(self):
        matcher = self.module.LLMatcher(self.tokenizer, self.grammar)
        if matcher.is_error():
            raise RuntimeError(matcher.get_error())
        return matcher

    def fill(self, matcher):
        self.fill_mask(matcher, self.mask, 0)

    def accept(self, matcher, token):
        return matcher.consume_token(token)


class XGrammar:
    def __init__(self, bpe, tokens, end):
        import xgrammar
        self.module = xgrammar
        info = xgrammar.TokenizerInfo(tokens, xgrammar.VocabType.BYTE_LEVEL, stop_token_ids=[end])
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.mask = xgrammar.allocate_token_bitmask(1, len(tokens))

    def compile(self, schema):
        self.grammar = self.compiler.compile_json_schema(schema, any_whitespace=True, strict_mode=True)
        return self.start()

    def start(self):
        return self.module.GrammarMatcher(self.grammar)

    def fill(self, matcher):
        matcher.fill_next_token_bitmask(self.mask, 0)

    def accept(self, matcher, token):
        return matcher.accept_token(token)


def measure(peer, bpe, cases, repeats):
    times = {"compile": [], "cold": [], "warm": [], "accept": []}

    def timed(name, call):
        begun = time.perf_counter_ns()
        result = call()
        times[name].append((time.perf_counter_ns() - begun) / 1e3)
        return result

    refused = []
    for repeat in range(repeats):
        for case in cases:
            schema = json.dumps({**case["schema"], "$comment": f"repeat {repeat}"})
            try:
                timed("compile", lambda: peer.compile(schema))
            except Exception as error:
                if repeat == 0:
                    print(type(peer).__name__, "refuses", case["name"], str(error)[:200], file=sys.stderr)
                refused.append(case["name"])
                continue
            for name in ("cold", "warm"):
                for document in case["documents"]:
                    matcher = peer.start()
                    for token in bpe.encode(json.dumps(document, ensure_ascii=False, separators=(",", ":")), add_special_tokens=False).ids:
                        timed(name, lambda: peer.fill(matcher))
                        if not timed("accept", lambda: peer.accept(matcher, token)):
                            refused.append(case["name"])
                            break
    summary = {}
    for name, values in times.items():
        values = numpy.array(values)
        summary[name] = {"count": len(values), "mean": float(values.mean()), "p50": float(numpy.percentile(values, 50)),
                         "p99": float(numpy.percentile(values, 99)), "max": float(values.max())}
    return {**summary, "refused": sorted(set(refused))}


def main(model, cases, repeats, out):
    bpe, tokens, end = read_tokenizer(model)
    cases = json.loads(pathlib.Path(cases).read_text())
    results = {}
    for kind in (LLGuidance, XGrammar):
        try:
            peer = kind(bpe, tokens, end)
        except ImportError as error:
            print(f"{kind.__name__} is left out: {error}", file=sys.stderr)
            continue
        results[kind.__name__.lower()] = measure(peer, bpe, cases, int(repeats))
    pathlib.Path(out).write_text(json.dumps(results))


main(*sys.argv[1:])
