"""What `precode export` promises: an ONNX model with the results of the original, whole or not at all, whose losses are
on its card; and a clear word about what cannot be exported."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hub_repositories import StoredFile
from onnx_models import SETTINGS, pipeline_of, text_model, texts, word_model
from test_scripts import run
from text_encoders import KINDS, write_text_encoder
from transformers import LongformerConfig, pipeline

from data_scripts import load_corpus
from modeling_precode import (
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    RunSummary,
    write_model_card,
)
from modeling_precode.cli.main import main
from modeling_precode.configuration_precode import GRU_UTTERANCE_ENCODERS, TEXT_POOLINGS
from modeling_precode.conversion import onnx_comparison
from modeling_precode.conversion.onnx_comparison import Comparison
from modeling_precode.conversion.onnx_export import export_onnx
from modeling_precode.onnx_runtime import OnnxEmotionPipeline, is_exported
from modeling_precode.sharing.push import name_card

FILES = ["README.md", "config.json", "conversation_encoder.onnx"]
FILES += ["tokenizer.json", "tokenizer_config.json", "utterance_encoder.onnx"]


@pytest.fixture(scope="module")
def dialogues():
    return load_corpus("sample")["validation"]


@pytest.fixture(scope="module")
def words(dialogues, tmp_path_factory):
    """A pipeline with word vectors, and the folder of its export in 8 bits."""
    emotions = pipeline_of(word_model(max_speakers=2))
    folder = tmp_path_factory.mktemp("export") / "int8"
    export_onnx(emotions, folder, dialogues, corpus="sample", quantization="int8", allowed_loss=100)
    return emotions, folder


def test_the_folder_has_the_model_its_tokenizer_its_settings_and_its_card(words):
    _, folder = words
    assert sorted(path.name for path in folder.iterdir()) == FILES and is_exported(folder)
    settings = json.loads((folder / "config.json").read_text())
    assert settings["onnx"]["quantization"] == "int8" and settings["model_type"] == "precode"
    assert "auto_map" not in settings and str(folder.parent) not in (folder / "config.json").read_text()
    for graph in folder.glob("*.onnx"):
        onnx.checker.check_model(graph)


def test_nothing_in_the_folder_says_where_the_model_lay(tmp_path, dialogues):
    text_model(tmp_path / "bert").save_pretrained(tmp_path / "checkpoint")
    model = PreCodeForUtteranceClassification.from_pretrained(tmp_path / "checkpoint")
    model.config.text_config.name_or_path = str(tmp_path / "bert")  # as earlier versions saved it
    export_onnx(pipeline_of(model, tmp_path / "bert"), tmp_path / "out", dialogues)
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_loaded(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match=f"{tmp_path}: the folder is not empty; use another folder"):
        main(["export", "no/such-model", str(tmp_path), "--check", "no such corpus"])


def test_int8_is_small_and_its_losses_are_on_the_card(words, dialogues):
    emotions, folder = words
    original, exported = ([turn["label"] for turns in one(dialogues) for turn in turns] for one in
                          (emotions, OnnxEmotionPipeline(folder)))  # fmt: skip
    same = np.mean([label == other for label, other in zip(original, exported, strict=True)])
    assert len(set(original)) > 3 and same > 0.95
    weights = emotions.model.precode.utterance_encoder.word_embedding.weight
    assert (folder / "utterance_encoder.onnx").stat().st_size < 4 * weights.numel()
    card = (folder / "README.md").read_text()
    assert f"231 utterances of the corpus sample: {100 * same:.2f} % of the labels are the same" in card
    assert card.count("| original | ") == card.count("| export | ") == 1


def test_a_corpus_without_the_labels_of_the_model_is_refused_before_the_export(tmp_path, dialogues):
    emotions = pipeline_of(word_model(id2label={0: "calm", 1: "wild"}, label2id={"calm": 0, "wild": 1}))
    with pytest.raises(ValueError, match="corpus sample cannot measure .* it has no calm, wild; use --check with a"):
        export_onnx(emotions, tmp_path / "out", dialogues, corpus="sample", quantization="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_stays_as_it_is(tmp_path, dialogues):
    (tmp_path / "thesis.txt").write_text("All of it.")
    with pytest.raises(FileExistsError, match=f"^{tmp_path}: the folder is not empty; use another folder$"):
        export_onnx(pipeline_of(word_model()), tmp_path, dialogues)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def compared(**changes) -> Comparison:
    same = {"utterances": 9, "difference": 0.0, "agreement": 1.0}
    return Comparison(**{**same, "original_f1": 0.8, "exported_f1": 0.79, **changes})


def test_a_loss_is_an_error_unless_it_is_allowed():
    compared().check_labels("sample", allowed_loss=1.1)
    with pytest.raises(ValueError, match="loses 1.00 points of weighted F1 on the corpus sample, and at most 0.5 are"):
        compared().check_labels("sample", allowed_loss=0.5)
    compared(exported_f1=0.9).check_labels("sample", allowed_loss=0)


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_other_results_are_an_error(difference):
    compared(difference=9e-5).check_numbers()
    with pytest.raises(ValueError, match="the exported model has other results than the model: logits differ by"):
        compared(difference=difference).check_numbers()


@pytest.mark.parametrize("threads", ["", "2,1"])
def test_an_export_loads_with_every_number_of_threads_that_openmp_allows(words, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert OnnxEmotionPipeline(words[1])("so happy")[0]["label"] in words[0].model.config.label_names


@pytest.mark.parametrize("place", range(5))
def test_numbers_that_are_not_finite_count_in_every_shape(words, dialogues, monkeypatch, place):
    good = np.zeros((9, 3))
    pairs = iter([(good, good if number != place else good * np.nan) for number in range(5)])
    monkeypatch.setattr(onnx_comparison, "_both", lambda *_: next(pairs))
    emotions, folder = words
    found = onnx_comparison.compare(emotions, OnnxEmotionPipeline(folder), dialogues.remove_columns("labels"))
    with pytest.raises(ValueError, match="the exported model has other results"):
        found.check_numbers()


@pytest.fixture
def carded(checkpoint) -> Path:
    """A checkpoint with a card."""
    write_model_card(checkpoint, "emotions", "erc", RunSummary(corpus="calls", licence="MIT", command=""))
    return checkpoint


def test_the_card_of_an_export_has_examples_that_load_it_also_after_a_push(carded, tmp_path):
    main(["export", str(carded), str(tmp_path / "int8"), "--check", "sample"])
    card = (tmp_path / "int8" / "README.md").read_text()
    assert card.count("## Use") == 1 and "pipeline(" not in card and "**calls**" in card
    assert 'OnnxEmotionPipeline("int8")' in card and 'hf download "int8" --local-dir "int8"' in card
    name_card(tmp_path / "int8" / "README.md", "you/calls")
    pushed = (tmp_path / "int8" / "README.md").read_text()
    assert 'OnnxEmotionPipeline("you/calls")' in pushed and 'download "you/calls" --local-dir "you/calls"' in pushed


def test_the_card_of_an_exported_revision_is_that_of_the_revision(hub, carded, tmp_path):
    hub.add("someone/model", carded)
    repository = hub.repositories["model", "someone/model"]
    repository.tags["v1"] = repository.branches["main"]
    repository.commit("main", {"summary": "another corpus"}, {"README.md": StoredFile(b"# Later", False)}, [])
    code = "import sys; from modeling_precode.cli.main import main; main(sys.argv[1:])"
    arguments = ("export", "someone/model", str(tmp_path / "out"), "--check", "sample", "--revision", "v1")
    run("-c", code, *arguments, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0", HF_HOME=str(tmp_path / "home"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert "**calls**" in card and "# Later" not in card


def test_an_utterance_alone_and_the_state_of_a_stream_are_compared(tmp_path, dialogues, monkeypatch):
    emotions = pipeline_of(word_model(causal=True))
    export_onnx(emotions, tmp_path / "out", dialogues)
    exported, sizes = OnnxEmotionPipeline(tmp_path / "out"), []
    logits, step = exported.model.logits, exported.model.step

    def counted(rows):
        sizes.append([len(row["input_ids"]) for row in rows])
        return logits(rows)

    monkeypatch.setattr(exported.model, "logits", counted)
    assert onnx_comparison.compare(emotions, exported, dialogues).difference <= onnx_comparison.TOLERANCE
    assert [1] in sizes
    monkeypatch.setattr(exported.model, "step", lambda vector, speaker_id, state: step(vector, speaker_id))
    with pytest.raises(ValueError, match="the exported model has other results"):
        onnx_comparison.compare(emotions, exported, dialogues).check_numbers()


def test_an_encoder_that_cannot_be_exported_is_named_and_leaves_nothing(tmp_path, dialogues):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    encoder = LongformerConfig(**sizes, vocab_size=400, max_position_embeddings=40, attention_window=4)
    model = PreCodeForUtteranceClassification(
        PreCodeConfig(utterance_encoder="text_encoder", text_config=encoder, **SETTINGS)
    )
    write_text_encoder(tmp_path / "bert", texts())
    with pytest.raises(ValueError, match="a text encoder of the kind 'longformer' cannot be exported to ONNX: "):
        export_onnx(pipeline_of(model, tmp_path / "bert"), tmp_path / "out", dialogues)
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


def test_a_model_on_another_device_or_in_other_precision_is_refused(tmp_path, dialogues):
    emotions = pipeline_of(word_model().bfloat16())
    with pytest.raises(ValueError, match="must be on the CPU and in float32; got cpu and torch.bfloat16"):
        export_onnx(emotions, tmp_path / "out", dialogues)


def test_a_checkpoint_that_labels_nothing_is_refused(tiny_config, tokenizer, tmp_path):
    PreCodeForConversationCompletion(tiny_config()).save_pretrained(tmp_path / "convcom")
    tokenizer.save_pretrained(tmp_path / "convcom")
    with pytest.raises(SystemExit, match="PreCodeForConversationCompletion, which labels nothing; fine-tune it first"):
        main(["export", str(tmp_path / "convcom"), str(tmp_path / "out")])


def test_an_export_is_exported_scored_and_used_by_the_commands(checkpoint, tmp_path, capsys):
    out = str(tmp_path / "out")
    main(["export", str(checkpoint), out, "--check", "sample"])
    printed = capsys.readouterr().out
    assert "Same label as the model: 100.00 % of 231 utterances" in printed and "Weighted F1 on sample: " in printed
    (tmp_path / "chat.txt").write_text("Ann: I am so happy!\nBo: About what?\n")
    labeled = []
    for model in (str(checkpoint), out):
        main(["predict", str(tmp_path / "chat.txt"), "--model", model, "--format", "jsonl"])
        labeled.append(json.loads(capsys.readouterr().out))
    assert labeled[0].pop("scores") == pytest.approx(labeled[1].pop("scores"), abs=1e-5)
    assert labeled[0] == labeled[1]
    scores = []
    for model in (str(checkpoint), out):
        path = tmp_path / "scores.json"
        main(["evaluate", "--model", model, "--corpus", "sample", "--output", str(path)])
        scores.append(json.loads(path.read_text())["corpora"][0]["scores"]["confusion_matrix"])
    assert scores[0] == scores[1]
    message = "out: is an exported model; load it with modeling_precode.onnx_runtime.OnnxEmotionPipeline"
    with pytest.raises(ValueError, match=message):
        PreCodeForUtteranceClassification.from_pretrained(out)
    with pytest.raises(ValueError, match=message):
        pipeline("conversation-emotion", model=out)
    with pytest.raises(SystemExit, match="an exported model, which runs on the CPU only"):
        main(["predict", str(tmp_path / "chat.txt"), "--model", out, "--device", "cuda"])
    with pytest.raises(SystemExit, match="is already an exported model; use the checkpoint"):
        main(["export", out, str(tmp_path / "again")])


def differences(emotions, folder: Path, dialogues) -> float:
    """The largest difference of a probability."""
    pairs = zip(
        emotions(dialogues, distribution=True), OnnxEmotionPipeline(folder)(dialogues, distribution=True), strict=True
    )
    return max(
        np.abs(np.subtract(list(one["distribution"].values()), list(other["distribution"].values()))).max()
        for pair in pairs
        for one, other in zip(*pair, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", GRU_UTTERANCE_ENCODERS)
@pytest.mark.parametrize("pooling_length", [None, 4, 60])
@pytest.mark.parametrize("causal", [False, True])
def test_every_word_vector_encoder_has_the_results_of_the_model(kind, pooling_length, causal, tmp_path, dialogues):
    settings = {"utterance_encoder": kind, "pooling_length": pooling_length, "causal": causal, "max_speakers": 3}
    emotions = pipeline_of(word_model(**settings))
    export_onnx(emotions, tmp_path / "out", dialogues)
    assert differences(emotions, tmp_path / "out", dialogues) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", TEXT_POOLINGS)
def test_every_text_encoder_has_the_results_of_the_model(kind, pooling, tmp_path, dialogues):
    emotions = pipeline_of(text_model(tmp_path / "encoder", kind, text_pooling=pooling), tmp_path / "encoder")
    export_onnx(emotions, tmp_path / "out", dialogues)
    assert differences(emotions, tmp_path / "out", dialogues) < 1e-5


@pytest.mark.slow
def test_the_default_model_in_int8_labels_almost_as_well(tmp_path, capsys):
    main(["export", "default", str(tmp_path / "out"), "--quantize", "int8"])
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 25e6
    agreement = capsys.readouterr().out.partition("Same label as the model: ")[2].partition(" %")[0]
    assert float(agreement) > 97
