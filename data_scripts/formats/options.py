"""Options for reading a file of dialogues: the names of its columns, its form, and what to leave out."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .limits import Limits

# Each option for files with one utterance per row, and its counterpart for files with one dialogue per row.
PAIRS = {"text_column": "utterances_column", "speaker_column": "speakers_column", "label_column": "labels_column"}
COLUMNS = ["dialogue_column", *PAIRS, *PAIRS.values()]
ROWS, EMPTY = ("", "dialogue", "one"), ("", "skip")


@dataclass
class ReadingOptions(Limits):
    """Options for reading a file of dialogues.

    A column with its default name is optional. A column that is set to another name must exist.

    Args:
        dialogue_column: The column with the id of the dialogue. Several columns, separated by commas as in
            `season,episode,scene`, form one id.
        text_column, speaker_column, label_column: The columns of a file with one utterance per row.
        start_column, end_column: The columns of such a file with the times, in seconds or as dates in ISO 8601.
        utterances_column, speakers_column, labels_column: The columns of a file with one dialogue per row.
        rows: For a table without a column for the dialogue: with `dialogue`, every row is a dialogue; with `one`, the
            whole file is one dialogue.
        roles: The roles to read in a chat with a model, such as `user,assistant`; by default all except those of the
            system and of tools.
        empty: `skip` leaves out empty utterances, and counts them.
        max_silence: A longer silence than this, in seconds, starts a new dialogue. By default, this is 8 hours for
            messages with dates. Recordings are not cut. `inf` never cuts.
        encoding: The encoding of the text; by default it is detected.
        input_format: One of `data_scripts.formats.detection.FORMATS`; by default the format is detected.
        max_unfolded, max_ratio, max_line, max_members, max_depth, max_seconds: See [`Limits`].
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
        """Check the options.

        Raises:
            ValueError: An option has an invalid value.
        """
        for field in fields(ReadingOptions):
            value = getattr(self, field.name)
            if isinstance(field.default, str) and not isinstance(value, str):
                raise ValueError(f"option {field.name} must be a string; got {value!r}; put it in quotes")
        self.check_limits()
        for name, known in (("rows", ROWS), ("empty", EMPTY)):
            if getattr(self, name) not in known:
                choices = " or ".join(filter(None, known))
                raise ValueError(f"option {name} must be {choices}; got {getattr(self, name)!r}")
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError:
            raise ValueError(f"unknown encoding; got {self.encoding!r}; use one such as cp1252") from None
        try:
            is_time = self.max_silence is None or float(self.max_silence) > 0
        except (TypeError, ValueError):
            is_time = False
        if not is_time:
            raise ValueError(f"max_silence must be a number of seconds above 0; got {self.max_silence!r}; or use inf")

    def adapted_to(self, found: list[str]) -> "ReadingOptions":
        """Adapt the default column names to a file: names in `found` may differ in case and white space."""
        options = {field.name: getattr(self, field.name) for field in fields(ReadingOptions)}
        for name in [*COLUMNS, "start_column", "end_column"]:
            alike = [column for column in found if column.strip().casefold() == options[name].casefold()]
            if not self.changed_values(name) and options[name] not in found and len(alike) == 1:
                options[name] = alike[0]
        return ReadingOptions(**options)

    def dialogue_columns(self, found: list[str]) -> list[str]:
        """The columns that form the id of a dialogue. A column in `found` whose name contains a comma is one column."""
        if self.rows:
            return []
        if self.dialogue_column in found:
            return [self.dialogue_column]
        return [name.strip() for name in self.dialogue_column.split(",")]

    def of_utterances(self, name: object, found: list[str]) -> list[str]:
        """The required columns of a table with one utterance per row and the columns `found`."""
        self.refuse(name, {**{other: own for own, other in PAIRS.items()}, "roles": None})
        optional = self.changed_values("speaker_column", "label_column", "start_column", "end_column")
        return [*self.dialogue_columns(found), self.text_column, *optional]

    def of_dialogues(self, name: object) -> list[str]:
        """The required columns of a table with one dialogue per row."""
        self.refuse(name, {**PAIRS, "rows": None, "roles": None})
        return [self.utterances_column, *self.changed_values("dialogue_column", "speakers_column", "labels_column")]

    def refuse(self, name: object, others: Mapping[str, str | None]) -> None:
        """Refuse options for other forms of files, unless the option for this form is also set.

        Args:
            name: The name of the file, for the message.
            others: The option for this form by each option for another form; None if this form has no such option.

        Raises:
            ValueError: An option for another form is set without that for this form.
        """
        for other, own in others.items():
            if self.changed_values(other) and not (own and self.changed_values(own)):
                advice = f"use {own}" if own else "leave it out"
                raise ValueError(f"{name}: {other} is for another kind of file; got {getattr(self, other)!r}; {advice}")

    def refuse_columns(self, name: object, has_roles: bool = False) -> None:
        """Refuse all options for tables, because the file is none. Only chats with a model have roles."""
        self.refuse(name, dict.fromkeys([*COLUMNS, "rows", *([] if has_roles else ["roles"])]))

    def changed_values(self, *options: str) -> list[str]:
        """The values of those of these options that differ from their defaults."""
        defaults: dict[str, Any] = {field.name: field.default for field in fields(ReadingOptions)}
        return [getattr(self, option) for option in options if getattr(self, option) != defaults[option]]


def known_suffix(path: Path) -> str:
    """The suffix that determines the format, in lower case, with that of compression: `.csv`, `.csv.gz`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix + (".gz" if name.endswith(".gz") else "")
