"""What loading a checkpoint from a stranger promises: what makes no model is refused in one line, which names the file,
the setting and its value, before any weights are read."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import text_encoders
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from modeling_precode import PreCodeForUtteranceClassification, PreCodeTokenizer
from modeling_precode.cli.main import main
from modeling_precode.loading.checkpoints import load_config, load_tokenizer

WORDS = ["<pad>", "<unk>", "i", "am", "so", "happy", "!"]
CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
INDEX = "model.safetensors.index.json"
NESTED = '{"a":' * 1000 + "1" + "}" * 1000


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A small checkpoint over words, which no test changes."""
    from modeling_precode import PreCodeConfig

    folder = tmp_path_factory.mktemp("saved") / "model"
    sizes = {"word_vector_size": 6, "utterance_hidden_size": 4, "conversation_hidden_size": 4}
    names = {"id2label": {0: "anger", 1: "joy", 2: "neutral"}, "label2id": {"anger": 0, "joy": 1, "neutral": 2}}
    torch.manual_seed(0)
    config = PreCodeConfig(vocab_size=len(WORDS), classifier_hidden_size=3, **sizes, **names)
    PreCodeForUtteranceClassification(config).save_pretrained(folder)
    PreCodeTokenizer.from_vocabulary(WORDS).save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(saved, tmp_path) -> Path:
    """A copy of it, for a test to spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.fixture(scope="module")
def saved_text(tmp_path_factory) -> Path:
    """A small checkpoint over a text encoder, which no test changes."""
    encoder = text_encoders.write_text_encoder(tmp_path_factory.mktemp("bert"), ["i am so happy", "about what"])
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = PreCodeForUtteranceClassification.from_utterance_encoder(str(encoder), utterance_hidden_size=4)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


@pytest.fixture
def text_checkpoint(saved_text, tmp_path) -> Path:
    return Path(shutil.copytree(saved_text, tmp_path / "model"))


def change(path: Path, **settings: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **settings}), encoding="utf-8")


def assert_refused(checkpoint: Path, message: str) -> None:
    """A model says it in one line; a pipeline says the same, within a report of transformers."""
    for load in (
        PreCodeForUtteranceClassification.from_pretrained,
        AutoModelForSequenceClassification.from_pretrained,
    ):
        with pytest.raises(ValueError, match=message) as error:
            load(checkpoint)
        assert "\n" not in str(error.value) and str(checkpoint) in str(error.value)
        assert len(str(error.value)) < len(str(checkpoint)) + 500
    with pytest.raises(ValueError, match=message):
        pipeline("conversation-emotion", model=str(checkpoint))


LABELS = {"0": "anger", "1": "joy", "2": "neutral"}
SETTINGS = [
    ({"utterance_hidden_size": 10**9}, "`utterance_hidden_size` must be at most 65,536; got 1,000,000,000"),
    ({"conversation_hidden_size": -4}, "`conversation_hidden_size` must be at least 1; got -4"),
    ({"hidden_size": 10**9}, "`conversation_hidden_size` must be at most 65,536; got 1,000,000,000"),
    ({"word_vector_size": 4.5}, "'word_vector_size' expected int, got float .value: 4.5."),
    ({"vocab_size": True}, "'vocab_size' expected int, got bool"),
    ({"vocab_size": 10**12}, "`vocab_size` must be at most 16,777,216; got 1,000,000,000,000"),
    ({"classifier_hidden_size": "3"}, "'classifier_hidden_size' expected int, got str .value: '3'."),
    ({"max_speakers": 10**9}, "`max_speakers` must be at least 0 and at most 65,536; got 1000000000"),
    ({"word_vector_max_norm": -1}, "`word_vector_max_norm` must be more than 0, or None; got -1"),
    ({"utterance_encoder": "\x1b]0;trap"}, r"must be one of gru, .*; got '\\x1b\]0;trap'"),
    ({"pad_token_id": 99}, "`pad_token_id` must be at least 0 and less than `vocab_size`, 7; got 99"),
    ({"class_weights": [1.0, -1.0, 1.0]}, "`class_weights` must be at least 0; got -1.0"),
    ({"class_weights": [1.0]}, "`class_weights` must have a weight for each of 3 labels; got 1"),
    ({"id2label": {"0": "anger", "2": "joy"}}, r"`id2label` must .* from 0 to 1; got \['0', '2'\], without 1"),
    ({"id2label": {**LABELS, "1": None}}, "`id2label` must give label 1 a name; got None"),
    ({"id2label": {**LABELS, "1": 5}}, "`id2label` must give label 1 a name; got 5"),
    ({"id2label": {**LABELS, "1": " "}}, "`id2label` must give label 1 a name; got ' '"),
    ({"id2label": {**LABELS, "1": "neutral"}}, "`id2label` must give every label a name of its own; got 'neutral'"),
    ({"id2label": {**LABELS, "1": "<script>x</script>"}}, "label 1 a name without markup; got '<script>x</script>'"),
    ({"id2label": ["anger", "joy", "neutral"]}, r"`id2label` must give a name to each .*; got \['anger', 'joy'"),
    ({"id2label": {}}, "`id2label` must give a name to each of 1 to 65,536 labels; got {}"),
    ({"label2id": {"joy": 0}}, "`label2id` must give 'joy' the number that `id2label` gives it, 1; got 0"),
    ({"label2id": 5}, "`label2id` must be a dictionary; got 5"),
    ({"num_labels": 10**9}, "`num_labels` must be a whole number from 1 to 65,536; got 1000000000"),
    ({"return_dict": False}, "`return_dict` must be true; got False"),
    ({"dtype": "evil"}, "`dtype` must be one of float16, bfloat16, float32, float64; got 'evil'"),
    ({"dtype": "save"}, "`dtype` must be one of float16, bfloat16, float32, float64; got 'save'"),
    ({"architectures": 5}, "`architectures` must be a list of names; got 5"),
    ({"architectures": [5]}, r"`architectures` must be a list of names; got \[5\]"),
    ({"custom_pipelines": 5}, "`custom_pipelines` must be a dictionary; got 5"),
    ({"to_dict": 5}, "'to_dict' is not the name of a setting"),
    ({"transformers_weights": "adapter_model.bin"}, "`transformers_weights` must not name another file; got 'adapter"),
    ({"training_summary": ["x" * 99] * 999}, r"'training_summary' .*\.\.\.$"),
    ({"text_config": 5}, "`text_config` must be a dictionary; got 5"),
]


@pytest.mark.parametrize(("settings", "message"), SETTINGS, ids=lambda value: str(value)[:60])
def test_a_setting_that_makes_no_model_is_named_with_its_file_and_value(checkpoint, settings, message):
    change(checkpoint / CONFIG, **settings)
    # Nothing else is needed to see it.
    (checkpoint / "model.safetensors").unlink()
    assert_refused(checkpoint, f"model/config.json: .*{message}")
    with pytest.raises(ValueError, match=message):
        load_config(str(checkpoint))


TEXT_SETTINGS = [
    ({"model_type": "unheard of"}, "`model_type` must be a type of model that .* knows; got 'unheard of'"),
    ({"model_type": "precode"}, "`model_type` must be a type of model that .* knows; got 'precode'"),
    ({"model_type": 5}, "`model_type` must be a type of model that .* knows; got 5"),
    ({"num_hidden_layers": 10**9}, "`num_hidden_layers` must be at most 4,096; got 1000000000"),
    ({"hidden_size": 10**9}, "`hidden_size` must be a whole number from 1 to 65,536; got 1000000000"),
    ({"vocab_size": -1}, "`vocab_size` must be a whole number from 1 to 16,777,216; got -1"),
    ({"hidden_size": 1.5}, "'hidden_size' expected int, got float .value: 1.5."),
    ({"dtype": "evil"}, "`dtype` must be one of float16, bfloat16, float32, float64; got 'evil'"),
    ({"num_attention_heads": 0}, "model: no model can be built from its config.json: "),
    ({"hidden_size": 32}, r"has the shape \(\d+, 32\), but its weights have \(\d+, 16\)"),
    ({"intermediate_size": 10**12}, "model: (no model can be built from its config.json|by its config.json, .* shape)"),
    (
        {"max_position_embeddings": 10**9},
        r"position_embeddings.weight has the shape \(1000000000, 16\), but its weights",
    ),
]


@pytest.mark.parametrize(("settings", "message"), TEXT_SETTINGS, ids=lambda value: str(value)[:60])
def test_a_text_encoder_that_lies_is_refused_before_memory_is_taken(text_checkpoint, settings, message):
    config = json.loads((text_checkpoint / CONFIG).read_text(encoding="utf-8"))
    change(text_checkpoint / CONFIG, text_config={**config["text_config"], **settings})
    assert_refused(text_checkpoint, message)


TOKENIZER_SETTINGS = [
    ({"model_max_length": 1e30}, "`model_max_length` must be a whole number of tokens, at least 2; got 1e[+]30"),
    ({"model_max_length": "abc"}, "`model_max_length` must be a whole number of tokens, at least 2; got 'abc'"),
    ({"model_max_length": 1}, "`model_max_length` must be a whole number of tokens, at least 2; got 1"),
    ({"model_max_length": -5}, "`model_max_length` must be a whole number of tokens, at least 2; got -5"),
    ({"text_mode": "evil"}, "`text_mode` must be one of clean, original, unicode; got 'evil'"),
    ({"padding_side": "up"}, "`padding_side` must be one of left, right; got 'up'"),
    ({"pad_token": 5}, "`pad_token` must be a string; got 5"),
    ({"tokenizer_class": 5}, "`tokenizer_class` must be of the type str; got 5"),
    ({"auto_map": {"AutoTokenizer": 5}}, "`auto_map` must give 'AutoTokenizer' the name of a class; got 5"),
    ({"auto_map": {"AutoTokenizer": []}}, r"`auto_map` must give 'AutoTokenizer' the name of a class; got \[\]"),
    ({"added_tokens_decoder": 5}, "`added_tokens_decoder` must be a dictionary of tokens; got 5"),
    ({"added_tokens_decoder": {"x": {"content": "a"}}}, "`added_tokens_decoder` must give a number a token"),
    ({"added_tokens_decoder": {"99": {"content": "a"}}}, "the id of 'a' must be less than .* `vocab_size`, 7; got 99"),
]


@pytest.mark.parametrize(("settings", "message"), TOKENIZER_SETTINGS, ids=lambda value: str(value)[:60])
def test_a_setting_that_makes_no_tokenizer_is_named_with_its_file_and_value(checkpoint, settings, message):
    change(checkpoint / TOKENIZER_CONFIG, **settings)
    assert_refused(checkpoint, f"model/tokenizer_config.json: {message}")
    with pytest.raises(ValueError, match=message):
        load_tokenizer(str(checkpoint))


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({"joy": 99}, "the id of 'joy' must be less than the model's `vocab_size`, 7; got 99"),
        ({"joy": 6}, "`vocab` must give every word an id of its own; got 6 for '!' and 'joy'|has 8 words"),
        ({"joy": 10**30}, "not a tokenizer: "),
        ({"joy": -1}, "not a tokenizer: "),
        ({"joy": "x"}, "not a tokenizer: "),
    ],
)
def test_token_ids_that_the_model_does_not_have_are_refused(checkpoint, vocabulary, message):
    content = json.loads((checkpoint / TOKENIZER).read_text(encoding="utf-8"))
    content["model"]["vocab"].update(vocabulary)
    (checkpoint / TOKENIZER).write_text(json.dumps(content))
    assert_refused(checkpoint, message)


def test_a_tokenizer_whose_padding_is_another_word_is_refused(checkpoint):
    content = json.loads((checkpoint / TOKENIZER).read_text(encoding="utf-8"))
    content["model"]["vocab"].update({"<pad>": 4, "so": 0})
    content["added_tokens"][0]["id"] = 4
    (checkpoint / TOKENIZER).write_text(json.dumps(content))
    assert_refused(checkpoint, "tokenizer.json: the id of '<pad>' must be the `pad_token_id` of config.json, 0; got 4")


def test_a_pipeline_refuses_a_tokenizer_of_another_model(checkpoint):
    other = PreCodeTokenizer.from_vocabulary([*WORDS, "joy"])
    with pytest.raises(ValueError, match="model: the tokenizer has 8 words and the model 7; they come from different"):
        pipeline("conversation-emotion", model=str(checkpoint), tokenizer=other)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, TOKENIZER_CONFIG])
@pytest.mark.parametrize("content", [NESTED, "[" * 100_000, "5", "\xff", "{", '{"a": ' + "1" * 5000 + "}"])
def test_a_file_that_is_no_json_object_or_is_nested_deeply_is_named(checkpoint, name, content):
    (checkpoint / name).write_text(content, encoding="latin-1")
    for load in (PreCodeForUtteranceClassification.from_pretrained, lambda folder: load_tokenizer(str(folder))):
        with pytest.raises(ValueError, match=f"model/{name}: "):
            load(checkpoint)


def test_a_large_file_is_refused_before_it_is_read(checkpoint):
    with open(checkpoint / CONFIG, "r+b") as file:
        file.truncate(2**40)
    with pytest.raises(
        ValueError, match="model/config.json: must have at most 16,777,216 bytes; got 1,099,511,627,776"
    ):
        load_config(str(checkpoint))


def header_of(content: dict) -> bytes:
    header = json.dumps(content).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**60) + b"{}",
        header_of({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        header_of({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}) + bytes(8),
        header_of({"a": {"dtype": "evil", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header_of({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}) + bytes(4),
    ],
)
def test_weights_whose_header_lies_are_refused(checkpoint, content):
    (checkpoint / "model.safetensors").write_bytes(content)
    assert_refused(checkpoint, "model.safetensors: not a safetensors file: ")


def test_weights_of_another_size_than_the_settings_are_refused_and_not_begun_anew(checkpoint):
    change(checkpoint / CONFIG, utterance_hidden_size=2**16)
    message = r"by its config.json, .* has the shape \(196608, 6\), but its weights have \(12, 6\)"
    assert_refused(checkpoint, message)
    with pytest.raises(ValueError, match=message):
        PreCodeForUtteranceClassification.from_pretrained(checkpoint, ignore_mismatched_sizes=True)


def test_a_head_for_other_labels_is_still_the_users_to_ask_for(checkpoint):
    model = PreCodeForUtteranceClassification.from_pretrained(checkpoint, num_labels=5, ignore_mismatched_sizes=True)
    assert model.config.num_labels == 5


class Trap:
    """Leaves a file behind when it is read from a pickle."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("place", ["trap.bin", "../trap.bin", "../trap.safetensors", "{outside}", "sub/a.safetensors"])
def test_an_index_of_shards_names_safetensors_files_of_the_folder_alone(checkpoint, tmp_path, place):
    outside = tmp_path / "trap.safetensors"
    shutil.copy(checkpoint / "model.safetensors", outside)
    torch.save(Trap(tmp_path / "ran"), tmp_path / "trap.bin")
    shutil.copy(tmp_path / "trap.bin", checkpoint / "trap.bin")
    (checkpoint / "sub").mkdir()
    (checkpoint / "model.safetensors").rename(checkpoint / "sub" / "a.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.output.bias": place.format(outside=outside)}}
    (checkpoint / INDEX).write_text(json.dumps(index))
    assert_refused(checkpoint, f"{INDEX}: `weight_map` must name safetensors files of the checkpoint; got '")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [{}, {"metadata": {}, "weight_map": 5}, {"metadata": {}, "weight_map": {"a": 5}}])
def test_an_index_of_another_form_is_refused(checkpoint, content):
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / INDEX).write_text(json.dumps(content))
    assert_refused(checkpoint, f"{INDEX}: `")


def test_a_checkpoint_in_shards_loads(saved, tmp_path):
    model = PreCodeForUtteranceClassification.from_pretrained(saved)
    model.save_pretrained(tmp_path / "shards", max_shard_size="1KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    loaded = PreCodeForUtteranceClassification.from_pretrained(tmp_path / "shards").state_dict()
    assert all(torch.equal(weight, loaded[name]) for name, weight in model.state_dict().items())


def spoil_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"")


def spoil_labels(checkpoint: Path) -> None:
    change(checkpoint / CONFIG, id2label={"0": "a\x1b]0;trap\x07", "2": "b"})


def spoil_length(checkpoint: Path) -> None:
    change(checkpoint / TOKENIZER_CONFIG, model_max_length=1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_labels, "config.json: `id2label` must give a name to every number"),
        (spoil_length, "tokenizer_config.json: `model_max_length` must be a whole number of tokens"),
        (spoil_weights, "model.safetensors: not a safetensors file"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "finetune"])
@pytest.mark.usefixtures("no_state_of_another_test")
def test_a_command_ends_with_one_line(checkpoint, tmp_path, command, spoil, message):
    spoil(checkpoint)
    (tmp_path / "a.txt").write_text("Ann: so happy!\n")
    arguments = {
        "predict": [str(tmp_path / "a.txt")],
        "evaluate": ["--corpus", "sample"],
        "finetune": ["--corpus", "sample", "--output_dir", str(tmp_path / "output")],
    }
    with pytest.raises(SystemExit) as end:
        main([command, "--model", str(checkpoint), *arguments[command]])
    line = str(end.value)
    assert line.startswith(f"error: {checkpoint}/{message}")
    assert "\n" not in line and "\x1b" not in line
    assert not (tmp_path / "output").exists()
