"""A small Parquet file or workbook that unfolds to gigabytes is refused; a pipe among files is not read."""

import io
import os
import time
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from data_scripts import read_dialogues

openpyxl = pytest.importorskip("openpyxl")

SHEET = "xl/worksheets/sheet1.xml"


def repeated(text: str, times: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, "int32")), pa.array([text]))


def refused(path, message: str, **options: object) -> None:
    """Refused in a line that names the file, in a small part of the memory that it would unfold to."""
    tracemalloc.start()
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(ValueError, match=rf"^{path}: {message}") as error:
            list(read_dialogues(path, **options))
        assert "\n" not in str(error.value)
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
        assert (pool.max_memory() or 0) < 1 << 26
    finally:
        pa.set_memory_pool(before)
        tracemalloc.stop()


def test_a_long_text_that_every_row_repeats_is_not_unfolded(tmp_path):
    """A kilobyte that would be 4 GB."""
    rows = {"dialogue_id": repeated("a", 250), "text": repeated("x" * (1 << 24), 250)}
    parquet.write_table(pa.table(rows), tmp_path / "rows.parquet", compression="zstd")
    lists = pa.ListArray.from_arrays(pa.array([0, 250], pa.int32()), rows["text"])
    parquet.write_table(pa.table({"utterances": lists}), tmp_path / "lists.parquet", compression="zstd")
    for name in ("rows.parquet", "lists.parquet"):
        assert (tmp_path / name).stat().st_size < 4000
        refused(tmp_path / name, r"expands to more than 1,048,576 bytes, the limit set by max_ratio; .* increase")
        refused(tmp_path / name, "expands to more than 1,073,741,824 bytes, the limit set by max_unf", max_ratio=10**8)


def test_a_list_of_texts_that_each_repeat_the_last_is_not_unfolded(tmp_path):
    """A kilobyte that would be 128 MB."""
    lists = pa.ListArray.from_arrays(pa.array([0, 2000], pa.int32()), pa.array(["x" * (1 << 16)] * 2000))
    path, column = tmp_path / "lists.parquet", "utterances.list.element"
    encoding = {"use_dictionary": False, "column_encoding": {column: "DELTA_BYTE_ARRAY"}}
    parquet.write_table(pa.table({"utterances": lists}), path, compression="zstd", **encoding)
    refused(path, r"expands to more than 1,048,576 bytes, the limit set by max_ratio; .* increase")
    refused(path, "expands to more than 16,777,216 bytes, the limit", max_ratio=10**8, max_unfolded=1 << 24)


def test_very_many_rows_of_a_small_file_are_not_begun(tmp_path):
    with parquet.ParquetWriter(tmp_path / "a.parquet", pa.schema({"text": pa.string()}), compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(pa.table({"text": pa.array(["hi"]).take(pa.array(np.zeros(1 << 20, "int32")))}))
    refused(tmp_path / "a.parquet", "expands to more than .* bytes, the limit set by max_ratio", rows="dialogue")


@pytest.mark.parametrize("is_list", [False, True])
def test_a_long_text_among_short_ones_is_not_unfolded(tmp_path, is_list):
    """A file in which every row, or the list of one, repeats a text that is long in one place only."""
    texts = pa.array(["x" * (1 << 20), *map(str, range(1000))])
    rows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, "int32")), texts)
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000], pa.int32()), rows)
    table = {"utterances": lists} if is_list else {"dialogue_id": repeated("a", 20_000), "text": rows}
    # Without its own schema, Arrow unfolds a dictionary.
    parquet.write_table(pa.table(table), tmp_path / "a.parquet", compression="zstd", store_schema=False)
    refused(tmp_path / "a.parquet", "expands to more than 1,048,576 bytes, the limit set by max_ratio")


def test_a_text_that_is_decompressed_to_too_much_is_not_read(tmp_path):
    texts = {"dialogue_id": ["a"], "text": ["x" * (1 << 26)]}
    parquet.write_table(pa.table(texts), tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 14
    refused(tmp_path / "a.parquet", "expands to more than .* bytes, the limit set by max_ratio")
    refused(tmp_path / "a.parquet", "expands to more than 33,554,432 bytes, the limit set by max_unfolded",
            max_ratio=10**6, max_unfolded=1 << 25)  # fmt: skip


def understate(path, size: int) -> None:
    """Replace a size in the footer by 1, in the same number of bytes."""
    number, encoded = 2 * size, bytearray()
    while number:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded[-1] &= 127
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    one = bytes([2 | 128, *[128] * (len(encoded) - 2), 0])
    assert bytes(encoded) in data[start:]
    path.write_bytes(data[:start] + data[start:].replace(encoded, one))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_footer_that_understates_its_sizes_does_not_help(tmp_path, version):
    path = tmp_path / "a.parquet"
    options = {"compression": "zstd", "use_dictionary": False, "data_page_version": version}
    parquet.write_table(pa.table({"text": ["x" * (1 << 27)]}), path, **options)
    understate(path, parquet.read_metadata(path).row_group(0).column(0).total_uncompressed_size)
    refused(path, "expands to more than .* bytes, the limit set by max_ratio", rows="dialogue")


@pytest.mark.parametrize("damage", ["size", "statistics", "page", "end"])
def test_damaged_metadata_is_named(tmp_path, damage):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["Hi.", "Hello." * 20]}), path, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if damage == "size":  # of the values, negative
        size = parquet.read_metadata(path).row_group(0).column(0).total_uncompressed_size
        place = data.index(bytes([2 * size & 127 | 128, 2 * size >> 7]), footer)
        data[place] |= 1
    elif damage == "statistics":  # of a wrong type
        data[data.index(b"Hi.", footer) - 2] ^= 15
    elif damage == "page":
        data[4:8] = b"\xff" * 4
    else:
        data[footer:-8] = b""
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^{path}: damaged, or not Parquet; .*; write the file again$"):
        list(read_dialogues(path, rows="dialogue"))


def test_a_row_group_of_more_than_the_limit_is_not_read(tmp_path):
    table = pa.table({"dialogue_id": ["a"] * 4000, "text": [f"utterance {number}" for number in range(4000)]})
    parquet.write_table(table, tmp_path / "a.parquet")
    parquet.write_table(table, tmp_path / "b.parquet", row_group_size=100)
    refused(tmp_path / "a.parquet", "expands to more than 20,000 bytes, the limit set by max_unf", max_unfolded=20_000)
    [dialogue] = read_dialogues(tmp_path / "b.parquet", max_unfolded=20_000)
    assert len(dialogue.utterances) == 4000


@pytest.mark.slow
def test_thousands_of_columns_take_time_in_proportion(tmp_path):
    columns = {"dialogue_id": ["a"] * 25, "text": ["Hi."] * 25} | {f"column {n}": [n] * 25 for n in range(6000)}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=1, write_statistics=False)
    before = time.process_time()
    [dialogue] = read_dialogues(tmp_path / "a.parquet")
    assert len(dialogue.utterances) == 25 and len(dialogue.utterances[0].extra) == 6000
    assert time.process_time() - before < 20


def test_a_table_that_repeats_itself_within_reason_is_read(tmp_path):
    texts = [f"utterance {number} of many" for number in range(3000)]
    table = {"dialogue_id": repeated("a", 3000), "text": pa.array(texts), "label": repeated("joy", 3000)}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet", compression="zstd")
    [dialogue] = read_dialogues(tmp_path / "a.parquet")
    assert [turn.text for turn in dialogue.utterances] == texts
    assert {turn.label for turn in dialogue.utterances} == {"joy"}


def workbook(path, change) -> None:
    """A good workbook whose sheet is changed, and does not say its size."""
    book, good = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["dialogue_id", "text"])
    book.active.append(["a", "Hi."])
    book.save(good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == SHEET:
                content = change(content.replace(b'<dimension ref="A1:B2" />', b""))
            target.writestr(name, content)


def test_a_sheet_that_unfolds_to_too_much_is_not_read(tmp_path):
    end = b"</sheetData>"
    row = b'<row r="3"><c r="A3" t="inlineStr"><is><t>' + b"x" * (1 << 25) + b"</t></is></c></row>"
    workbook(tmp_path / "a.xlsx", lambda sheet: sheet.replace(end, row + end))
    assert (tmp_path / "a.xlsx").stat().st_size < 1 << 17
    refused(tmp_path / "a.xlsx", "expands to more than .* bytes, the limit set by max_ratio")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            b'<row r="999999999999"><c r="A999999999999"><v>1</v></c></row>',
            "expands to more than .* bytes, the limit set by max_ratio",
        ),
        (
            b"".join(b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (n, n) for n in range(3, 200)),
            "expands to more than .* bytes, the limit set by max_ratio",
        ),
    ],
)
def test_a_sheet_with_very_many_empty_cells_is_not_read_to_its_end(tmp_path, row, message):
    workbook(tmp_path / "a.xlsx", lambda sheet: sheet.replace(b"</sheetData>", row + b"</sheetData>"))
    refused(tmp_path / "a.xlsx", message)


@pytest.mark.parametrize("place", ["train.jsonl", "train/a.jsonl"])
def test_a_pipe_in_a_folder_of_dialogues_is_never_waited_for(load, write, place):
    line = '{"utterances": ["Hi."]}\n'
    folder = write({f"{split}.jsonl": line for split in ("validation", "test")} | {"train/b.jsonl": line})
    os.mkfifo(folder / place)
    assert load("custom", folder)["train"].num_rows == 1


@pytest.mark.parametrize("suffix", ["xlsx", "zip", "csv"])
def test_a_workbook_whose_list_of_parts_is_damaged_is_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    openpyxl.Workbook().save(path)
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03", 1))
    with pytest.raises(ValueError, match=rf"^{path}\b.*; ") as error:
        list(read_dialogues(path))
    assert "\n" not in str(error.value) and not isinstance(error.value, UnicodeError)
