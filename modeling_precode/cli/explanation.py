"""The explanation of a label on a page: the probability without a word or another utterance."""

from collections.abc import Sequence
from dataclasses import dataclass

from .excerpts import Excerpt

MOST_CAUSES = 5
# Smaller changes of a probability are not shown. Changes from the second number on are shown at full strength.
SMALLEST_CHANGE = 0.01
FULL_CHANGE = 0.1


@dataclass
class Cause:
    """A word or another utterance that changes the probability of a label.

    Attributes:
        name: The word, or `utterance 3, Ana`.
        without: The probability of the label without it.
        change: The increase of the probability that it causes.
        href: A link to the utterance, if it is on this page.
        is_word: Whether it is a word.
    """

    name: str
    without: float
    change: float
    href: str
    is_word: bool


@dataclass
class Piece:
    """A part of the text of an utterance. A word for or against the label has a strength from 0 to 1."""

    text: str
    kind: str
    strength: float


@dataclass
class Explanation:
    """The causes for and against a label, the strongest first, the text in pieces, and the marks for the script.

    `marks` has the id, the change in points and the strength of each other utterance on the page that is a cause, such
    as `d1u2,+12,0.80`, separated by spaces.
    """

    supporting: list[Cause]
    opposing: list[Cause]
    pieces: list[Piece]
    marks: str


def explanation_of(excerpt: Excerpt, place: int) -> Explanation | None:
    """The explanation of the label of an utterance, from the result of the pipeline; None if there is none."""
    turn = excerpt.turns[place]
    found = turn.get("explanation")
    if not found:
        return None
    # Utterances are numbered within the whole dialogue, which may be on several pages.
    others = [
        (number, change)
        for number, change in enumerate(found["utterances"], start=1)
        if change is not None and abs(change) >= SMALLEST_CHANGE
    ]
    others = sorted(others, key=lambda other: -abs(other[1]))[:MOST_CAUSES]
    words = [word for word in found["words"] if abs(word["change"]) >= SMALLEST_CHANGE]
    full = max([FULL_CHANGE, *(abs(change) for _, change in others), *(abs(word["change"]) for word in words)])
    causes = [
        Cause(
            name_of_other(excerpt, number),
            score_without_cause(turn, change),
            change,
            href(excerpt, number),
            is_word=False,
        )
        for number, change in others
    ]
    for word in sorted(words, key=lambda word: -abs(word["change"]))[:MOST_CAUSES]:
        causes.append(Cause(word["word"], score_without_cause(turn, word["change"]), word["change"], "", is_word=True))
    causes.sort(key=lambda cause: -abs(cause.change))
    marks = [
        f"d{excerpt.number}u{number},{change * 100:+.0f},{abs(change) / full:.2f}"
        for number, change in others
        if href(excerpt, number)
    ]
    supporting, opposing = ([cause for cause in causes if (cause.change > 0) == is_for] for is_for in (True, False))
    return Explanation(supporting, opposing, pieces_of(turn["text"], words, full), " ".join(marks))


def score_without_cause(turn: dict, change: float) -> float:
    """The probability of the label without a cause, limited to 0 to 1 because of rounding."""
    return min(max(turn["score"] - change, 0.0), 1.0)


def name_of_other(excerpt: Excerpt, number: int) -> str:
    """The name of another utterance: `utterance 3, Ana`."""
    place = number - excerpt.first
    speaker = excerpt.turns[place].get("speaker", "") if 0 <= place < len(excerpt.turns) else ""
    return f"utterance {number:,}" + (f", {speaker}" if speaker else "")


def href(excerpt: Excerpt, number: int) -> str:
    """A link to an utterance, or "" if it is on another page."""
    return f"#d{excerpt.number}u{number}" if excerpt.first <= number <= excerpt.last else ""


def pieces_of(text: str, words: Sequence[dict], full: float) -> list[Piece]:
    """The text, cut at the beginning and the end of each word that is a cause."""
    pieces, position = [], 0
    for word in sorted(words, key=lambda word: word["start"]):
        start, end = max(word["start"], position), max(word["end"], position)
        pieces.append(Piece(text[position:start], "", 0.0))
        kind = "for" if word["change"] > 0 else "against"
        pieces.append(Piece(text[start:end], kind, abs(word["change"]) / full))
        position = end
    pieces.append(Piece(text[position:], "", 0.0))
    return [piece for piece in pieces if piece.text]
