"""What the converter promises: the original's models as they were, and errors of one line that write nothing."""

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest
import torch
import torch.backends.cudnn.rnn
from original_files import CONTAINERS, EMOTIONS, KINDS, PLACES, TORCH_CONTAINERS, WORDS, Original
from torch import nn
from transformers import AutoModelForPreTraining, AutoModelForSequenceClassification, AutoTokenizer

from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification, PreCodeTokenizer
from modeling_precode.conversion.original_checkpoint import convert_original_checkpoint, main

ROOT = Path(__file__).resolve().parents[1]


def assert_holds(folder: Path, modules: dict[str, nn.Module]):
    """The folder's model holds every tensor of the modules, and no other."""
    classification = type(modules["dec"]).__name__ == "mlpDecoder"
    auto_class = AutoModelForSequenceClassification if classification else AutoModelForPreTraining
    model = auto_class.from_pretrained(folder)
    assert type(model) is (PreCodeForUtteranceClassification if classification else PreCodeForConversationCompletion)
    expected = {}
    for argument, module in modules.items():
        for name, tensor in module.state_dict().items():
            layer, _, kind = name.rpartition(".")
            expected[f"{PLACES[argument][layer]}.{kind}"] = tensor
    state = model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("container", TORCH_CONTAINERS)
@pytest.mark.parametrize("dec", ["biLM", "mlpDecoder"])
@pytest.mark.parametrize("sentenc", KINDS)
def test_every_kind_of_model_converts_exactly(original, output, container, sentenc, dec):
    modules = original.modules(sentenc, dec)
    paths = original.save(modules, container)
    assert (container == "older") == (b"class GRUtrans(nn.Module)" in paths["sentenc"].read_bytes()), "has its source"
    convert_original_checkpoint(**paths, output_dir=output)
    assert_holds(output, modules)
    assert "Modules" not in sys.modules

    config = json.loads((output / "config.json").read_text())
    expected = {
        "utterance_encoder": KINDS[sentenc],
        "vocab_size": 7,
        "word_vector_size": 5,
        "utterance_hidden_size": 4,
        "conversation_hidden_size": 3,
        "word_vector_max_norm": 1.0,
        "freeze_word_vectors": True,
        "convcom_objective": "sampled_bce",
        "pooling_length": 60,
        "class_weights": None,
    }
    if dec == "mlpDecoder":
        expected |= {"classifier_hidden_size": 6, "id2label": {str(index): f"LABEL_{index}" for index in range(3)}}
    assert {name: config[name] for name in expected} == expected
    data = [path.name for path in output.iterdir() if path.suffix != ".py"]
    assert sorted(data) == ["config.json", "model.safetensors"], "no tokenizer"


@pytest.mark.parametrize("container", TORCH_CONTAINERS)
def test_weights_that_share_a_storage_convert(original, output, container):
    # On a GPU, a GRU's weights are parts of one block of memory.
    modules = original.modules()
    gru = modules["contenc"].contEnc
    block = torch.cat([parameter.detach().flatten() for parameter in gru.parameters()])
    start = 0
    for parameter in gru.parameters():
        parameter.data = block[start : start + parameter.numel()].view_as(parameter)
        start += parameter.numel()
    convert_original_checkpoint(**original.save(modules, container), output_dir=output)
    assert_holds(output, modules)


def test_what_pytorch_0_4_adds_to_its_files_is_read(original, output):
    class Backend:
        def __reduce__(self):
            return thnn._get_thnn_function_backend, ()

    def reduce_parameter(self, protocol):
        return nn.Parameter, (self.data, self.requires_grad)

    thnn = ModuleType("torch.nn.backends.thnn")
    exec("def _get_thnn_function_backend(): pass", thnn.__dict__)
    modules = original.modules("sentGRU2LEncoder", "mlpDecoder")
    for module in modules.values():
        for layer in module.modules():
            layer._backend = Backend()
            if isinstance(layer, nn.GRU):
                layer.dropout_state = {"desc_0": torch.backends.cudnn.rnn.Unserializable(None)}
    with (
        patch.dict(sys.modules, {thnn.__name__: thnn}),
        patch.object(nn.Parameter, "__module__", "torch.nn.parameter"),
        patch.object(nn.Parameter, "__reduce_ex__", reduce_parameter),
    ):
        paths = original.save(modules, "older")
    data = paths["sentenc"].read_bytes()
    assert all(name in data for name in (b"_get_thnn_function_backend", b"Unserializable", b"parameter\nParameter"))
    convert_original_checkpoint(**paths, output_dir=output)
    assert_holds(output, modules)


@pytest.mark.parametrize("frozen", [True, False])
def test_word_vectors_stay_frozen_or_trainable(original, output, frozen):
    modules = original.modules() | {"wordenc": original.make("wordEncoder", 7, frozen)}
    convert_original_checkpoint(**original.save(modules), output_dir=output)
    model = AutoModelForPreTraining.from_pretrained(output)
    assert model.config.freeze_word_vectors is frozen
    assert model.get_input_embeddings().weight.requires_grad is not frozen


def test_the_length_of_pooling_is_kept(original, output):
    vocab = original.save_dictionary(WORDS, "glob_vocab.pt", "__main__")
    convert_original_checkpoint(**original.save(original.modules()), vocab=vocab, output_dir=output, pooling_length=10)
    assert AutoModelForPreTraining.from_pretrained(output).config.pooling_length == 10
    [utterance] = AutoTokenizer.from_pretrained(output).encode_utterances(["so " * 30])
    assert len(utterance) == 10, "the original cuts there"


@pytest.mark.parametrize("class_module", ["__main__", "Preprocess"])
def test_a_vocabulary_becomes_a_tokenizer_that_counts_the_empty_last_word(original, output, class_module):
    vocab = original.save_dictionary(WORDS, "glob_vocab.pt", class_module)
    convert_original_checkpoint(**original.save(original.modules()), vocab=vocab, output_dir=output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert isinstance(tokenizer, PreCodeTokenizer) and tokenizer.text_mode == "original"
    assert tokenizer(["You know!", "I, you...", "what?"])["input_ids"] == [[2, 3, 5], [6, 2, 4], [1, 1]]


def test_the_recorded_vocabulary_gives_the_recorded_ids(original, output, recordings):
    vocab = recordings / "vocab" / "glob_vocab.pt"
    words = json.loads((recordings / "vocab" / "expected.json").read_text())["glob_vocab"]["n_words"]
    modules = original.modules() | {"wordenc": original.make("wordEncoder", words)}
    convert_original_checkpoint(**original.save(modules), vocab=vocab, output_dir=output)
    tokenizer = AutoTokenizer.from_pretrained(output)
    rows = json.loads((recordings / "text.json").read_text())["rows"]
    assert len(rows) == 300
    for length, name in ((60, "padded60"), (10, "padded10")):
        encoded = tokenizer([row["raw"] for row in rows], truncation=True, padding="max_length", max_length=length)[
            "input_ids"
        ]
        assert encoded == [row[name] for row in rows]
    assert tokenizer([row["raw"] for row in rows])["input_ids"] == [row["ids"] for row in rows]


def test_emotions_name_the_labels(original, output):
    emotions = original.save_dictionary(EMOTIONS, "Friends_emodict.pt")
    paths = original.save(original.modules(dec="mlpDecoder"))
    convert_original_checkpoint(**paths, emotions=emotions, output_dir=output)
    config = AutoModelForSequenceClassification.from_pretrained(output).config
    assert config.id2label == {0: "neutral", 1: "joy", 2: "anger"}
    assert config.label2id == {"neutral": 0, "joy": 1, "anger": 2}


def test_the_recorded_emotions_name_the_labels_in_their_order(original, output, recordings):
    expected = json.loads((recordings / "vocab" / "expected.json").read_text())["Friends_emodict"]["word2index"]
    modules = original.modules(dec="mlpDecoder") | {"dec": original.make("mlpDecoder", len(expected))}
    emotions = recordings / "vocab" / "Friends_emodict.pt"
    convert_original_checkpoint(**original.save(modules), emotions=emotions, output_dir=output)
    assert AutoModelForSequenceClassification.from_pretrained(output).config.label2id == expected


# What is refused, and how it is said.


def wrong_input(case: str, original: Original, output: Path) -> dict:
    """Arguments of a conversion that are fine but for one thing."""
    paths = original.save(original.modules(dec="mlpDecoder" if case == "emotions" else "biLM"))
    words = original.save_dictionary(WORDS, "glob_vocab.pt")
    if case == "missing":
        paths["dec"].unlink()
    elif case == "kind":
        paths["contenc"] = paths["sentenc"]
    elif case == "dictionary as module":
        paths["contenc"] = words
    elif case == "module as dictionary":
        return {**paths, "vocab": paths["dec"]}
    elif case == "state":
        torch.save(original.modules()["dec"].state_dict(), paths["dec"])
    elif case == "layers":
        modules = original.modules()
        modules["contenc"].contEnc = nn.GRU(4, 3, num_layers=2, bidirectional=True)
        original.save(modules)
    elif case == "sizes":
        original.save(original.modules() | {"contenc": original.make("contEncoder", 5)})
    elif case == "doubles":
        original.save(original.modules() | {"contenc": original.make("contEncoder").double()})
    elif case == "text":
        paths["dec"].write_text("no pickle")
    elif case == "zip":
        with zipfile.ZipFile(paths["dec"], "w") as archive:
            archive.writestr("readme.txt", "no pickle")
    elif case == "vocabulary size":
        return {**paths, "vocab": original.save_dictionary(WORDS[:-1], "short.pt")}
    elif case == "vocabulary start":
        return {**paths, "vocab": original.save_dictionary(WORDS[::-1], "reversed.pt")}
    elif case == "emotions":
        return {**paths, "emotions": original.save_dictionary(EMOTIONS[:2], "two.pt")}
    elif case == "emotions of ConvCom":
        return {**paths, "emotions": original.save_dictionary(EMOTIONS, "emodict.pt")}
    elif case == "pooling":
        return {**paths, "pooling_length": 0}
    elif case == "pooling with words":
        return {**paths, "vocab": words, "pooling_length": 1}
    elif case == "not a number":
        modules = original.modules()
        modules["dec"].cont_embed[0].weight.data[1, 2] = float("nan")
        original.save(modules)
    elif case == "output":
        output.mkdir(parents=True)
        (output / "config.json").write_text("mine")
    elif case == "output file":
        output.parent.mkdir()
        output.write_text("mine")
    return paths


WRONG_INPUTS = {
    "missing": "no such file: {folder}/dec.pt",
    "kind": "{folder}/sentenc.pt contains sentGRUEncoder; --contenc takes contEncoder",
    "dictionary as module": "{folder}/glob_vocab.pt contains Dictionary; --contenc takes contEncoder",
    "module as dictionary": "{folder}/dec.pt is not a Dictionary of the original",
    "state": "{folder}/dec.pt contains OrderedDict; --dec takes biLM or mlpDecoder",
    "layers": "{folder}/contenc.pt contains a contEncoder with missing or unexpected tensors: 'contEnc.bias_hh_l1'",
    "sizes": "{folder}/contenc.pt does not belong to the other files",
    "doubles": "{folder}/contenc.pt names 'torch.DoubleStorage'",
    "text": "{folder}/dec.pt is neither a torch.save file nor a pickle",
    "zip": "{folder}/dec.pt is a zip file, but not one of torch.save",
    "vocabulary size": "{folder}/short.pt has 6 words, but {folder}/wordenc.pt has 7 word vectors",
    "vocabulary start": "{folder}/reversed.pt is not a vocabulary of the original",
    "emotions": "{folder}/two.pt has 2 emotions, but {folder}/dec.pt has 3 classes",
    "emotions of ConvCom": "{folder}/dec.pt is a head for Conversation Completion",
    "pooling": "pooling_length must be at least 1; got 0",
    "pooling with words": "pooling_length must be at least 2; got 1",
    "not a number": "{folder}/dec.pt contains a cont_embed.0.weight with the number nan, which is not finite",
    "output": "{folder}/made/checkpoint: the folder is not empty; use another folder",
    "output file": "{folder}/made/checkpoint: is a file; use a folder",
}


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_wrong_input_is_an_error_of_one_line_and_writes_nothing(original, output, case, capsys):
    arguments = {**wrong_input(case, original, output), "output_dir": output}
    before = tree(original.folder)
    errors = {"missing": FileNotFoundError, "output": FileExistsError, "output file": FileExistsError}
    with pytest.raises(errors.get(case, ValueError)) as raised:
        convert_original_checkpoint(**arguments)
    assert WRONG_INPUTS[case].format(folder=original.folder) in str(raised.value)

    options = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    assert main(options) == 1
    assert capsys.readouterr().err == f"error: {raised.value}\n"
    assert tree(original.folder) == before


def test_a_failure_while_writing_leaves_nothing(original, output, monkeypatch):
    paths = original.save(original.modules())
    before = tree(original.folder)
    monkeypatch.setattr(torch, "equal", lambda *tensors: False)
    with pytest.raises(ValueError, match="differ after loading"):
        convert_original_checkpoint(**paths, output_dir=output)
    output.parent.rmdir()
    assert tree(original.folder) == before


def test_an_empty_folder_is_filled(original, output):
    output.mkdir(parents=True)
    modules = original.modules()
    convert_original_checkpoint(**original.save(modules), output_dir=output)
    assert_holds(output, modules)
    assert [path.name for path in output.parent.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_damaged_file_is_an_error_wherever_the_damage_is(original, output, container):
    if container == "bare":
        path, arguments = original.save_dictionary(WORDS, "glob_vocab.pt"), original.save(original.modules())
        arguments["vocab"] = path
    else:
        arguments = original.save(original.modules(), container)
        path = arguments["wordenc"]
    data = path.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            convert_original_checkpoint(**arguments, output_dir=output)
    # Other damage can go unseen, in a number or in a name that nobody asks for: then a file of another size is refused.
    arguments |= original.save({"contenc": original.make("contEncoder", 5)})
    generator = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            convert_original_checkpoint(**arguments, output_dir=output)
    assert not output.exists()


def test_the_command_line_converts(original, output):
    modules = original.modules(dec="mlpDecoder")
    arguments = original.save(modules, "older")
    arguments["vocab"] = original.save_dictionary(WORDS, "glob_vocab.pt")
    arguments["emotions"] = original.save_dictionary(EMOTIONS, "Friends_emodict.pt")
    options = [part for name, path in arguments.items() for part in (f"--{name}", str(path))]
    command = [sys.executable, "-m", "modeling_precode.conversion.original_checkpoint", *options]
    done = subprocess.run(
        [*command, "--pooling_length", "10", "--output_dir", str(output)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(output) in done.stdout
    assert_holds(output, modules)
    config = AutoModelForSequenceClassification.from_pretrained(output).config
    assert config.pooling_length == 10 and config.id2label[2] == "anger"
    assert AutoTokenizer.from_pretrained(output)("You know!")["input_ids"] == [2, 3, 5]
