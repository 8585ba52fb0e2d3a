"""What `python -m data_scripts` promises to a person at a terminal, tried as a real process."""

import json

import datasets
import pytest
from test_scripts import run

from data_scripts import CORPORA
from data_scripts.building.options import parse_options

SPLITS = ["train", "validation", "test"]
SHARED = ["I would never have guessed that.", "Neither would I, to be honest."]


def lines(*dialogues: list[str]) -> str:
    return "".join(json.dumps({"utterances": texts, "labels": ["joy"] * len(texts)}) + "\n" for texts in dialogues)


@pytest.fixture
def corpora(tmp_path):
    """Two corpora, `mine` and `theirs`; one dialogue of the first's train stands in the second's test."""
    for name in ("mine", "theirs"):
        for split in SPLITS:
            path = tmp_path / name / f"{split}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text(lines([f"This is what {name} has in {split}."], ["Okay."]))
    (tmp_path / "mine" / "train.jsonl").write_text(lines(SHARED, [SHARED[0], "No."], ["Another one of mine."]))
    (tmp_path / "theirs" / "test.jsonl").write_text(lines([text.upper() for text in SHARED]))
    return tmp_path


@pytest.fixture
def command(tmp_path):
    def command(*arguments: object, code: int = 0):
        """Standard output of the command, or its standard error where it is to fail."""
        cache = {"HF_DATASETS_CACHE": str(tmp_path / "cache")}
        result = run("-m", "data_scripts", *map(str, arguments), check=False, **cache)
        assert result.returncode == code, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr if code else result.stdout

    return command


def test_without_a_name_every_corpus_is_listed_with_what_it_needs(command):
    text = command()
    for name, builder in CORPORA.items():
        assert f"{name}\n" in text
        assert builder.LICENSE in text
    assert "MELD: TV dialogues from Friends" in text
    assert "  --data_dir: the folder with train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv\n" in text


def test_a_corpus_is_built_with_its_options_and_described(command, corpora):
    text = command(
        "custom", "--data_dir", corpora / "mine", "--corpus_options", 'labels=["anger", "joy"]', "--num_proc", "2"
    )
    rows = {line[: line.index("  ")]: line.split()[-3:] for line in text.splitlines() if "  " in line[1:]}
    assert rows["dialogues"] == ["3", "2", "2"]
    assert rows["label anger"] == ["(0.0%)", "0", "(0.0%)"]
    assert rows["label joy"][-1] == "(100.0%)"


def test_plot_and_export_are_written(command, corpora):
    pytest.importorskip("matplotlib")
    export, plot = corpora / "export", corpora / "mine.png"
    text = command("custom", "--data_dir", corpora / "mine", "--plot", plot, "--export", export)
    assert plot.read_bytes().startswith(b"\x89PNG")
    read = datasets.load_dataset(str(export), cache_dir=str(corpora / "read"))
    assert read["train"]["utterances"][0] == SHARED
    assert read["train"].features["labels"].feature.names == ["joy"]
    assert command(export) in text  # an export is a corpus again


def test_overlap_is_reported_and_nothing_dropped_without_being_asked(command, corpora):
    text = command("custom", "--data_dir", corpora / "mine", "--overlap", f"custom={corpora / 'theirs'}")
    train, validation = text.split("validation against test of custom:")
    assert "train against test of custom:" in train
    assert "1 of 3 dialogues (33.3%) appear there verbatim" in train
    assert "2 of 3 dialogues (66.7%) have at least 50% of their long utterances there" in train
    assert "0 of 2 dialogues (0.0%) appear there verbatim" in validation
    assert "utterances per dialogue: mean" in validation


@pytest.mark.parametrize("level, left", [([], 2), (["utterance"], 1)])
def test_what_stands_elsewhere_is_dropped_before_the_export(command, corpora, level, left):
    where = ("--data_dir", corpora / "mine", "--overlap", f"custom={corpora / 'theirs'}")
    command("custom", *where, "--drop_overlap", *level, "--export", corpora / "export")
    read = datasets.load_dataset(str(corpora / "export"), cache_dir=str(corpora / "read"))
    assert SHARED not in read["train"]["utterances"]
    assert {split: len(rows) for split, rows in read.items()} == {"train": left, "validation": 2, "test": 2}
    assert f"{3 - left} dialogues of train dropped" in (corpora / "export" / "README.md").read_text()


def test_a_split_is_never_held_against_itself(command, corpora):
    mine = corpora / "mine"
    text = command("custom", "--data_dir", mine, "--overlap", f"custom={mine}", "--overlap_split", "train")
    assert "test against train of custom" in text
    assert "train against train of custom" not in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["melt"], "unknown corpus; got 'melt'; known: chitchat"),
        (["meld"], "meld: data_dir is missing; give the folder with train_sent_emo.csv"),
        (["meld", "--data_dir", "nowhere"], "nowhere: no such file"),
        (["sample", "--corpus_options", "size"], "--corpus_options takes name=value; got 'size'"),
        (["sample", "--corpus_options", "size=3"], "sample: unknown option; got size"),
        (["sample", "--plot", "plot.jpg"], "plot.jpg: unknown image format"),
        (["sample", "--export", "tests"], "tests: the folder is not empty; use another folder"),
        (["sample", "--bogus"], "unrecognized arguments: --bogus; see python -m data_scripts --help"),
        (["sample", "--drop_overlap"], "--drop_overlap needs --overlap"),
        (["sample", "--push_to_hub", "someone/sample"], "--push_to_hub needs --export"),
        (["sample", "--overlap", "sample", "--overlap_split", "dev"], "no split 'dev'; found train, validation, test"),
        (
            ["opsub", "--export", "nowhere", "--push_to_hub", "someone/films"],
            "opsub: its license forbids redistribution",
        ),
        (["--export", "nowhere"], "the name of a corpus is missing"),
    ],
)
def test_what_is_wrong_is_one_line(command, arguments, message):
    errors = command(*arguments, code=1).splitlines()
    assert errors[-1].startswith("error: ") and message in errors[-1]
    assert not [line for line in errors[:-1] if not line.startswith("sample: dialogues")]


def test_a_damaged_file_of_a_dataset_is_one_line_too(command, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"not parquet")
    assert command(tmp_path / "broken", code=1).splitlines()[-1].startswith("error: ")


def test_a_value_is_json_where_it_is_json():
    options = parse_options(["seconds=4", 'labels=["a", "b"]', "language=en", "pattern=a=b"], "--corpus_options")
    assert options == {"seconds": 4, "labels": ["a", "b"], "language": "en", "pattern": "a=b"}
