"""Subtitles of films that nobody ever spoke, as the files that people have, and the dialogues read from them."""

import random

ENGLISH = ["Where have you been all this time?", "I was waiting for the rain to stop.", "You could have called me."]


def clock(second):
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02},000"


def film(n_cues=120, sentences=ENGLISH, silence_every=12):
    """A cue of a second every two seconds, and ten seconds of silence now and then.

    Its sentences are too short to tell it from another film."""
    cues, second = [], 0
    for number in range(n_cues):
        second += 10 if number % silence_every == 0 else 2
        text = f"{sentences[number % len(sentences)]}"
        cues.append(f"{number + 1}\n{clock(second)} --> {clock(second + 1)}\n{text}\n")
    return "\n".join(cues)


def long_film(seed: int, n_cues=120) -> str:
    draw = random.Random(seed)
    who = ["my mother", "the doctor", "your brother", "nobody here", "the old man", "a stranger", "that girl"]
    what = ["wanted to know about", "never talked about", "forgot", "was looking for", "could not believe in"]
    lines = [
        f"{draw.choice(who).capitalize()} {draw.choice(what)} {draw.choice(who)} and number {draw.random():.6f}"
        for _ in range(n_cues)
    ]
    return film(n_cues, [f"{line.translate(str.maketrans('.0123456789', ' abcdefghij'))}, is there." for line in lines])


def xml(sentences: list[str], tokenized=True) -> bytes:
    lines, second = [], 0
    for number, sentence in enumerate(sentences, start=1):
        second += 10 if number % 12 == 1 else 2
        words = "".join(f'<w id="{number}.{i}">{word}</w>\n' for i, word in enumerate(sentence.split(), start=1))
        start, end = (
            f'<time id="T{number}{kind}" value="{clock(at)}" />' for kind, at in (("S", second), ("E", second + 1))
        )
        lines.append(f'<s id="{number}">\n{start}\n{words if tokenized else sentence}\n{end}\n</s>')
    return f'<?xml version="1.0" encoding="utf-8"?>\n<document id="1">\n{"".join(lines)}\n</document>'.encode()


def lines_of_text(count: int) -> bytes:
    return "".join(f"{sentence} {number}\n" for number in range(count // 3) for sentence in ENGLISH).encode()


def rows(dataset) -> dict:
    return {split: part.to_list() for split, part in dataset.items()}


def texts_of(dataset) -> list[str]:
    return [text for part in dataset.values() for texts in part["utterances"] for text in texts]
