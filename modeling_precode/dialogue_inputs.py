"""Converts every form of dialogue that the pipeline takes to lists of `{"text", "speaker"?}`."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from .speakers import is_missing

INPUT_FORMS = (
    'a dialogue is a list of utterances: strings, {"speaker": ..., "text": ...} or (speaker, text); '
    "several dialogues are a list of such lists, or a Dataset with the column `utterances`"
)


def read_inputs(inputs: Any) -> tuple[Iterable[list[dict]], bool]:
    """Convert the inputs of the pipeline.

    Returns:
        The dialogues, each a list of `{"text", "speaker"?}`, and whether the input was a single dialogue.

    Raises:
        ValueError: The input is neither a dialogue nor a collection of dialogues in a known form. A tuple of two
            strings could be both one utterance and two.
    """
    _check_tuple(inputs)
    if isinstance(inputs, str):
        return [_dialogue([inputs])], True
    if hasattr(inputs, "column_names"):  # a Dataset; the package `datasets` need not be installed
        return _rows(inputs), False
    if _is_frame(inputs):
        return _frame(inputs)
    if isinstance(inputs, Iterator) or _is_torch_dataset(inputs):
        # A PyTorch dataset without a length is a stream.
        stream: Any = inputs
        if hasattr(stream, "__len__"):
            stream = _items(stream)
        return (_one_of_many(dialogue) for dialogue in stream), False
    if not _is_sequence(inputs):
        raise ValueError(f"{INPUT_FORMS}; got {_shown(inputs)}")
    if getattr(inputs, "shape", ())[1:2] == (2,):
        raise ValueError(
            "an array with two columns may hold pairs of speaker and text, or dialogues of two utterances; give "
            f"list(map(tuple, array)) for pairs, or array.tolist() for dialogues; got {_shown(inputs)}"
        )
    items = list(inputs)
    if items and all(_is_sequence(item) and not isinstance(item, tuple) for item in items):
        return [_one_of_many(dialogue) for dialogue in items], False
    return [_dialogue(items)], True


def _check_tuple(dialogue: Any) -> None:
    """Raise a ValueError for a dialogue that is a tuple of two strings."""
    if isinstance(dialogue, tuple) and len(dialogue) == 2 and all(isinstance(text, str) for text in dialogue):
        raise ValueError(
            f"a tuple of two strings is not a dialogue; got {_shown(dialogue)}; for one utterance and its speaker, "
            "give [(speaker, text)]; for two utterances, give a list of them"
        )


def _is_torch_dataset(value: Any) -> bool:
    """Whether the value is a dataset of PyTorch. The check works without PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.utils.data.Dataset)


def _items(dataset: Any) -> Iterator[Any]:
    return (dataset[i] for i in range(len(dataset)))


def read_utterance(utterance: Any) -> dict:
    """Convert one utterance to `{"text", "speaker"?}`. The speaker is left out if there is none.

    Raises:
        ValueError: The utterance has none of the known forms.
        UnicodeError: It has half of a surrogate pair, which JSON can contain but UTF-8 cannot.
    """
    speaker, text = None, utterance
    if isinstance(utterance, Mapping):
        speaker, text = utterance.get("speaker"), utterance.get("text")
    elif isinstance(utterance, tuple) and len(utterance) == 2:
        speaker, text = utterance
        if not (isinstance(speaker, str) or is_missing(speaker)):
            text = None
    if not isinstance(text, str):
        raise ValueError(f"{INPUT_FORMS}; got the utterance {_shown(utterance)}")
    speaker = "" if is_missing(speaker) else str(speaker)
    try:
        f"{speaker}{text}".encode()
    except UnicodeEncodeError:
        raise UnicodeError(
            f"an utterance has half of a surrogate pair, which is not a character; got {_shown(utterance)}; give whole "
            "characters, such as text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from None
    return {"speaker": speaker, "text": text} if speaker else {"text": text}


def _is_sequence(value: Any) -> TypeGuard[Sequence]:
    """Whether the value is a list, a tuple, an array, a column of a table or the like, and not a string."""
    return (
        not isinstance(value, str | bytes | Mapping | set)
        and hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
    )


def _is_frame(value: Any) -> bool:
    """Whether the value is a pandas DataFrame. The check works without pandas."""
    return hasattr(value, "columns") and hasattr(value, "to_dict")


def _frame(frame: Any) -> tuple[list[list[dict]], bool]:
    """Convert a table.

    The table has either one dialogue per row (`utterances`) or one utterance per row (`text`). In the second case,
    `dialogue_id` tells several dialogues apart.
    """
    columns = [str(name) for name in frame.columns]
    if "utterances" in columns:
        return [_row(row) for row in frame.to_dict("records")], False
    if "text" not in columns:
        raise ValueError(
            f"the table has the columns {', '.join(columns)}; it needs `text` (one utterance per row; `speaker` and "
            "`dialogue_id` are optional) or `utterances` (one dialogue per row); use DataFrame.rename"
        )
    turns = [read_utterance(turn) for turn in frame.to_dict("records")]
    if "dialogue_id" not in columns:
        return [turns], True
    dialogues: dict[Any, list[dict]] = {}
    for number, (name, turn) in enumerate(zip(frame["dialogue_id"], turns, strict=True)):
        if is_missing(name):
            raise ValueError(f"row {number} of the table has no `dialogue_id`; got {name!r}")
        dialogues.setdefault(name, []).append(turn)
    return list(dialogues.values()), False


def _rows(dataset: Any) -> Iterable[list[dict]]:
    columns = dataset.column_names
    if isinstance(columns, dict):
        split = next(iter(columns), "train")
        raise ValueError(f"got a DatasetDict with the splits {', '.join(columns)}; give one of them: [{split!r}]")
    # The columns of a stream may be unknown before its first row.
    if columns is not None and "utterances" not in columns:
        raise ValueError(f"the dataset has the columns {', '.join(columns)}; {INPUT_FORMS}")
    return (_row(row) for row in dataset)


def _row(row: Mapping[str, Any]) -> list[dict]:
    """Convert a row of a dataset. Without speakers, `speakers` is absent, missing, empty, or a list of empty names."""
    utterances, names = row.get("utterances"), row.get("speakers")
    if not _is_sequence(utterances):
        raise ValueError(f"{INPUT_FORMS}; got the row {_shown(row)}")
    if not (_is_sequence(names) or is_missing(names)):
        raise ValueError(f"`speakers` of a row must be a list with one name per utterance; got {_shown(names)}")
    names = (list(names) if _is_sequence(names) else []) or [None] * len(utterances)
    if len(names) != len(utterances):
        raise ValueError(f"a row needs one speaker per utterance, or none; got {len(names)} for {len(utterances)}")
    return _dialogue([{"speaker": name, "text": text} for name, text in zip(names, utterances, strict=True)])


def _one_of_many(dialogue: Any) -> list[dict]:
    _check_tuple(dialogue)
    if _is_frame(dialogue):
        dialogues, _ = _frame(dialogue)
        if len(dialogues) != 1:
            raise ValueError(
                f"a table that is one of several dialogues must have one dialogue; got {len(dialogues)}; give one "
                "table with all dialogues"
            )
        return dialogues[0]
    if not _is_sequence(dialogue):
        raise ValueError(
            f"{INPUT_FORMS}; got, as one of several dialogues, {_shown(dialogue)}; put a text into a list for a "
            "dialogue of one utterance, or put all texts into one list for one dialogue"
        )
    return _dialogue(list(dialogue))


def _dialogue(utterances: Iterable[Any]) -> list[dict]:
    return [read_utterance(utterance) for utterance in utterances]


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
