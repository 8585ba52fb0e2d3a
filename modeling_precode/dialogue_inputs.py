"""Every form of dialogue that the pipeline takes -> dialogues of `{"text", "speaker"?}`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from torch.utils.data import Dataset

from .speakers import is_missing

_FORMS = (
    'a dialogue is a list of utterances: strings, {"speaker": ..., "text": ...} or (speaker, text); '
    "several dialogues are a list of such lists, or a Dataset with the column `utterances`"
)


def read_inputs(inputs: Any) -> tuple[Iterable[list[dict]], bool]:
    """What the pipeline was called with -> dialogues of `{"text", "speaker"?}`, and whether it was a single one.

    Raises:
        ValueError: it has none of the forms of a dialogue, or of several.
    """
    if isinstance(inputs, str):
        return [_dialogue([inputs])], True
    if hasattr(inputs, "column_names"):  # a Dataset; the package `datasets` need not be there
        return _rows(inputs), False
    if _is_frame(inputs):
        return _frame(inputs)
    if isinstance(inputs, Iterator | Dataset):
        # What a dataset of PyTorch has no length of, is a stream.
        stream: Any = inputs
        if hasattr(stream, "__len__"):
            stream = _items(stream)
        return (_one_of_many(dialogue) for dialogue in stream), False
    if not _is_sequence(inputs):
        raise ValueError(f"{_FORMS}; got {_shown(inputs)}")
    items = list(inputs)
    if items and all(_is_sequence(item) and not isinstance(item, tuple) for item in items):
        return [_one_of_many(dialogue) for dialogue in items], False
    return [_dialogue(items)], True


def _items(dataset: Any) -> Iterator[Any]:
    return (dataset[i] for i in range(len(dataset)))


def read_utterance(utterance: Any) -> dict:
    """One utterance -> `{"text", "speaker"?}`; the speaker is left out where there is none.

    Raises:
        ValueError: it has none of the forms of an utterance.
    """
    speaker, text = None, utterance
    if isinstance(utterance, Mapping):
        speaker, text = utterance.get("speaker"), utterance.get("text")
    elif isinstance(utterance, tuple) and len(utterance) == 2:
        speaker, text = utterance
        if not (isinstance(speaker, str) or is_missing(speaker)):
            text = None
    if not isinstance(text, str):
        raise ValueError(f"{_FORMS}; got the utterance {_shown(utterance)}")
    return {"text": text} if is_missing(speaker) or speaker == "" else {"speaker": str(speaker), "text": text}


def _is_sequence(value: Any) -> TypeGuard[Sequence]:
    """Whether it is a list, a tuple, an array, a column of a table, or the like; a string is none."""
    return (
        not isinstance(value, str | bytes | Mapping | set)
        and hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
    )


def _is_frame(value: Any) -> bool:
    """Whether it is a table of pandas, which need not be installed."""
    return hasattr(value, "columns") and hasattr(value, "to_dict")


def _frame(frame: Any) -> tuple[list[list[dict]], bool]:
    """A table with a dialogue a row (`utterances`), or an utterance a row (`text`), of one dialogue or, with
    `dialogue_id`, of several."""
    columns = [str(name) for name in frame.columns]
    if "utterances" in columns:
        return [_row(row) for row in frame.to_dict("records")], False
    if "text" not in columns:
        raise ValueError(
            f"the table has the columns {', '.join(columns)}; it needs `text`, an utterance a row, with `speaker` and "
            "`dialogue_id` where they are known, or `utterances`, a dialogue a row; DataFrame.rename names them so"
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
    # A stream may not know its columns before its first row.
    if columns is not None and "utterances" not in columns:
        raise ValueError(f"the dataset has the columns {', '.join(columns)}; {_FORMS}")
    return (_row(row) for row in dataset)


def _row(row: Mapping[str, Any]) -> list[dict]:
    """A row of a dataset; a corpus that names no speakers has none, or empty names."""
    utterances, names = row.get("utterances"), row.get("speakers")
    if not _is_sequence(utterances):
        raise ValueError(f"{_FORMS}; got the row {_shown(row)}")
    names = list(names) if _is_sequence(names) else []
    names = names or [None] * len(utterances)
    if len(names) != len(utterances):
        raise ValueError(f"a row has a speaker for each utterance, or none; got {len(names)} for {len(utterances)}")
    return _dialogue([{"speaker": name, "text": text} for name, text in zip(names, utterances, strict=True)])


def _one_of_many(dialogue: Any) -> list[dict]:
    if _is_frame(dialogue):
        dialogues, single = _frame(dialogue)
        if single:
            return dialogues[0]
    if not _is_sequence(dialogue):
        raise ValueError(
            f"{_FORMS}; got, as one of several dialogues, {_shown(dialogue)}; a list around a text makes it a dialogue "
            "of one utterance, and a list of all texts is one dialogue"
        )
    return _dialogue(list(dialogue))


def _dialogue(utterances: Iterable[Any]) -> list[dict]:
    return [read_utterance(utterance) for utterance in utterances]


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
