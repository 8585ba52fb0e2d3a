"""Writes labeled dialogues as a table for a terminal, JSON Lines, CSV or a web page, in pieces of text."""

import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from data_scripts.building.dialogues import Dialogue
from data_scripts.formats.times import shown_time
from data_scripts.tools.console import printable

from .rows import as_csv, input_name, write_parquet
from .workbook import write_workbook

# Dialogues as they were read, each with its turns from the pipeline.
Labeled = Iterable[tuple[Dialogue, list[dict]]]
WIDEST_SPEAKER = 20
# What is predicted, in JSON Lines.
PREDICTED = ("predictions", "scores", "distributions", "known_words", "explanations")


def as_table(
    labeled: Labeled, labels: Sequence[str], name: str, model: str, is_terminal: bool = False
) -> Iterator[str]:
    """Write one utterance per line: label, probability, speaker and text. Lines are wrapped on a terminal."""
    for number, (dialogue, turns) in enumerate(labeled):
        yield "\n" * bool(number) + f"Dialogue {printable(dialogue.dialogue_id)}\n"
        speaker_width = max((len(shown_speaker(turn)) for turn in turns), default=0)
        times = [printable(shown_time(utterance.start)) for utterance in dialogue.utterances]
        time_width = max(map(len, times), default=0)
        for time, turn in zip(times, turns, strict=True):
            yield as_line(turn, labels, speaker_width, is_terminal, f"{time:>{time_width}}" if time_width else "")


def as_line(
    turn: dict, labels: Sequence[str], speaker_width: int = 0, is_terminal: bool = False, time: str = ""
) -> str:
    """Format an utterance as a line of the table."""
    label, label_width = printable(turn["label"]), max((len(printable(name)) for name in labels), default=0)
    head = f"  {label:<{label_width}} {turn['score']:4.0%}  "
    head += f"{time}  " if time else ""
    speaker = shown_speaker(turn)
    head += f"{speaker:<{speaker_width}}  " if speaker or speaker_width else ""
    text, indent = printable(turn["text"]), "\n" + " " * len(head)
    folded = textwrap.wrap(text, max(shutil.get_terminal_size().columns - len(head), 20)) if is_terminal else [text]
    head = bold(head, label) if is_terminal and "NO_COLOR" not in os.environ else head
    line = head + indent.join(folded) + "\n"
    if "distribution" in turn:
        likely = sorted(turn["distribution"].items(), key=lambda pair: -pair[1])
        line += " " * (label_width + 9) + "  ".join(f"{printable(name)} {share:.0%}" for name, share in likely) + "\n"
    return line


def shown_speaker(turn: dict) -> str:
    """The name of the speaker of a turn, shortened for the table; "" if there is none."""
    return printable(turn.get("speaker", ""))[:WIDEST_SPEAKER]


def bold(head: str, label: str) -> str:
    """Make the label bold, for a terminal."""
    return head.replace(label, f"\033[1m{label}\033[0m", 1)


def as_json_lines(labeled: Labeled, labels: Sequence[str], name: str, model: str) -> Iterator[str]:
    """Write one dialogue per line, in the form of the corpus `custom`, with `predictions` and `scores`.

    Times and other columns of the input are included. A column of a table becomes a list. One that has the name of one
    of the output's own gets ` (input)` after its name.
    """
    for dialogue, turns in labeled:
        said = dialogue.utterances
        row = {
            "dialogue_id": dialogue.dialogue_id,
            "utterances": [turn["text"] for turn in turns],
            "speakers": [turn.get("speaker", "") for turn in turns],
        }
        for name, values in (
            ("labels", [utterance.label for utterance in said]),
            ("starts", [utterance.start for utterance in said]),
            ("ends", [utterance.end for utterance in said]),
        ):
            if any(value is not None for value in values):
                row[name] = values
        predicted = {"predictions": [turn["label"] for turn in turns], "scores": [turn["score"] for turn in turns]}
        if turns and "distribution" in turns[0]:
            predicted["distributions"] = [turn["distribution"] for turn in turns]
        if turns and "known_words" in turns[0]:
            predicted["known_words"] = [round(turn["known_words"], 6) for turn in turns]
        if turns and "explanation" in turns[0]:
            predicted["explanations"] = [turn["explanation"] for turn in turns]
        columns = dict.fromkeys(name for utterance in said for name in utterance.extra or {})
        others = (dialogue.extra or {}) | {name: [(turn.extra or {}).get(name) for turn in said] for name in columns}
        # What an earlier run predicted may be of another model.
        earlier = PREDICTED if others.keys() >= {"predictions", "scores"} else ()
        own = row | predicted
        kept = {input_name(name, own): value for name, value in others.items() if name not in earlier}
        yield json.dumps(row | kept | predicted, ensure_ascii=False) + "\n"


def as_page(labeled: Labeled, labels: Sequence[str], name: str, model: str) -> Iterator[str]:
    """Write a web page with [`page_parts.as_page`]."""
    # Only a page needs jinja2, and `--help` needs the formats below.
    from . import page_parts

    return page_parts.as_page(labeled, labels, name, model)


WRITERS: dict[str, Callable[[Labeled, Sequence[str], str, str], Iterator[str]]] = {
    "table": as_table,
    "jsonl": as_json_lines,
    "csv": as_csv,
    "html": as_page,
}
# The tables that cannot be printed.
FILE_WRITERS = {"parquet": write_parquet, "xlsx": write_workbook}
