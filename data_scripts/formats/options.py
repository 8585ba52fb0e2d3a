"""What a person may say about a file of dialogues: the names of its columns, its form, what to leave out."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .limits import Limits

# The option for a file with an utterance a row, and that for one with a dialogue a row.
PAIRS = {"text_column": "utterances_column", "speaker_column": "speakers_column", "label_column": "labels_column"}
COLUMNS = ["dialogue_column", *PAIRS, *PAIRS.values()]
ROWS, EMPTY = ("", "dialogue", "one"), ("", "skip")


@dataclass
class ReadingOptions(Limits):
    """How a file of dialogues is read. A column left at its default need not be there; one that is named must.

    Args:
        dialogue_column: the id of the dialogue; several columns with commas, `season,episode,scene`, make one id.
        text_column, speaker_column, label_column: in a file with an utterance a row.
        start_column, end_column: of the same, times in seconds or dates in ISO 8601.
        utterances_column, speakers_column, labels_column: in a file with a dialogue a row.
        rows: of a table without a column of dialogues: `dialogue` where every row is one, `one` where the file is.
        roles: of a chat with a model, those to read, as in `user,assistant`; by default all but a system's and a
            tool's.
        empty: `skip` leaves out utterances without a character, and counts them.
        max_silence: seconds without a word after which a new dialogue begins; 8 hours for messages with dates by
            default, never for recordings; `inf` is never.
        encoding: of text; detected by default.
        input_format: one of `data_scripts.formats.detection.FORMATS`; detected by default.
        max_unfolded, max_ratio, max_line: see [`Limits`].
    """

    dialogue_column: str = "dialogue_id"
    text_column: str = "text"
    speaker_column: str = "speaker"
    label_column: str = "label"
    start_column: str = "start"
    end_column: str = "end"
    utterances_column: str = "utterances"
    speakers_column: str = "speakers"
    labels_column: str = "labels"
    rows: str = ""
    roles: str = ""
    empty: str = ""
    max_silence: float | None = None
    encoding: str = ""
    input_format: str = ""

    def check(self) -> None:
        """ValueError for a value that no file could be read with."""
        for field in fields(ReadingOptions):
            value = getattr(self, field.name)
            if isinstance(field.default, str) and not isinstance(value, str):
                raise ValueError(f"option {field.name} must be a string; got {value!r}; put it in quotes")
        self.check_limits()
        for name, known in (("rows", ROWS), ("empty", EMPTY)):
            if getattr(self, name) not in known:
                choices = " or ".join(filter(None, known))
                raise ValueError(f"unknown option {name}; got {getattr(self, name)!r}; give {choices}")
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError:
            raise ValueError(f"unknown encoding; got {self.encoding!r}; give one like cp1252") from None
        try:
            is_time = self.max_silence is None or float(self.max_silence) > 0
        except (TypeError, ValueError):
            is_time = False
        if not is_time:
            raise ValueError(f"max_silence must be seconds, more than 0; got {self.max_silence!r}; give inf for never")

    def fitted(self, found: list[str]) -> "ReadingOptions":
        """With the columns `found` for those at their defaults that differ from them in case or white space alone."""
        options = {field.name: getattr(self, field.name) for field in fields(ReadingOptions)}
        for name in [*COLUMNS, "start_column", "end_column"]:
            alike = [column for column in found if column.strip().casefold() == options[name].casefold()]
            if not self.named(name) and options[name] not in found and len(alike) == 1:
                options[name] = alike[0]
        return ReadingOptions(**options)

    def dialogue_columns(self, found: list[str]) -> list[str]:
        """The columns that name a dialogue; one whose own name has a comma is one."""
        if self.rows:
            return []
        if self.dialogue_column in found:
            return [self.dialogue_column]
        return [name.strip() for name in self.dialogue_column.split(",")]

    def of_utterances(self, name: object, found: list[str]) -> list[str]:
        """What a table with an utterance a row and the columns `found` must have."""
        self.refuse(name, {other: own for own, other in PAIRS.items()})
        optional = self.named("speaker_column", "label_column", "start_column", "end_column")
        return [*self.dialogue_columns(found), self.text_column, *optional]

    def of_dialogues(self, name: object) -> list[str]:
        """What a table with a dialogue a row must have."""
        self.refuse(name, PAIRS)
        return [self.utterances_column, *self.named("dialogue_column", "speakers_column", "labels_column")]

    def refuse(self, name: object, others: Mapping[str, str | None]) -> None:
        """Refuse options for other forms of files, unless the option for this form is also set.

        Args:
            name: The name of the file, for the message.
            others: The option for this form by each option for another form; None if this form has no such option.

        Raises:
            ValueError: An option for another form is set without that for this form.
        """
        for other, own in others.items():
            if self.named(other) and not (own and self.named(own)):
                advice = f"give {own}" if own else "leave it out"
                raise ValueError(f"{name}: {other} is for another form of file; got {getattr(self, other)!r}; {advice}")

    def refuse_columns(self, name: object) -> None:
        """Refuse all names of columns, for a file that has none."""
        self.refuse(name, dict.fromkeys(COLUMNS))

    def named(self, *options: str) -> list[str]:
        defaults: dict[str, Any] = {field.name: field.default for field in fields(ReadingOptions)}
        return [getattr(self, option) for option in options if getattr(self, option) != defaults[option]]


def known_suffix(path: Path) -> str:
    """The suffix that tells the format. For a .gz file, the suffix before it comes first."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix + (".gz" if name.endswith(".gz") else "")
