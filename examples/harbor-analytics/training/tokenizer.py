"""Byte-level BPE over the incidents, with digits one by one so that numbers can be copied."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from harbor.incidents import answer_json, incident

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def prompt_text(document: str) -> str:
    """The chat template above, for the one user message of this task."""
    return f"<|im_start|>user\n{document}<|im_end|>\n<|im_start|>assistant\n"


def train_tokenizer(seed: int, documents: int, vocabulary: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def corpus():
        for index in range(documents):
            one = incident(seed, index, held_out=False)
            yield one.text
            yield "user\n"
            yield "assistant\n"
            yield answer_json(one.answer)

    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def load(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
