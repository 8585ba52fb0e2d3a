"""What an exported model promises where it runs: the calls and results of the pipeline, without torch, transformers and
datasets; and a clear word about a folder that it cannot run."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import openpyxl
import pandas as pd
import pytest
from clean_environment import WITHOUT_TORCH, make_environment
from exported_damage import (
    changed,
    other_graph,
    settings_of_a_newer_version,
    settings_without_temperature,
    settings_without_tokens,
    shift_ids,
)
from onnx_models import LABELS, pipeline_of, text_model, word_model
from services import DIALOGUE, Service, assert_equal, serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from data_scripts import load_corpus
from modeling_precode.cli.main import main
from modeling_precode.conversion.onnx_export import export_onnx
from modeling_precode.onnx_runtime import OnnxEmotionPipeline

ROOT = Path(__file__).resolve().parents[1]
TURNS = [("Ann", "I am so happy 🎉!"), ("Bo", "About [PAD] what?"), "Ça va ...", {"speaker": "Ann", "text": ""}]
LONG = [("Cy", "well " * 200)] * 2 + [("Ann", "You did?")] * 30
KINDS = ["words", "text", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("dialogues", "dialogues alone"))]


class Exports(dict):
    """By its kind, a pipeline and the folder of its export: word vectors in both directions, a text encoder that reads
    the names of speakers and forward only, and the same one with whole dialogues, in short windows, with and without a
    conversation encoder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __missing__(self, kind: str) -> tuple:
        if kind == "words":
            settings = {"utterance_encoder": "stacked_gru", "pooling_length": 9}
            emotions = pipeline_of(word_model("unicode", **settings), None, "unicode")
        else:
            settings = {"text_pooling": "max_mean", "causal": True, "max_speakers": 2, "speaker_prefix": True}
            if kind.startswith("dialogues"):
                settings |= {"text_context": "dialogue", "max_window_tokens": 200}
                settings["conversation_encoder"] = "none" if kind == "dialogues alone" else "gru"
            encoder = self.folder / f"{kind} encoder"
            emotions = pipeline_of(text_model(encoder, **settings), encoder)
        export_onnx(emotions, self.folder / kind, load_corpus("sample")["validation"])
        self[kind] = emotions, self.folder / kind
        return self[kind]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.fixture(params=KINDS)
def both(request, folders):
    """A pipeline, and the one of its export."""
    emotions, folder = folders[request.param]
    return emotions, OnnxEmotionPipeline(folder)


@pytest.fixture
def words(folders) -> Path:
    return folders["words"][1]


def assert_same(found: list, expected: list) -> None:
    """The same turns, with probabilities that are equal but for the order of additions."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        one, other = dict(one), dict(other)
        for name in ("score", "distribution", "known_words"):
            assert one.pop(name, None) == pytest.approx(other.pop(name, None), abs=1e-5)
        assert one == other


def test_a_call_has_the_results_of_the_pipeline(both):
    emotions, exported = both
    assert_same(exported(TURNS), emotions(TURNS))
    assert_same(exported(TURNS, distribution=True), emotions(TURNS, distribution=True))
    assert_same(exported(TURNS, known_words=True), emotions(TURNS, known_words=True))
    for found, expected in zip(exported(TURNS, top_k=2), emotions(TURNS, top_k=2), strict=True):
        assert_same(found, expected)
    assert exported([]) == [] and exported("Hi!")[0]["text"] == "Hi!"


def assert_same_explanations(found: list[dict], expected: list[dict]) -> None:
    for one, other in zip(found, expected, strict=True):
        one, other = one["explanation"], other["explanation"]
        assert one["utterances"] == pytest.approx(other["utterances"], abs=1e-5)
        changes = [[word.pop("change") for word in explanation["words"]] for explanation in (one, other)]
        assert changes[0] == pytest.approx(changes[1], abs=1e-5) and one["words"] == other["words"]


@pytest.mark.parametrize("options", [{}, {"max_batch_tokens": 3}], ids=str)
def test_a_label_has_the_explanation_of_the_pipeline(both, options):
    emotions, exported = both
    assert_same_explanations(exported(TURNS, explain=True, **options), emotions(TURNS, explain=True, **options))
    folded = {label: "joy" if label == "joy" else "other" for label in emotions.model.config.label_names}
    found, expected = (each(TURNS, explain=True, label_map=folded, **options) for each in both)
    assert_same_explanations(found, expected)
    assert exported([[], ["Hi!"]], explain=True)[0] == []


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"max_batch_tokens": 7}])
def test_no_result_depends_on_the_dialogues_beside_it(both, options):
    emotions, exported = both
    dialogues = [TURNS, LONG, TURNS[:1], LONG[:3]]
    for found, dialogue in zip(exported(dialogues, **options), dialogues, strict=True):
        assert_same(found, emotions(dialogue))


@pytest.mark.parametrize(("num_threads", "at_once"), [(1, 1), (2, 2)])
def test_no_more_chunks_are_encoded_at_once_than_there_are_threads(words, monkeypatch, num_threads, at_once):
    exported = OnnxEmotionPipeline(words, num_threads=num_threads)
    run, active, most = exported.model._utterance_encoder.run, [], []

    def counted(*args):
        active.append(1)
        most.append(len(active))
        time.sleep(0.05)
        active.pop()
        return run(*args)

    monkeypatch.setattr(exported.model._utterance_encoder, "run", counted)
    exported([LONG] * 20)
    assert len(most) > 3 and max(most) == at_once


def test_all_forms_of_dialogues_are_read(words):
    exported = OnnxEmotionPipeline(words)
    texts = ["I am so happy!", "About what?"]
    expected = exported(texts)
    table = pd.DataFrame({"text": texts})
    for form in (np.array(texts), pd.Series(texts), table, [{"text": text} for text in texts]):
        assert exported(form) == expected
    stream = exported(iter([texts, texts]))
    assert not isinstance(stream, list) and list(stream) == [expected, expected]
    with pytest.raises(ValueError, match="a dialogue is a list of utterances"):
        exported(3)
    with pytest.raises(ValueError, match="max_batch_tokens must be at least 1; got 0"):
        OnnxEmotionPipeline(words, max_batch_tokens=0)


def test_warnings_are_those_of_the_pipeline(both, caplog):
    messages = []
    for emotions in both:
        caplog.clear()
        list(emotions([LONG, ["zxq vvk qqq"]]))
        messages.append([record.getMessage() for record in caplog.records if record.levelname == "WARNING"])
    assert messages[0] == messages[1] and "2 of 33 utterances are longer than" in messages[0][-1]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_stream_has_the_results_of_the_whole_dialogue(folders, kind):
    emotions, folder = folders[kind]
    exported = OnnxEmotionPipeline(folder)
    live, original = exported.stream(distribution=True), emotions.stream(distribution=True)
    first = [live(turn) for turn in TURNS[:2]]
    resumed = exported.stream(distribution=True)
    resumed.load_state_dict(live.state_dict())
    assert_same([*first, *(resumed(turn) for turn in TURNS[2:])], emotions(TURNS, distribution=True))
    original.load_state_dict(live.state_dict())
    assert_same([original(turn) for turn in TURNS[2:]], emotions(TURNS, distribution=True)[2:])
    for wrong in ([], [[3, 4]]):
        with pytest.raises(ValueError, match="token ids of one utterance, at least one; got the shape"):
            exported.model.stream()(wrong)
    assert live.state_dict()["state"].shape == (1, 6) and live.state_dict()["speakers"] == ["Ann", "Bo"]
    with pytest.raises(ValueError, match=r"a state of this model has the shape \(1, 6\); got the shape \(1, 7\)"):
        live.load_state_dict({**live.state_dict(), "state": np.zeros((1, 7))})
    with pytest.raises(ValueError, match="needs the key `state`; got no keys"):
        live.load_state_dict({"speakers": []})


def test_a_model_of_both_directions_has_no_stream(words):
    with pytest.raises(ValueError, match="needs a model that reads forward only; .* precode finetune --causal"):
        OnnxEmotionPipeline(words).stream()


def test_a_folder_that_is_no_export_is_refused(tmp_path, checkpoint):
    with pytest.raises(ValueError, match="no exported model, because there is no utterance_encoder.onnx"):
        OnnxEmotionPipeline(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="emotions: no exported model, .*; use precode export"):
        OnnxEmotionPipeline(checkpoint)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "conversation_encoder.onnx").write_bytes(b"onnx"), "onnx: onnxruntime .* cannot run"),
        (lambda folder: (folder / "conversation_encoder.onnx").unlink(), "there is no conversation_encoder.onnx"),
        (lambda folder: (folder / "config.json").write_text("{}"), "config.json: not the settings of an exported mod"),
        (lambda folder: (folder / "config.json").write_text("["), "config.json: not the settings of an exported mod"),
        (settings_without_temperature, "config.json: not the settings of an exported model: KeyError.'temperature'"),
        (settings_of_a_newer_version, "`format_version` 2 was exported by a newer version of precode"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json: not a tokenizer"),
        (
            lambda folder: os.truncate(folder / "tokenizer.json", 2**29),
            "tokenizer.json: must have at most 268,435,",
        ),
        (lambda folder: (folder / "tokenizer_config.json").unlink(), "tokenizer_config.json: not the settings of a to"),
        (
            lambda folder: (folder / "config.json").write_bytes(b"\xff"),
            "config.json: not the settings of an exported mo",
        ),
        (lambda folder: (folder / "config.json").write_text("[" * 10**5), "config.json: not .*: it is nested too deep"),
        (lambda folder: os.truncate(folder / "config.json", 2**40), "config.json: not .* at most 16,777,216 bytes"),
        (changed("config.json", id2label={"0": {}}), "config.json: `label_names` must be a different name .* got .{}"),
        (changed("config.json", id2label={"1": "joy"}), "config.json: not the settings of an exported model: KeyError"),
        (changed("config.json", id2label=5), "config.json: not the settings of an exported model: TypeError"),
        (changed("config.json", "onnx", temperature=-1), "config.json: `temperature` must be a number above 0; got -1"),
        (
            changed("config.json", "onnx", text_context="all"),
            '`text_context` must be "utterance" or "dialogue"; got .all',
        ),
        (
            changed("config.json", "onnx", max_window_tokens=3),
            "`max_window_tokens` must be a whole number from 4 to .*; got 3",
        ),
        (changed("config.json", "onnx", causal=5), "config.json: `causal` must be true or false; got 5"),
        (changed("config.json", "onnx", max_speakers="x"), "`max_speakers` must be a whole number from 0 .* got 'x'"),
        (
            changed("config.json", "onnx", utterance_hidden_size=10**9),
            "`utterance_hidden_size` must be .*; got 1000000",
        ),
        (
            changed("config.json", "onnx", max_utterance_tokens=1),
            "`max_utterance_tokens` must be .* at least 2, .* got 1",
        ),
        (
            changed("config.json", "onnx", causal=True),
            "conversation_encoder.onnx: must have the inputs vectors, .* state",
        ),
        (other_graph, "conversation_encoder.onnx: must have the inputs vectors, lengths; got 'input_ids, lengths'"),
        (lambda folder: (folder / "tokenizer_config.json").write_text('"text_mode"'), "config.json: .* a JSON object"),
        (changed("tokenizer_config.json", model_max_length="abc"), "`model_max_length` must be .*; got 'abc'"),
        (changed("tokenizer_config.json", text_mode="evil"), "`text_mode` must be one of clean, .*; got 'evil'"),
        (changed("tokenizer_config.json", unk_token={"a": 5}), "`unk_token` must be a string; got {'a': 5}"),
        (changed("tokenizer_config.json", unk_token="x"), "tokenizer.json: has no unknown word"),
    ],
)
def test_a_damaged_folder_is_named(words, tmp_path, damage, message):
    folder = shutil.copytree(words, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ValueError, match=message):
        OnnxEmotionPipeline(folder)
    (tmp_path / "chat.txt").write_text("Hi.\n")
    with pytest.raises(SystemExit, match=message):
        main(["predict", str(tmp_path / "chat.txt"), "--model", str(folder)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            changed("config.json", "onnx", utterance_hidden_size=9),
            "utterance_encoder.onnx: must return float32 of the sh",
        ),
        (changed("config.json", id2label={"0": "joy"}), "conversation_encoder.onnx: must return float32 of the shapes"),
        (lambda folder: shift_ids(folder / "tokenizer.json"), "utterance_encoder.onnx: onnxruntime .* cannot run it: "),
        (settings_without_tokens, "tokenizer.json: has no token for an utterance without words"),
    ],
)
def test_a_folder_whose_files_do_not_fit_is_named_when_it_is_used(words, tmp_path, damage, message):
    folder = shutil.copytree(words, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        OnnxEmotionPipeline(folder)(TURNS)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


LABEL = """
import sys
from modeling_precode.onnx_runtime import OnnxEmotionPipeline
from modeling_precode.cli.main import main

folder, chat = sys.argv[1:]
print([turn["label"] for turn in OnnxEmotionPipeline(folder)(["I got the job!", "What?"])])
main(["predict", chat, "--model", folder, "--format", "jsonl"])
"""


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory) -> str:
    """A `PYTHONPATH` with which torch, transformers and datasets cannot be imported."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "sitecustomize.py").write_text(WITHOUT_TORCH)
    return os.pathsep.join([str(folder), str(ROOT)])


def test_nothing_is_labeled_with_torch_transformers_or_datasets(words, folders, without_torch, tmp_path):
    (tmp_path / "chat.txt").write_text("I got the job!\nWhat?\n")
    command = [sys.executable, "-c", LABEL, words, tmp_path / "chat.txt"]
    environment = {**os.environ, "PYTHONPATH": without_torch}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    labels, predicted = done.stdout.splitlines()
    expected = [turn["label"] for turn in folders["words"][0](["I got the job!", "What?"])]
    assert labels == str(expected) and json.loads(predicted)["predictions"] == expected


@pytest.mark.slow
def test_a_clean_environment_without_torch_labels_with_the_default_model(tmp_path):
    main(["export", "default", str(tmp_path / "out"), "--check", "sample"])
    python = make_environment(tmp_path / "environment", "onnxruntime", "tokenizers", "numpy")
    packages = next((tmp_path / "environment").glob("lib/*/site-packages"))
    for name in ("modeling_precode", "data_scripts"):
        (packages / name).symlink_to(ROOT / name)
    code = (
        "import importlib.util, sys; from modeling_precode.onnx_runtime import OnnxEmotionPipeline\n"
        "assert not any(map(importlib.util.find_spec, ('torch', 'transformers', 'datasets')))\n"
        "print([turn['label'] for turn in OnnxEmotionPipeline(sys.argv[1])(['I got the job!', 'What is the time?'])])"
    )
    command = [python, "-c", code, tmp_path / "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['joy', 'neutral']\n"


@pytest.fixture(scope="module")
def served(folders) -> OnnxEmotionPipeline:
    return OnnxEmotionPipeline(folders["text"][1])


@pytest.fixture(scope="module")
def service(folders, without_torch) -> Iterator[Service]:
    """The service of a causal model, without torch, transformers and datasets."""
    with serving(str(folders["text"][1]), PYTHONPATH=without_torch) as service:
        yield service


def test_the_service_answers_as_the_exported_model(service, served):
    for inputs in (DIALOGUE, "I am so happy!", [DIALOGUE, []]):
        answer = service.label({"inputs": inputs, "parameters": {"distribution": True}})
        assert_equal(answer.json, served(inputs, distribution=True))
    expected = {"status": "ok", "model": "text", "labels": LABELS, "causal": True}
    assert service.ask("/healthz").json == expected
    assert service.metric("precode_utterances_total") >= 5


CAPTIONS = b"""WEBVTT

00:01.000 --> 00:02.000
<v Ana>I am so happy!

00:03.000 --> 00:04.000
<v Ben>What?
"""


def workbook() -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in (["dialogue_id", "speaker", "text"], [1, "Ana", "I am so happy!"], [1, "Ben", "What?"]):
        book.active.append(row)
    book.save(content)
    return content.getvalue()


def parquet() -> bytes:
    labels = datasets.List(datasets.ClassLabel(names=["joy", "anger"]))
    texts = datasets.List(datasets.Value("string"))
    features = datasets.Features({"utterances": texts, "speakers": texts, "labels": labels})
    rows = {"utterances": [["I am so happy!", "What?"]], "speakers": [["Ana", "Ben"]], "labels": [[0, 1]]}
    content = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(content)
    return content.getvalue()


@pytest.mark.parametrize(
    "name, content",
    [
        ("chat.txt", lambda: b"Ana: I am so happy!\nBen: What?\n"),
        ("chat.jsonl", lambda: b'{"utterances": ["I am so happy!", "What?"], "speakers": ["Ana", "Ben"]}'),
        ("talk.vtt", lambda: CAPTIONS),
        ("whatsapp.txt", lambda: b"[1/2/24, 10:00:01] Ana: I am so happy!\n[1/2/24, 10:00:09] Ben: What?\n"),
        ("latin.txt", lambda: "Ana: I am so happy!\nBen: What?\n\nÉva: déjà vu, très élégant\n".encode("latin-1")),
        ("table.xlsx", workbook),
        ("table.parquet", parquet),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_service_reads_every_kind_of_file(service, served, name, content):
    answer = service.upload(name, content())
    assert answer.status == 200, answer.json
    turns = answer.json[0]["turns"]
    for turn in turns:
        turn.pop("start", None), turn.pop("end", None)
    assert_equal(turns, served([("Ana", "I am so happy!"), ("Ben", "What?")]))


def test_the_service_has_its_pages(service):
    assert 'id="live"' in service.ask("/").body.decode()
    page = service.upload("chat.txt", b"Ana: I am <b>so</b> happy!\n", "/v1/page")
    assert page.headers["content-type"].startswith("text/html") and "&lt;b&gt;so" in page.body.decode()


def test_the_service_labels_a_dialogue_in_progress(service, served):
    expected = served.stream(distribution=True)
    with connect(f"ws://127.0.0.1:{service.port}/v1/stream?distribution=true") as stream:
        for utterance in [*DIALOGUE, "so?"]:
            stream.send(json.dumps(utterance))
            assert_equal(json.loads(stream.recv()), expected(utterance))


@pytest.mark.slow
def test_the_service_of_a_model_that_reads_both_ways_refuses_a_stream(words, without_torch):
    with serving(str(words), PYTHONPATH=without_torch) as service:
        with connect(f"ws://127.0.0.1:{service.port}/v1/stream") as stream:
            assert "cannot label a dialogue in progress" in json.loads(stream.recv())["error"]
            with pytest.raises(ConnectionClosed) as closed:
                stream.recv()
        assert closed.value.rcvd and closed.value.rcvd.code == 4422
        assert service.label("Hi!").status == 200


def test_a_checkpoint_is_refused_without_torch(without_torch):
    command = [sys.executable, "-m", "modeling_precode.cli.main", "serve", "default"]
    environment = {**os.environ, "PYTHONPATH": without_torch}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "default: a checkpoint needs transformers, which is not installed" in done.stderr
    assert "give a folder that precode export wrote" in done.stderr
