"""The form of a dialogue, as every reader returns it and every corpus builds it."""

from typing import Any, NamedTuple


class Utterance(NamedTuple):
    """One utterance as published.

    `where` is its file and line, for messages. `start` and `end` are seconds from the start of a recording, or dates in
    ISO 8601, as in chat messages. In a file with one utterance per row, `row` is the number of the row, from 0, and
    `extra` has its other columns. `votes` is the number of annotators who chose each label, if the corpus publishes it.
    An annotator who chose two labels counts half for each.
    """

    text: str
    speaker: str = ""
    label: str | None = None
    where: str = ""
    start: float | str | None = None
    end: float | str | None = None
    extra: dict[str, Any] | None = None
    row: int | None = None
    votes: dict[str, float] | None = None


class Dialogue(NamedTuple):
    """A dialogue, with the negatives for Conversation Completion if the corpus publishes them.

    `extra` has the other information in the file about the dialogue as a whole.
    """

    dialogue_id: str
    utterances: list[Utterance]
    negatives: list[str] | None = None
    extra: dict[str, Any] | None = None
