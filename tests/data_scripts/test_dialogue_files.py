"""Each format gives the same dialogues, a speaker is told from a clause, and no file is held in memory."""

import gzip
import io
import json
import tracemalloc

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from data_scripts import label_names, read_dialogues
from data_scripts.formats.names import speaker_and_text

DIALOGUES = [
    {
        "dialogue_id": f"d{number}",
        "utterances": ["Hi, you.", 'He said "Olá!"'],
        "speakers": ["Ann", "Bo"],
        "labels": ["joy", None],
    }
    for number in range(4)
]
ROWS = [
    {"dialogue_id": dialogue["dialogue_id"], "speaker": speaker, "text": text, "label": label}
    for dialogue in DIALOGUES
    for text, speaker, label in zip(dialogue["utterances"], dialogue["speakers"], dialogue["labels"], strict=True)
]
LABELS = datasets.ClassLabel(names=["anger", "joy"])


def as_parquet(table, **options):
    """A list of rows or a table as the bytes of a Parquet file."""
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(table) if isinstance(table, list) else table, file, **options)
    return file.getvalue()


def by_datasets(rows, labels):
    """A Parquet file as `datasets` writes it, -1 for no label."""
    [column] = {"label", "labels"} & set(rows[0])
    dataset = datasets.Dataset.from_list(rows)
    features = dataset.features.copy()
    features[column] = labels
    file = io.BytesIO()
    dataset.map(lambda row: {column: encoded(row[column])}, features=features).to_parquet(file)
    return file.getvalue()


def encoded(label):
    if isinstance(label, list):
        return [encoded(one) for one in label]
    return -1 if label is None else LABELS.str2int(label)


def separated(by):
    quoted = ['"{}"'.format((value or "").replace('"', '""')) for row in ROWS for value in row.values()]
    rows = [by.join(quoted[start : start + 4]) for start in range(0, len(quoted), 4)]
    return "\r\n".join([by.join(ROWS[0]), *rows])


LINES = "".join(json.dumps(dialogue) + "\n" for dialogue in DIALOGUES)
FILES = {
    "a.jsonl": LINES,
    "a.json": LINES,
    "a.csv": separated(","),
    "A.CSV": separated(","),
    "a.tsv": separated("\t"),
    "a.jsonl.gz": gzip.compress(LINES.encode()),
    "a.csv.gz": gzip.compress(separated(",").encode()),
    "lists.parquet": as_parquet(DIALOGUES),
    "rows.parquet": as_parquet(ROWS),
    "class_lists.parquet": by_datasets(DIALOGUES, datasets.List(LABELS)),
    "class_rows.parquet": by_datasets(ROWS, LABELS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_dialogues(load, write, name):
    dataset = load("custom", write({name: FILES[name]}) / name)
    rows = sorted((row for split in dataset.values() for row in split), key=lambda row: row["dialogue_id"])
    assert rows == [dialogue | {"labels": [0, -1]} for dialogue in DIALOGUES]
    assert label_names(dataset) == ["joy"]


def read(write, name, content, **columns):
    return list(read_dialogues(write({name: content}) / name, **columns))


TEXT = """\ufeffAnn: Hi.
Bo: Oh, hello: you here?
12:30 we left
   \t

see http://x

Ann:   Bye.
"""


def test_plain_text_has_blank_lines_between_dialogues(write):
    dialogues = read(write, "a.txt", TEXT.replace("\n", "\r\n"))
    turns = {dialogue.dialogue_id: [turn[:3] for turn in dialogue.utterances] for dialogue in dialogues}
    assert turns == {
        "1": [("Hi.", "Ann", None), ("Oh, hello: you here?", "Bo", None), ("12:30 we left", "", None)],
        "2": [("see http://x", "", None)],
        "3": [("Bye.", "Ann", None)],
    }
    assert dialogues[1].utterances[0].where.endswith("a.txt:6")
    assert read(write, "a.txt.gz", gzip.compress(TEXT.encode()))[0].dialogue_id == "1"


def test_a_speaker_who_says_nothing_is_no_utterance(load, write):
    path = write({"a.txt": "Ann: Hi.\n\nBo: Yes.\nAnn:\n\nBo: No."}) / "a.txt"
    with pytest.raises(ValueError, match="a.txt:4: empty utterance; got ''; fill it in or remove it"):
        load("custom", path)


@pytest.mark.parametrize(
    "speaker, line",
    [
        ("Ann", "Ann: Hi."),
        ("Speaker 1", "Speaker 1: Hi."),
        ("1051336806", "1051336806: Hi."),
        ("Dr. O'Neil-Smith", "Dr. O'Neil-Smith: Hi."),
        ("ANN (O.S.)", "ANN (O.S.): Hi."),
        ("Élodie", "Élodie : Hi."),
        ("小明", "小明：Hi."),
        ("Note", "Note: Hi."),
        ("", "12:30 we left"),
        ("", "at 12:30: we left"),
        ("", "http://x"),
        ("", "I am happy :)"),
        ("", "Here is what I mean: no"),
        ("", "Well, Ann: no"),
        ("", "What? Ann: no"),
        ("", '"Ann": no'),
        ("", ": no"),
        ("", "- Ann: no"),
        ("", "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaargh: no"),
        ("", "no colon"),
    ],
)
def test_a_speaker_is_a_short_name_before_the_first_colon(speaker, line):
    assert speaker_and_text(line) == ((speaker, "Hi.") if speaker else ("", line))


def test_numbers_without_names_become_labels_and_minus_one_none(write):
    rows = [{"dialogue_id": 7, "text": "a", "label": 2}, {"dialogue_id": 7, "text": "b", "label": -1}]
    [dialogue] = read(write, "a.parquet", as_parquet(rows))
    assert (dialogue.dialogue_id, [turn.label for turn in dialogue.utterances]) == ("7", ["2", None])


@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("column", [{"text": pa.string()}, {"utterances": pa.list_(pa.string())}])
def test_a_parquet_file_without_rows_is_empty_and_not_damaged(write, column, use_dictionary):
    table = pa.schema([("dialogue_id", pa.int64()), *column.items()]).empty_table()
    with pytest.raises(ValueError, match=r"a.parquet: contains no dialogues; got a file of \d+ bytes; add dialogues"):
        read(write, "a.parquet", as_parquet(table, use_dictionary=use_dictionary))


def test_parquet_is_read_however_arrow_stores_it(write):
    table = pa.table(
        {
            "scene": pa.array([1, 2], pa.uint8()),
            "lines": pa.array([["a"], ["b"]], pa.large_list(pa.large_string())),
            "who": pa.array([["x"], ["x"]], pa.list_(pa.string(), 1)),
            "moods": pa.nulls(2),
            "other": pa.array([{"a": 1}, None]),
        }
    )
    columns = {"dialogue_column": "scene", "utterances_column": "lines"}
    columns |= {"speakers_column": "who", "labels_column": "moods"}
    dialogues = read(write, "a.parquet", as_parquet(table), **columns)
    assert [(d.dialogue_id, [turn[:3] for turn in d.utterances]) for d in dialogues] == [
        ("1", [("a", "x", None)]),
        ("2", [("b", "x", None)]),
    ]
    table = pa.table({"scene": ["1"], "line": pa.array(["a"]).dictionary_encode()})
    columns = {"dialogue_column": "scene", "text_column": "line"}
    assert read(write, "a.parquet", as_parquet(table), **columns)[0].utterances[0].text == "a"


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_the_rows_of_a_dialogue_may_be_anywhere(write, suffix):
    rows = [{"dialogue_id": name, "text": f"{name}{number}"} for number, name in enumerate("abacb")]
    by = {"csv": ",", "tsv": "\t"}.get(suffix)
    text = "\n".join([f"dialogue_id{by}text", *(f"{row['dialogue_id']}{by}{row['text']}" for row in rows)])
    dialogues = read(write, f"a.{suffix}", as_parquet(rows) if suffix == "parquet" else text)
    turns = {dialogue.dialogue_id: [(turn.text, turn.row) for turn in dialogue.utterances] for dialogue in dialogues}
    assert turns == {"a": [("a0", 0), ("a2", 2)], "b": [("b1", 1), ("b4", 4)], "c": [("c3", 3)]}


PARQUET = as_parquet(DIALOGUES)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.jsonl", '{"utterances": ["\\ud83d"]}', r"a.jsonl:1: half of a surrogate pair; got '\\ud83d'; write the"),
        ("a.jsonl", '{"dialogue_id": [1], "utterances": ["a"]}', r"a.jsonl:1: dialogue_id must be a string; got \[1\]"),
        ("a.json", '[\n{"utterances": ["a"]}', r"a.json:1: not JSON; got '\[.n\{"),
        ("a.json", '[{"turns": ["a"]}]', r"a.json, entry 1: not a dialogue; got .*; write \{.*\} on one line"),
        ("a.jsonl", "[" * 99999, r"a.jsonl:1: not JSON; got '\[\[\["),
        (
            "a.jsonl",
            b'{"utterances": ["a"]}\n\n\xff',
            r"a.jsonl:3: not UTF-8; got byte 0xff at offset 23; save it as U",
        ),
        ("a.txt", "a\nb\0", r"a.txt:2: not text; got a NUL character; save it as UTF-8"),
        ("a.csv", "", r"a.csv:1: no header; got an empty line or file; write the column names"),
        ("a.csv", "dialogue_id,text\n", r"a.csv: contains no dialogues; got a file of 17 bytes; add dialogues or"),
        ("a.txt", "\n \n", r"a.txt: contains no dialogues; got a file of 3 bytes"),
        ("a.jsonl", "", r"a.jsonl: contains no dialogues; got a file of 0 bytes"),
        (
            "a.csv",
            "dialogue_id,text,text\n1,a,b\n",
            r"a.csv:1: more than one column text; got dialogue_id, text, text; rename on",
        ),
        ("a.csv", 'dialogue_id,text\n1,"a\n1,b\n', r"a.csv:2: not CSV; unexpected end of data"),
        ("a.tsv", 'dialogue_id\ttext\n1\t"No," he said\n', r"a.tsv:2: not CSV; '\t' expected after '\"'"),
        (
            "a.tsv",
            "dialogue_id\ttext\n1\ta\tb\n",
            r"a.tsv:2: row does not fit the header; .*; put text with tabs in quo",
        ),
        ("a.tsv", "dialogue,text\n1,a\n", r"a.tsv:1: missing column dialogue_id; got dialogue, text; rename or map"),
        ("a.csv.gz", "dialogue_id,text\n1,a\n", r"a.csv.gz: damaged gzip file; Not a gzipped file"),
        ("a.txt.gz", gzip.compress(b"Ann: Hi.", mtime=0)[:-4], r"a.txt.gz: damaged gzip file; Compressed file ended"),
        ("a.parquet", "no Parquet", r"a.parquet: damaged, or not Parquet; .*; write the file again"),
        ("a.parquet", b"", r"a.parquet: damaged, or not Parquet; .*; write the file again"),
        ("a.parquet", PARQUET[: len(PARQUET) // 2], r"a.parquet: damaged, or not Parquet; .*; write the file again"),
        (
            "a.parquet",
            PARQUET[:40] + bytes(200) + PARQUET[240:],
            r"a.parquet: damaged, or not Parquet; .*; write the file again",
        ),
        (
            "a.parquet",
            as_parquet([{"text": "a"}]),
            r"a.parquet: missing column dialogue_id; got text; rename or map it",
        ),
        (
            "a.parquet",
            as_parquet([{"utterances": [1]}]),
            r"a.parquet: utterances must contain lists of strings; got lists of integers; cast the column",
        ),
        (
            "a.parquet",
            as_parquet([{"dialogue_id": 1.5, "text": "a"}]),
            r"a.parquet: dialogue_id must contain integers or strings; got floats; cast",
        ),
        (
            "a.parquet",
            as_parquet([{"utterances": ["a"], "labels": "joy"}]),
            r"a.parquet: labels must contain lists of integers or lists of strings; got strings",
        ),
        (
            "a.parquet",
            as_parquet([{"utterances": ["a", "b"], "labels": ["joy"]}]),
            r"a.parquet, row 1: 2 utterances but 1 labels; got \['joy'\]; give one for each",
        ),
        ("a.parquet", as_parquet([{"dialogue_id": None, "text": "a"}]), r"a.parquet, row 1: dialogue_id is empty; got"),
        ("a.parquet", as_parquet([]), r"a.parquet: missing column dialogue_id, text; got ; rename or map it"),
    ],
)
def test_a_bad_file_is_named_with_the_place_and_the_fix(write, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(write, name, content)
    assert "\n" not in str(caught.value)


def test_a_class_without_a_name_is_refused(write):
    table = parquet.read_table(io.BytesIO(by_datasets(ROWS, LABELS)))
    table = table.set_column(table.column_names.index("label"), "label", pa.array([5] * len(ROWS)))
    with pytest.raises(ValueError, match=r"a.parquet, row 1: label id without a name; got 5; .* names for 0 to 1"):
        read(write, "a.parquet", as_parquet(table))


def nine_megabytes(name):
    """5,000 dialogues of one utterance each."""
    texts = [f"{number:05} " * 300 for number in range(5000)]
    lists = [{"dialogue_id": text[:5], "utterances": [text]} for text in texts]
    rows = [{"dialogue_id": text[:5], "text": text} for text in texts]
    if name.endswith(".parquet"):
        return as_parquet(lists if name == "lists.parquet" else rows, compression="none", use_dictionary=False)
    lines = {
        "a.jsonl": [json.dumps(dialogue) for dialogue in lists],
        "a.csv": ["dialogue_id,text", *(",".join(row.values()) for row in rows)],
        "a.txt": [f"Ann: {text}\n" for text in texts],
    }
    data = "\n".join(lines[name.removesuffix(".gz")]).encode()
    return gzip.compress(data, 1) if name.endswith(".gz") else data


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.csv.gz", "lists.parquet", "rows.parquet"])
def test_a_file_is_not_held_in_memory(write, name):
    path = write({name: nine_megabytes(name)}) / name
    tracemalloc.start()
    before, of_arrow = pa.total_allocated_bytes(), []
    for _ in read_dialogues(path):
        of_arrow.append(pa.total_allocated_bytes() - before)
    _, of_python = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(of_arrow) == 5000
    assert of_python + max(of_arrow) < 5_000_000
