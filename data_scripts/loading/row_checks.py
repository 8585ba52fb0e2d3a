"""Checks the rows of a corpus: every dialogue has utterances, and as many labels and speakers as utterances.

No utterance or label is null.
"""

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# The columns with one entry per utterance, and what to give for an utterance that has none.
PER_UTTERANCE = {
    "speakers": "give one speaker per utterance, or an empty list",
    "labels": "give one label per utterance, -1 for an utterance without one",
    "label_distributions": "give one list per utterance, an empty one for an utterance without a distribution",
}
# The columns in whose lists nothing may be null, and what to write instead.
WITHOUT_NULL = {
    "utterances": 'write its text, or "" for an utterance without text',
    "labels": "write -1 for an utterance without a label",
}


def check_rows(rows: datasets.Dataset, place: str) -> None:
    """Check that every dialogue has an utterance, and one speaker (or none at all), label and distribution for each.

    Only the lengths of the lists are read, and what is null in them, so that a large corpus takes no noticeable time.

    Args:
        rows: One dialogue per row. All columns but `utterances` are optional.
        place: What the rows are, for the message.

    Raises:
        ValueError: A row has no utterances, a list of another length or an utterance or label that is null, or a column
            is not a list.
    """
    sizes = _lengths(rows, "utterances", place)
    if not sizes.all():
        raise ValueError(f"{place}: {_name(rows, int(sizes.argmin()))} has no utterances; leave it out")
    for column, remedy in PER_UTTERANCE.items():
        if column not in rows.column_names:
            continue
        lengths = _lengths(rows, column, place)
        wrong = (lengths != sizes) & (lengths != 0 if column == "speakers" else True)
        if wrong.any():
            index = int(wrong.argmax())
            found = f"utterances {sizes[index]}, {column} {lengths[index]}"
            raise ValueError(f"{place}: the lists of {_name(rows, index)} differ in length: {found}; {remedy}")
    for column, remedy in WITHOUT_NULL.items():
        if column in rows.column_names and (first := _first_with_null(rows, column)) is not None:
            raise ValueError(f"{place}: {_name(rows, first)} has null in {column}; {remedy}")


def _first_with_null(rows: datasets.Dataset, column: str) -> int | None:
    """The first row with a list that contains null, or `None`."""
    if not pc.list_flatten(rows.data.column(column)).null_count:
        return None
    # The table may have rows that are not selected.
    found = enumerate(rows.with_format(None).select_columns([column]))
    return next((index for index, row in found if None in row[column]), None)


def _lengths(rows: datasets.Dataset, column: str, place: str) -> np.ndarray:
    """(rows,) the lengths of the lists in a column, 0 for a missing list."""
    feature = rows.features.get(column, "no such column")
    lists = rows.data.column(column) if column in rows.column_names else None
    if lists is not None and column == "speakers" and pa.types.is_null(lists.type):
        return np.zeros(len(rows), dtype=np.int64)
    if not isinstance(feature, datasets.List | datasets.LargeList):
        raise ValueError(f"{place}: {column} must be a list; got {feature}")
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    # Rows that are selected or shuffled are indices into the table.
    return lengths if rows._indices is None else lengths[rows._indices.column(0).to_numpy()]


def _name(rows: datasets.Dataset, index: int) -> str:
    if "dialogue_id" in rows.column_names:
        return f"dialogue {rows.with_format(None)[index]['dialogue_id']!r}"
    return f"row {index} (counted from 0)"
