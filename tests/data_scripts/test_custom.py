"""People's own dialogues: one file or many, columns of any name, and a line for each thing that can be wrong."""

import json
import logging

import pytest

from data_scripts import label_names
from data_scripts.custom import Custom

HEADER = "dialogue_id,speaker,text,label\n"


def lines(*dialogues):
    return "".join(json.dumps(dialogue, ensure_ascii=False) + "\n" for dialogue in dialogues)


def in_three(content, suffix="jsonl"):
    return {f"{split}.{suffix}": content for split in ("train", "validation", "test")}


GREETING = {"utterances": ["Hi.", "Hello!"], "speakers": ["Ann", "Bo"], "labels": ["neutral", "joy"]}


def test_json_lines_need_only_utterances(load, write):
    train = load("custom", write(in_three(lines({"utterances": ["Hi.", "Olá!"]}))))["train"]
    assert train.to_list() == [{"dialogue_id": "train-1", "utterances": ["Hi.", "Olá!"], "speakers": ["", ""]}]


def test_labels_come_from_train_in_order_and_null_is_context(load, write):
    greeting = GREETING | {"dialogue_id": "g", "speakers": [None, "Bo"]}
    calm = {"utterances": ["a", "b", "c"], "labels": [None, "", "anger"]}
    dataset = load("custom", write(in_three(lines(greeting, calm))))
    assert label_names(dataset) == ["anger", "joy", "neutral"]
    assert dataset["train"]["labels"] == [[2, 1], [-1, -1, 0]]
    assert dataset["train"]["speakers"][0] == ["", "Bo"]
    assert dataset["test"]["dialogue_id"] == ["test-g", "test-2"]


def test_label_names_can_be_given(load, write):
    folder = write(in_three(lines(GREETING)))
    dataset = load("custom", folder, labels=["neutral", "sadness", "joy"])
    assert label_names(dataset) == ["neutral", "sadness", "joy"]
    assert dataset["train"]["labels"] == [[0, 2]]


def test_csv_is_the_same_with_columns_named_by_options(load, write):
    plain = HEADER + 'd1,Ann,"Hi, you.",joy\nd1,Bo,Hello!,neutral\nd2,Cy,Bye.,\n'
    renamed = plain.replace("dialogue_id,speaker,text,label", "scene,who,line,emotion")
    columns = {
        "dialogue_column": "scene",
        "speaker_column": "who",
        "text_column": "line",
        "label_column": "emotion",
    }
    dataset = load("custom", write(in_three(plain, "csv")))
    assert dataset["train"].to_list() == [
        {"dialogue_id": "train-d1", "utterances": ["Hi, you.", "Hello!"], "speakers": ["Ann", "Bo"], "labels": [0, 1]},
        {"dialogue_id": "train-d2", "utterances": ["Bye."], "speakers": ["Cy"], "labels": [-1]},
    ]
    again = load("custom", write(in_three(renamed, "csv")), **columns)
    assert again["train"].to_list() == dataset["train"].to_list()


def test_csv_needs_no_speaker_and_no_label(load, write):
    dataset = load("custom", write(in_three("dialogue_id,text\n1,Hi.\n", "csv")))
    assert dataset["train"].to_list() == [{"dialogue_id": "train-1", "utterances": ["Hi."], "speakers": [""]}]


def test_a_byte_order_mark_is_no_part_of_the_first_column(load, write):
    dataset = load("custom", write(in_three("\ufeffdialogue_id,text\r\n1,Hi.\r\n", "csv")))
    assert dataset["test"]["utterances"] == [["Hi."]]


def test_dev_is_validation(load, write):
    files = in_three(lines(GREETING))
    files["dev.jsonl"] = files.pop("validation.jsonl")
    assert len(load("custom", write(files))["validation"]) == 1


def test_one_file_is_split_by_dialogue_the_same_way_each_time(load, write):
    dialogues = [{"dialogue_id": f"d{number}"} | GREETING for number in range(50)]
    folder = write({"a.jsonl": lines(*dialogues), "b.jsonl": lines(*reversed(dialogues))})
    first, second = (
        {split: set(rows["dialogue_id"]) for split, rows in load("custom", folder / name).items()}
        for name in ("a.jsonl", "b.jsonl")
    )
    assert {split: len(ids) for split, ids in first.items()} == {"train": 40, "validation": 5, "test": 5}
    assert first == second
    assert len(set.union(*first.values())) == 50


def test_one_small_file_leaves_no_split_empty(load, write):
    path = write({"a.csv": HEADER + "1,,a,\n2,,b,\n3,,c,\n"}) / "a.csv"
    assert [len(rows) for rows in load("custom", path).values()] == [1, 1, 1]
    path.write_text(HEADER + "1,,a,\n2,,b,\n")
    with pytest.raises(ValueError, match=r"a.csv: too few to split into train, validation and test; got 2"):
        load("custom", path)


def test_an_edited_file_is_read_again(load, write):
    folder = write(in_three(lines({"utterances": ["old"]})))
    assert load("custom", folder)["train"]["utterances"] == [["old"]]
    write({"train.jsonl": lines({"utterances": ["new"]})})
    assert load("custom", folder)["train"]["utterances"] == [["new"]]


@pytest.mark.parametrize(
    "line, message",
    [
        ("{'utterances': 1}", r"test.jsonl:2: not JSON; got \"\{'utterances': 1\}\""),
        ('["Hi."]', r"test.jsonl:2: not a dialogue; got '\[\"Hi.\"\]'; write \{\"utterances\": \[...\]\}"),
        ('{"texts": ["Hi."]}', r"test.jsonl:2: not a dialogue; got '\{\"texts\""),
        ('{"utterances": "Hi."}', r"test.jsonl:2: utterances must be a list of strings; got 'Hi.'"),
        ('{"utterances": [1]}', r"test.jsonl:2: utterances must be a list of strings; got \[1\]"),
        ('{"utterances": []}', r"test.jsonl:2: dialogue without utterances; got \[\]; remove"),
        ('{"utterances": ["Hi.", " "]}', r"test.jsonl:2: empty utterance; got ' '; fill it in or remove it"),
        ('{"utterances": ["Hi."], "labels": ["joy", "joy"]}', r"test.jsonl:2: 1 utterances but 2 labels; got \['joy'"),
        ('{"utterances": ["Hi."], "speakers": ["a", "b"]}', r"test.jsonl:2: 1 utterances but 2 speakers"),
        ('{"utterances": ["Hi."], "labels": [[3]]}', r"test.jsonl:2: labels must be a list of strings; got \[\[3\]\]"),
        (
            '{"utterances": ["Hi."], "labels": ["Fury"]}',
            r"test.jsonl:2: unknown label; got 'Fury'; known labels: joy, neu",
        ),
        (
            '{"utterances": ["Hi."], "dialogue_id": 1}',
            r"test.jsonl:2: two dialogues have the same dialogue_id; got 'test-1'",
        ),
    ],
)
def test_a_bad_line_names_file_line_value_and_fix(load, write, line, message):
    files = in_three(lines(GREETING))
    files["test.jsonl"] += line + "\n"
    with pytest.raises(ValueError, match=message) as caught:
        load("custom", write(files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, options, message",
    [
        (
            "dialogue,text\n1,Hi.\n",
            {},
            r"train.csv:1: missing column dialogue_id; got dialogue, text; rename or map it",
        ),
        (
            HEADER + "1,a,Hi.,\n",
            {"label_column": "emotion"},
            r"train.csv:1: missing column emotion; got dialogue_id, sp",
        ),
        (
            HEADER + "1,a,Hi.,\n",
            {"labels_column": "emotion"},
            r"train.csv: labels_column is for another kind of file; got 'emotion'; use label_column",
        ),
        (
            HEADER + "1,a,Hi, you.,joy\n",
            {},
            r"train.csv:2: row does not fit the header; .*put text with commas in quot",
        ),
        (HEADER + "1,a,Hi.\n", {}, r"train.csv:2: row does not fit the header"),
        (HEADER + "1,a,Hi.,joy\n,a,Hi.,joy\n", {}, r"train.csv:3: dialogue_id is empty; got ''; fill it in"),
        (HEADER + "1,a,Hi.,joy\n1,a,,joy\n", {}, r"train.csv:3: empty utterance; got ''"),
        (
            HEADER + "1,a,Hi.,joy\n",
            {"labels": ["anger"]},
            r"train.csv:2: unknown label; got 'joy'; known labels: anger",
        ),
        (
            HEADER.encode() + "1,a,Olá, é cedo à noite.\n".encode() + b"\xe1",
            {},
            r"train.csv:3: not UTF-8; got byte 0xe1 at offset 59",
        ),
    ],
)
def test_a_bad_csv_names_file_line_value_and_fix(load, write, content, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        load("custom", write(in_three(content, "csv")), **options)
    assert "\n" not in str(caught.value)


def test_a_label_where_train_has_none_is_not_dropped(load, write):
    files = in_three(lines({"utterances": ["Hi."]})) | {"test.jsonl": lines(GREETING)}
    with pytest.raises(ValueError, match=r"test.jsonl:1: unknown label; got 'neutral'; known labels: none"):
        load("custom", write(files))


def test_a_missing_or_double_file_lists_what_is_there(load, write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such file"):
        load("custom", tmp_path / "nowhere")
    folder = write({"train.jsonl": lines(GREETING), "test.jsonl": lines(GREETING)})
    needed = r"got test.jsonl, train.jsonl; needed: validation or valid or dev, as a file or a folder of files"
    with pytest.raises(FileNotFoundError, match=needed):
        load("custom", folder)
    write({"dev.jsonl": lines(GREETING), "train.csv": HEADER})
    with pytest.raises(ValueError, match=r"more than one file of a split; got train.csv, train.jsonl; keep one"):
        load("custom", folder)


def test_an_unknown_file_format_is_refused(load, write):
    path = write({"a.docx": "Hi."}) / "a.docx"
    known = ".jsonl, .json, .csv, .tsv, .txt, .vtt, .srt, .parquet, .xlsx; text may be"
    with pytest.raises(ValueError, match=f"a.docx: unknown file format; got '.docx'; known: {known}"):
        load("custom", path)


ROWS = "dialogue_id,text\n1,Hi.\n2,Bye.\n"


def ids(dataset):
    return {split: sorted(rows["dialogue_id"]) for split, rows in dataset.items()}


def test_a_split_can_be_several_files_with_numbers_or_in_a_folder(load, write):
    names = ["train.csv", "train_2.csv", "dev/monday.csv", "dev/week/tuesday.csv", "test-00000-of-00002.csv"]
    folder = write(dict.fromkeys([*names, "test-00001-of-00002.csv", "dev/.hidden.csv", "train_old.csv"], ROWS))
    assert ids(load("custom", folder)) == {
        "train": ["train:1", "train:2", "train_2:1", "train_2:2"],
        "validation": ["dev/monday:1", "dev/monday:2", "dev/week/tuesday:1", "dev/week/tuesday:2"],
        "test": [f"test-0000{n}-of-00002:{i}" for n in (0, 1) for i in (1, 2)],
    }


def test_a_pattern_is_split_by_dialogue_over_all_files(load, write):
    rows = "".join(f"{number},Hi.\n" for number in range(25))
    folder = write(dict.fromkeys(["calls/a.csv", "calls/b.csv", "calls/notes.txt"], "dialogue_id,text\n" + rows))
    found = ids(load("custom", folder / "calls" / "*.csv"))
    assert {split: len(names) for split, names in found.items()} == {"train": 40, "validation": 5, "test": 5}
    assert set.union(*map(set, found.values())) == {f"{file}:{number}" for file in "ab" for number in range(25)}
    assert ids(load("custom", folder.parent / "**" / "*.csv", num_proc=2)) == found


def test_files_of_one_name_in_two_folders_are_two_files(load, write):
    folder = write(dict.fromkeys(["monday/calls.csv", "tuesday/calls.csv"], ROWS))
    found = ids(load("custom", folder / "*" / "calls.csv"))
    assert sorted(sum(found.values(), [])) == [f"{day}/calls:{i}" for day in ("monday", "tuesday") for i in (1, 2)]


def test_an_added_file_is_read(load, write):
    folder = write({"a.csv": ROWS, "b.csv": ROWS})
    assert sum(map(len, load("custom", folder / "*.csv").values())) == 4
    write({"c.csv": ROWS})
    assert sum(map(len, load("custom", folder / "*.csv").values())) == 6


def test_a_file_whose_name_has_a_star_is_that_file(load, write):
    folder = write({"[a].csv": ROWS + "3,c\n", "a.csv": ROWS})
    assert sum(map(len, load("custom", folder / "[a].csv").values())) == 3


def test_a_pattern_is_read_in_a_folder_whose_name_has_brackets(load, write, monkeypatch):
    folder = write({"calls [2024]/a.csv": ROWS, "calls [2024]/b.csv": ROWS})
    monkeypatch.chdir(folder / "calls [2024]")
    assert sum(map(len, load("custom", "*.csv").values())) == 4


@pytest.mark.parametrize(
    "names, data_dir, message",
    [
        ([], "*.csv", r"corpus/\*.csv: no such file; found there: other"),
        (
            ["a.csv", "b.jsonl"],
            "[ab].*",
            r"files of different formats; got a.csv, b.jsonl; use a pattern for files of",
        ),
        (["a.csv", "b.csv.gz"], "*.csv*", r"files of different formats; got a.csv, b.csv.gz; use a pattern"),
        (
            ["a.csv", "b.csv"],
            "",
            r"a file is missing; got a.csv, b.csv, other; needed: train, .* use a pattern such as corpus/\*.csv",
        ),
        (["train.csv", "train/a.csv"], "", r"more than one file of a split; got train.csv, train/a.csv; keep one"),
        (["train_1.csv", "train_2.tsv"], "", r"more than one file of a split; got train_1.csv, train_2.tsv; keep one"),
        (["valid.csv", "dev_2.csv", "train.csv"], "", r"more than one file of a split; got valid.csv, dev_2.csv"),
        (["train/readme", "dev.csv", "test.csv"], "", r"train/readme: unknown file format; got ''"),
    ],
)
def test_files_that_cannot_be_told_apart_are_listed(load, write, names, data_dir, message):
    folder = write(dict.fromkeys(names, ROWS) | {"other/notes": ""})
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        load("custom", folder / data_dir)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_says_so(load, tmp_path):
    with pytest.raises(FileNotFoundError, match="a file is missing; got nothing; needed: train"):
        load("custom", tmp_path)


def test_json_lines_with_keys_named_by_options(load, write):
    renamed = {"conversation": "c1", "turns": ["Hi."], "who": ["Ann"], "emotions": ["joy"]}
    columns = {"dialogue_column": "conversation", "utterances_column": "turns"}
    columns |= {"speakers_column": "who", "labels_column": "emotions"}
    dataset = load("custom", write(in_three(lines(renamed))), **columns)
    assert dataset["train"].to_list() == [
        {"dialogue_id": "train-c1", "utterances": ["Hi."], "speakers": ["Ann"], "labels": [0]}
    ]
    with pytest.raises(
        ValueError, match=r"train.jsonl:1: not a dialogue; got .*; write \{\"turns\": .*\"moods\": \[...\]"
    ):
        load("custom", write(in_three(lines(renamed))), **(columns | {"labels_column": "moods"}))


def test_what_datasets_writes_as_json_is_read_back(load, tmp_path, caplog):
    corpus = load("sample")
    (tmp_path / "json").mkdir()
    for split, rows in corpus.items():
        rows.to_json(tmp_path / "json" / f"{split}.jsonl")
    names = corpus["train"].features["labels"].feature.names
    named = load("custom", tmp_path / "json", labels=names)
    unnamed = load("custom", tmp_path / "json")
    assert "the labels are numbers without names; list their names in order" in caplog.text
    for split, rows in corpus.items():
        assert named[split]["labels"] == unnamed[split]["labels"] == rows["labels"]
        assert named[split]["utterances"] == rows["utterances"]
    assert named["test"].features["labels"] == corpus["test"].features["labels"]
    assert unnamed["test"].features["labels"].feature.names == [str(number) for number in range(len(names))]
    with pytest.raises(
        ValueError, match=r"train.jsonl:\d+: label without a name; got 4; the option labels names 0 to 1"
    ):
        load("custom", tmp_path / "json", labels=["anger", "neutral"])


def test_numbers_are_sorted_as_numbers_and_minus_one_is_no_label(load, write):
    dataset = load("custom", write(in_three(lines({"utterances": list("abcd"), "labels": [10, 2, -1, 1]}))))
    assert dataset["train"].features["labels"].feature.names == ["1", "2", "10"]
    assert dataset["train"]["labels"] == [[2, 1, -1, 0]]


def test_numbers_of_a_csv_file_are_labels_as_in_any_other_table(load, write, caplog):
    caplog.set_level(logging.INFO)
    content = "dialogue_id,text,label\na,v,-1\na,w,1.0\na,x,0.0\na,y,1\na,z,\n"
    unnamed = load("custom", write(in_three(content, "csv")))["train"]
    assert unnamed.features["labels"].feature.names == ["0", "1"]
    named = load("custom", write(in_three(content, "csv")), labels=["joy", "anger"])["train"]
    assert list(unnamed["labels"]) == list(named["labels"]) == [[-1, 1, 0, 1, -1]]
    assert "labels -1 read as no label 3" in caplog.text
    signs = load("custom", write(in_three(content.replace(".0", ""), "csv")), labels=["-1", "0", "1"])["train"]
    assert list(signs["labels"]) == [[0, 2, 1, 2, -1]]


@pytest.mark.parametrize("labels", ["joy", [1]])
def test_label_names_that_are_no_list_of_strings_are_refused(load, write, labels):
    with pytest.raises(ValueError, match="custom: option labels must be a list of strings; got "):
        load("custom", write(in_three(lines(GREETING))), labels=labels)


def test_a_corpus_of_many_files_can_be_streamed(write, tmp_path):
    folder = write({"a.csv": ROWS, "b.csv": ROWS})
    splits = Custom(folder / "*.csv", cache_dir=tmp_path).as_streaming_dataset()
    assert sorted(row["dialogue_id"] for rows in splits.values() for row in rows) == ["a:1", "a:2", "b:1", "b:2"]


def test_labels_that_differ_in_case_or_white_space_alone_are_one(load, write, caplog):
    caplog.set_level("INFO")
    files = in_three(HEADER + "1,,a,Joy\n1,,b,joy \n1,,c,joy\n1,,d,NaN\n2,,e,ANGER\n", "csv")
    dataset = load("custom", write(files | {"test.csv": HEADER + "1,,a, JOY\n"}))
    assert label_names(dataset) == ["ANGER", "joy"]
    assert dataset["train"]["labels"] == [[1, 1, 1, -1], [0]] and dataset["test"]["labels"] == [[1]]
    assert sum("custom: Joy, joy are one label" in message for message in caplog.messages) == 1


def test_any_form_of_chat_is_a_corpus(load, write, caplog):
    caplog.set_level("INFO")
    chat = "30/04/23, 17:33 - Ana: Hi\n30/04/23, 17:34 - Ben: <Media omitted>\n30/04/23, 17:35 - Ben: Yo\n"
    captions = "1\n00:00:01,000 --> 00:00:02,000\nAna: Hi\n"
    folder = write(
        {"train/a.txt": chat, "train/b.txt": "Ana: Hi\nBen: Yo\n", "dev.srt": captions, "test.srt": captions}
    )
    dataset = load("custom", folder)
    assert dataset["train"].to_list() == [
        {"dialogue_id": f"train/{name}:1", "utterances": ["Hi", "Yo"], "speakers": ["Ana", "Ben"]} for name in "ab"
    ]
    assert dataset["test"]["speakers"] == [["Ana"]]
    said = [message for message in caplog.messages if message.startswith("a.txt: WhatsApp export, ")]
    assert said == ["a.txt: WhatsApp export, 1 dialogue, 2 utterances, 2 speakers; left out: 1 omitted media"]


def test_rows_in_any_order_and_options_of_reading_work_in_a_corpus(load, write):
    content = "season,scene,text\n1,1,a\n1,2,b\n1,1,\n1,1,c\n"
    dataset = load("custom", write(in_three(content, "csv")), dialogue_column="season,scene", empty="skip")
    assert dataset["train"]["dialogue_id"] == ["train-1-1", "train-1-2"]
    assert dataset["train"]["utterances"] == [["a", "c"], ["b"]]
    with pytest.raises(ValueError, match="custom: option text_column must be of type str; got 1"):
        load("custom", write(in_three(content, "csv")), text_column=1)
