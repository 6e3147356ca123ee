"""Seeded synthetic incidents: a report as lines of text, and the answer it calls for.

Training and held-out incidents share words and nothing else: sentence frames, pairs of phrases, places, numbers,
shifts and sites are split, and `unseen_words` shows that no held-out text needs a word training lacks.
"""

import json
import random
import re
from dataclasses import dataclass

from harbor import phrases


@dataclass(frozen=True)
class Incident:
    id: str
    title: str
    fields: tuple[str, ...]  # the header, in reading order
    body: str
    footer: str
    answer: dict

    @property
    def text(self) -> str:
        """What pdftotext gives for the report, whitespace collapsed."""
        return normalize(" ".join([self.title, *self.fields, self.body, self.footer]))


def normalize(text: str) -> str:
    return " ".join(text.split())


def answer_json(answer: dict) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _reserved(number: int) -> bool:
    """Whether a number (or any index) belongs to the held-out side."""
    return number % 7 == 3


def _number(rng: random.Random, low: int, high: int, held_out: bool) -> int:
    while True:
        number = rng.randint(low, high)
        if _reserved(number) == held_out:
            return number


def _pair(rng: random.Random, first: list, second: list, held_out: bool) -> tuple[str, str]:
    while True:
        i, j = rng.randrange(len(first)), rng.randrange(len(second))
        if ((i + j) % 10 == 7) == held_out:
            return first[i], second[j]


def _combination(rng: random.Random, first: list, second: list, held_out: bool) -> str:
    while True:
        i, j = rng.randrange(len(first)), rng.randrange(len(second))
        if _reserved(i + 3 * j) == held_out:
            return f"{first[i]} {second[j]}"


def _sentence(text: str) -> str:
    """Capitals where sentences begin."""
    return re.sub(r"(^|[.!?] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)


def _training_sentences(rng: random.Random) -> list[str]:
    sentences = [
        "".join(map(rng.choice, (phrases.CAUSE_OPENINGS, phrases.CAUSE_VOICES, phrases.CAUSE_CLOSINGS))) + ".",
        rng.choice(phrases.SEVERITY_OPENINGS) + rng.choice(phrases.SEVERITY_FRAMES).format(
            **dict(zip(("first", "second"), rng.sample(["{people}", "{work}"], 2)))),
    ]
    if rng.random() < 0.3:
        sentences.reverse()
    for _ in range(rng.choice([0, 1, 1, 2, 2])):
        neutral = (rng.choice(phrases.NEUTRAL) if rng.random() < 0.5 else
                   f"{rng.choice(phrases.NEUTRAL_SUBJECTS)} {rng.choice(phrases.NEUTRAL_VERBS)}.")
        sentences.insert(rng.randint(0, len(sentences)), neutral)
    return sentences


def _held_out_sentences(rng: random.Random) -> list[str]:
    sentences = [rng.choice(phrases.HELD_OUT_CAUSE_FRAMES), rng.choice(phrases.HELD_OUT_SEVERITY_FRAMES)]
    if rng.random() < 0.2:
        sentences.reverse()
    for neutral in rng.sample(phrases.HELD_OUT_NEUTRAL, rng.choice([0, 1, 1, 2])):
        sentences.insert(rng.randint(0, len(sentences)), neutral)
    return sentences


def training_frames() -> set[str]:
    """Every sentence frame that training can put together."""
    cause = {f"{opening}{voice}{closing}." for opening in phrases.CAUSE_OPENINGS for voice in phrases.CAUSE_VOICES
             for closing in phrases.CAUSE_CLOSINGS}
    severity = {opening + frame.format(first=first, second=second) for opening in phrases.SEVERITY_OPENINGS
                for frame in phrases.SEVERITY_FRAMES
                for first, second in (("{people}", "{work}"), ("{work}", "{people}"))}
    neutral = {f"{subject} {verb}." for subject in phrases.NEUTRAL_SUBJECTS for verb in phrases.NEUTRAL_VERBS}
    return {_sentence(frame) for frame in cause | severity | neutral | set(phrases.NEUTRAL)}


def _layout(rng: random.Random, values: dict) -> tuple[str, tuple[str, ...], str]:
    """Title, header lines and footer of one of the forms in use."""
    forms = [
        ("INCIDENT REPORT",
         ("Site: {site}", "Place: {place}", "Unit: {unit}", "Shift: {shift}", "Time: {time}"),
         "Form {number} - Harbor Analytics"),
        ("Internal memo",
         ("To: Safety desk", "From: {shift} shift, {site}", "Subject: incident at {place}, unit {unit}"),
         "Memo {number}"),
        ("{site}",
         ("Report {number}", "Unit {unit}", "Place {place}", "Shift {shift}"),
         "Page 1 of 1"),
        ("Safety report {number}",
         ("Location and unit", "{place} / {unit}", "Date and time", "{shift} / {time}"),
         "{site} - for internal use"),
    ]
    title, fields, footer = rng.choice(forms)
    return title.format(**values), tuple(f.format(**values) for f in fields), footer.format(**values)


def incident(seed: int, index: int, held_out: bool) -> Incident:
    rng = random.Random(f"{seed}/{index}/{held_out}")
    cause = rng.choice(list(phrases.CAUSES))
    severity = rng.choice(list(phrases.SEVERITIES))
    values = {
        "place": f"{rng.choice(phrases.PLACES)} {_number(rng, 1, 99, held_out)}",
        "unit": f"{rng.choice(phrases.UNITS)}-{_number(rng, 100, 999, held_out)}",
        "site": _combination(rng, phrases.SITE_FIRST, phrases.SITE_SECOND, held_out),
        "shift": _combination(rng, phrases.WEEKDAYS, phrases.SHIFT_PARTS, held_out),
        "time": f"{rng.randint(0, 23):02d}:{_number(rng, 0, 59, held_out):02d}",
        "number": str(_number(rng, 1000, 9999, held_out)),
    }
    values["cause"] = " ".join(_pair(rng, *phrases.CAUSES[cause], held_out))
    values["people"], values["work"] = _pair(rng, *phrases.SEVERITIES[severity], held_out)

    sentences = _held_out_sentences(rng) if held_out else _training_sentences(rng)
    body = " ".join(_sentence(sentence.format(**values)) for sentence in sentences)

    repair, after_mild, after_grave = phrases.REMEDIES[cause]
    answer = {
        "severity": severity,
        "root_cause": cause,
        "recommendations": [
            phrases.CONTAINMENT[severity].format(**values),
            repair.format(**values),
            after_mild if severity in ("low", "medium") else after_grave,
        ],
    }
    title, fields, footer = _layout(rng, values)
    prefix = "heldout" if held_out else "train"
    return Incident(f"{prefix}-{seed}-{index:05d}", title, fields, body, footer, answer)


def unseen_words(samples: int = 3000, seed: int = 1) -> set[str]:
    """Words of held-out incidents that no training incident has; empty when the split is as it should be."""
    def words(held_out: bool) -> set[str]:
        texts = (incident(seed, index, held_out).text for index in range(samples))
        return {word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text)}
    return words(True) - words(False)
