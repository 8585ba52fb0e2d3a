"""What is exported is read back the same; the card tells where it is from; what may not be passed on is not.

A push is tried in a real process against a Hub on loopback.
"""

import json

import datasets
import pytest
import yaml
from hub_repositories import Repository, StoredFile
from test_scripts import run

from data_scripts import label_names, load_corpus
from data_scripts.sharing.dataset_card import corpus_facts
from data_scripts.sharing.export import export_corpus, push_corpus

REPOSITORY = "someone/corpus"
EMOTIONPUSH = json.dumps([[{"speaker": "1", "utterance": "Hi 😀", "emotion": "joy"}]])


@pytest.fixture
def corpus(load, write):
    row = (
        '{"dialogue_id": "%d", "utterances": ["Hi.", "Café | bar?"], "speakers": ["Ann", ""], "labels": ["joy", ""]}\n'
    )
    files = {f"{split}.jsonl": "".join(row % number for number in range(5)) for split in ("train", "dev", "test")}
    return load("custom", write(files), labels=["anger", "joy"])


@pytest.fixture
def emotionpush(load, write):
    return load("emotionpush", write({f"emotionpush_{split}.json": EMOTIONPUSH for split in ("train", "dev", "test")}))


def header(folder) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def assert_same(folder, corpus, cache_dir) -> None:
    read = datasets.load_dataset(str(folder), cache_dir=str(cache_dir))
    assert list(read) == list(corpus)
    for split in corpus:
        assert read[split].features == corpus[split].features
        assert read[split].to_list() == corpus[split].to_list()


def test_rows_and_labels_are_read_back_the_same(corpus, load, tmp_path):
    folder = tmp_path / "new" / "export"
    export_corpus(corpus, folder, "custom")
    assert_same(folder, corpus, tmp_path / "read")
    assert label_names(load(str(folder))) == ["anger", "joy"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["export"]


def test_source_and_license_are_read_back_too(load, tmp_path):
    corpus = load("sample")
    export_corpus(corpus, tmp_path / "export", "sample")
    assert corpus_facts(load(str(tmp_path / "export")), "custom") == corpus_facts(corpus, "sample")
    assert corpus_facts(corpus, "sample")["licence"] == "CC0-1.0"


def test_negatives_are_read_back_too(tmp_path):
    texts = datasets.List(datasets.Value("string"))
    features = {"dialogue_id": datasets.Value("string"), "utterances": texts, "speakers": texts, "negatives": texts}
    row = {"dialogue_id": "1", "utterances": ["Hi."], "speakers": [""], "negatives": ["No.", "Yes."]}
    rows = datasets.Dataset.from_list([row], features=datasets.Features(features))
    corpus = datasets.DatasetDict(train=rows, test=rows)
    export_corpus(corpus, tmp_path / "export", "mine")
    assert_same(tmp_path / "export", corpus, tmp_path / "read")
    assert "`negatives`" in (tmp_path / "export" / "README.md").read_text()


def test_a_large_split_goes_into_several_files(corpus, tmp_path):
    export_corpus(corpus, tmp_path / "export", "custom", rows_per_file=2)
    assert sorted(path.name for path in (tmp_path / "export" / "data").glob("train*")) == [
        f"train-0000{number}-of-00003.parquet" for number in range(3)
    ]
    assert_same(tmp_path / "export", corpus, tmp_path / "read")


def test_the_header_is_what_the_hub_asks_for(load, tmp_path):
    export_corpus(load("sample"), tmp_path / "sample", "sample")
    found = header(tmp_path / "sample")
    assert (found["license"], found["language"]) == ("cc0-1.0", "en")
    assert (found["size_categories"], found["task_categories"]) == (["n<1K"], ["text-classification"])
    assert "emotion-recognition-in-conversations" in found["tags"]
    assert "no-redistribution" not in found["tags"]


def test_a_license_that_the_hub_does_not_know_is_other(corpus, emotionpush, tmp_path):
    export_corpus(emotionpush, tmp_path / "emotionpush", "emotionpush")
    found = header(tmp_path / "emotionpush")
    assert (found["license"], found["license_name"]) == ("other", "on-request-from-the-authors-no-redistribution")
    assert "no-redistribution" in found["tags"]
    assert "may not be redistributed" in (tmp_path / "emotionpush" / "README.md").read_text()
    export_corpus(corpus, tmp_path / "custom", "custom")
    assert header(tmp_path / "custom")["license"] == "unknown"


def test_the_card_says_what_it_is_and_how_it_was_made(load, tmp_path):
    pytest.importorskip("chitchat_dataset")
    corpus = load("chitchat", max_utterances=20)
    export_corpus(
        corpus, tmp_path / "export", "chitchat", options={"max_utterances": 20}, notes=["3 dialogues dropped"]
    )
    card = (tmp_path / "export" / "README.md").read_text()
    for text in (
        "written chats between two strangers",
        "MIT",
        f"| dialogues | {len(corpus['train']):,} |",
        "`max_utterances=20`",
        "`min_utterances=3`",  # a default
        "3 dialogues dropped",
        "myers2020conversational",
    ):
        assert text in card
    assert header(tmp_path / "export")["task_categories"] == ["text-generation"]


def test_an_empty_folder_is_taken_and_any_other_refused(corpus, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    export_corpus(corpus, folder, "custom")
    before = (folder / "README.md").read_bytes()
    with pytest.raises(FileExistsError, match="export: the folder is not empty; use another folder"):
        export_corpus(corpus, folder, "custom")
    with pytest.raises(FileExistsError, match="README.md: is a file; use a folder"):
        export_corpus(corpus, folder / "README.md", "custom")
    assert (folder / "README.md").read_bytes() == before


def test_an_export_that_fails_leaves_nothing(corpus, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr("data_scripts.sharing.export.dataset_card", fail)
    (tmp_path / "exports").mkdir()
    with pytest.raises(OSError, match="no space left"):
        export_corpus(corpus, tmp_path / "exports" / "export", "custom")
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_split_without_dialogues_is_refused(corpus, tmp_path):
    corpus["test"] = corpus["test"].select([])
    with pytest.raises(ValueError, match="custom: no dialogue in test"):
        export_corpus(corpus, tmp_path / "export", "custom")
    assert not (tmp_path / "export").exists()


def push(hub, folder, *flags: str):
    command = ("-m", "data_scripts", "--export", str(folder), "--push_to_hub", REPOSITORY, *flags)
    return run(*command, check=False, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0", HF_TOKEN="hf_secret")


def test_a_push_uploads_the_export_as_a_dataset(hub, corpus, tmp_path):
    export_corpus(corpus, tmp_path / "export", "custom")
    (tmp_path / "export" / "notes.txt").write_text("mine")
    earlier = {"data/train-00000-of-00002.parquet": b"an earlier push", "LICENSE": b"kept"}
    repository = Repository(REPOSITORY)
    files = {path: StoredFile(data, is_large=False) for path, data in earlier.items()}
    repository.commit("main", {"summary": "earlier"}, files, [])
    hub.repositories["dataset", REPOSITORY] = repository
    result = push(hub, tmp_path / "export")
    assert result.returncode == 0 and "Pushed to" in result.stdout, result.stderr
    assert not repository.is_private
    pushed = hub.files(REPOSITORY, kind="dataset")
    for path in ("README.md", "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"):
        assert pushed[path] == (tmp_path / "export" / path).read_bytes()
    assert "notes.txt" not in pushed
    assert "data/train-00000-of-00002.parquet" not in pushed  # or its rows would be read with the new ones
    assert pushed["LICENSE"] == b"kept"
    assert "hf_secret" not in result.stdout + result.stderr


def test_what_may_not_be_passed_on_needs_a_flag_and_a_private_repository(hub, emotionpush, tmp_path):
    export_corpus(emotionpush, tmp_path / "export", "emotionpush")
    result = push(hub, tmp_path / "export")
    assert result.returncode == 1
    assert "its license forbids redistribution" in result.stderr and "--allow_restricted" in result.stderr
    assert hub.requests == []

    # A repository of this name is there, for everybody to see.
    hub.repositories["dataset", REPOSITORY] = Repository(REPOSITORY)
    result = push(hub, tmp_path / "export", "--allow_restricted")
    assert result.returncode == 1 and f"{REPOSITORY} is public" in result.stderr
    assert hub.files(REPOSITORY, kind="dataset") == {}

    del hub.repositories["dataset", REPOSITORY]
    result = push(hub, tmp_path / "export", "--allow_restricted")
    assert result.returncode == 0, result.stderr
    assert hub.repositories["dataset", REPOSITORY].is_private
    assert "README.md" in hub.files(REPOSITORY, kind="dataset")


def test_what_may_not_be_passed_on_stays_so_under_another_name(hub, emotionpush, load, tmp_path):
    """Saved and loaded, or pushed and loaded from the Hub."""
    emotionpush.save_to_disk(str(tmp_path / "saved"))
    assert not corpus_facts(load(str(tmp_path / "saved")), str(tmp_path / "saved"))["may_be_passed_on"]
    export_corpus(emotionpush, tmp_path / "export", "emotionpush")
    assert push(hub, tmp_path / "export", "--allow_restricted").returncode == 0
    command = ("-m", "data_scripts", REPOSITORY, "--export", str(tmp_path / "again"), "--push_to_hub", "someone/open")
    settings = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_secret"}
    result = run(*command, check=False, **settings, HF_HOME=str(tmp_path / "home"))
    assert result.returncode == 1 and "its license forbids redistribution" in result.stderr
    assert ("dataset", "someone/open") not in hub.repositories


def test_what_may_not_be_passed_on_is_not_exported_as_another_corpus(emotionpush, write, tmp_path):
    folder = write({})  # that of `emotionpush`
    result = run(
        "-m", "data_scripts", "friends", "--data_dir", str(folder), "--export", str(tmp_path / "export"), check=False
    )
    assert result.returncode == 1 and "belongs to the corpus emotionpush; got it as friends" in result.stderr
    assert not (tmp_path / "export").exists()


def test_an_export_cannot_be_named_as_a_corpus():
    result = run("-m", "data_scripts", "sample", "--export", "opsub", check=False)
    assert result.returncode == 1 and "opsub: the name of a corpus" in result.stderr


def test_what_is_built_already_takes_no_options(corpus, tmp_path):
    corpus.save_to_disk(str(tmp_path / "saved"))
    for given in ({"max_utterances": 30}, {"data_dir": "elsewhere"}):
        with pytest.raises(ValueError, match=f"saved: this dataset is already built; got {next(iter(given))}"):
            load_corpus(str(tmp_path / "saved"), **given)


def test_a_push_that_fails_leaves_the_export_and_the_command_for_later(corpus, tmp_path, capsys):
    folder = tmp_path / "my export"
    export_corpus(corpus, folder, "custom")
    assert push_corpus(folder, "someone/corpus", private=True) is None  # the tests are offline
    message = capsys.readouterr().err
    assert "The push to the Hub failed" in message
    later = f"precode corpus --export '{folder}' --push_to_hub someone/corpus --private"
    assert message.strip().endswith(later)
    assert_same(folder, corpus, tmp_path / "read")


def test_only_an_export_is_pushed(tmp_path):
    with pytest.raises(FileNotFoundError, match="no README.md; use a folder that --export wrote"):
        push_corpus(tmp_path, "someone/corpus")
