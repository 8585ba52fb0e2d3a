"""What the converter promises: the original's models as they were, errors of one line, and that no pickle ever runs."""

import importlib.util
import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest
import torch
from torch import nn
from transformers import AutoModelForPreTraining, AutoModelForSequenceClassification, AutoTokenizer

from modeling_precode import PreCodeForConversationCompletion, PreCodeForUtteranceClassification, PreCodeTokenizer
from modeling_precode.convert_original_checkpoint import convert_original_checkpoint, main
from modeling_precode.restricted_pickle import Record, read_pickle, rebuild_tensor

ROOT = Path(__file__).resolve().parents[1]
TORCH_CONTAINERS = ["zip", "older"]
CONTAINERS = [*TORCH_CONTAINERS, "bare"]
ARGUMENTS = ["wordenc", "sentenc", "contenc", "dec"]
KINDS = {"sentEncoder": "gru", "sentGRUEncoder": "gru2", "sentGRU2LEncoder": "stacked_gru"}
WORDS = ["<pad>", "<unk>", "you", "know", "", "!", "i"]
EMOTIONS = ["neutral", "joy", "anger"]

# The parts of the original's modules that its pickles hold, by the names that they have in them.
MODULES = """
from torch import nn

class wordEncoder(nn.Module):
    def __init__(self, words=7, frozen=True):
        super().__init__()
        self.embedding = nn.Embedding(words, 5, padding_idx=0, max_norm=1.0)
        self.embedding.weight.requires_grad = not frozen

class GRUtrans(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gru = nn.GRU(size, 4, bidirectional=True)

class sentEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.sentEnc = GRUtrans(5)
        self.output1 = nn.Sequential(nn.Linear(8, 4), nn.Tanh())
        self.dropout_0 = nn.Dropout(0.5)

class sentGRUEncoder(sentEncoder):
    pass

class sentGRU2LEncoder(sentEncoder):
    def __init__(self):
        super().__init__()
        self.sentEnc2 = GRUtrans(8)

class contEncoder(nn.Module):
    def __init__(self, size=4):
        super().__init__()
        self.contEnc = nn.GRU(size, 3, bidirectional=True)
        self.dropout_0 = nn.Dropout(0.5)

class biLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.cont_embed = nn.Sequential(nn.Linear(6, 4), nn.Tanh())

class mlpDecoder(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.output1 = nn.Sequential(nn.Linear(10, 6), nn.Tanh(), nn.Linear(6, classes))
"""
# Where their tensors must arrive, written out independently of the converter.
PLACES = {
    "wordenc": {"embedding": "precode.utterance_encoder.word_embedding"},
    "sentenc": {
        "sentEnc.gru": "precode.utterance_encoder.gru",
        "sentEnc2.gru": "precode.utterance_encoder.second_gru",
        "output1.0": "precode.utterance_encoder.projection",
    },
    "contenc": {"contEnc": "precode.conversation_encoder.gru"},
    "dec": {"cont_embed.0": "context_projection", "output1.0": "classifier.dense", "output1.2": "classifier.output"},
}


class Original:
    """Writes files as the original does, from classes that no longer exist when the converter reads."""

    def __init__(self, folder: Path):
        source = folder / "code" / "Modules.py"
        source.parent.mkdir()
        source.write_text(MODULES)
        spec = importlib.util.spec_from_file_location("Modules", source)
        self.classes = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.classes)
        self.folder = folder

    def make(self, class_name: str, *arguments) -> nn.Module:
        return getattr(self.classes, class_name)(*arguments)

    def modules(self, sentenc="sentGRUEncoder", dec="biLM") -> dict[str, nn.Module]:
        torch.manual_seed(0)
        names = {"wordenc": "wordEncoder", "sentenc": sentenc, "contenc": "contEncoder", "dec": dec}
        return {argument: self.make(class_name) for argument, class_name in names.items()}

    def save(self, modules: dict[str, nn.Module], container="zip") -> dict[str, Path]:
        paths = {argument: self.folder / f"{argument}.pt" for argument in modules}
        with patch.dict(sys.modules, Modules=self.classes):
            for argument, module in modules.items():
                torch.save(module, paths[argument], _use_new_zipfile_serialization=container == "zip")
        return paths

    def save_dictionary(self, words: list[str], name: str, class_module="__main__") -> Path:
        module = ModuleType(class_module)
        module.Dictionary = type("Dictionary", (), {"__module__": class_module})
        dictionary = module.Dictionary()
        dictionary.word2index = {word: index for index, word in enumerate(words)}
        dictionary.index2word = dict(enumerate(words))
        dictionary.n_words, dictionary.rare = len(words), []
        with patch.dict(sys.modules, {class_module: module}):
            (self.folder / name).write_bytes(pickle.dumps(dictionary))
        return self.folder / name


@pytest.fixture
def original(tmp_path) -> Original:
    return Original(tmp_path)


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "made" / "checkpoint"


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
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.safetensors"], "no tokenizer"


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


def test_a_part_of_a_storage_and_the_older_names_of_tensor_and_size_are_read(tmp_path):
    class Storage:
        pass

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor, (Storage(), 1, torch.Size([3]), (1,))

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return "storage", torch.FloatStorage, "whole", "cuda:0", 6, ("part", 2, 4)
            return None

    with (tmp_path / "pickled").open("wb") as stream:
        Pickler(stream, protocol=2).dump(Tensor())
    numbers = (6).to_bytes(8, "little") + torch.arange(6.0).numpy().tobytes()
    data = contained((tmp_path / "pickled").read_bytes(), "older", keys=pickle.dumps(["whole"], 2) + numbers)
    (tmp_path / "tensor.pt").write_bytes(data)
    record, storages = read_pickle(tmp_path / "tensor.pt", ())
    assert rebuild_tensor(record, storages)[0].tolist() == [3, 4, 5]


@pytest.mark.parametrize("frozen", [True, False])
def test_word_vectors_stay_frozen_or_trainable(original, output, frozen):
    modules = original.modules() | {"wordenc": original.make("wordEncoder", 7, frozen)}
    convert_original_checkpoint(**original.save(modules), output_dir=output)
    model = AutoModelForPreTraining.from_pretrained(output)
    assert model.config.freeze_word_vectors is frozen
    assert model.get_input_embeddings().weight.requires_grad is not frozen


def test_the_length_of_pooling_is_kept(original, output):
    convert_original_checkpoint(**original.save(original.modules()), output_dir=output, pooling_length=10)
    assert AutoModelForPreTraining.from_pretrained(output).config.pooling_length == 10


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
    elif case == "output":
        output.mkdir(parents=True)
        (output / "config.json").write_text("mine")
    elif case == "output file":
        output.parent.mkdir()
        output.write_text("mine")
    return paths


WRONG_INPUTS = {
    "missing": "there is no file {folder}/dec.pt",
    "kind": "{folder}/sentenc.pt holds sentGRUEncoder; --contenc takes contEncoder",
    "dictionary as module": "{folder}/glob_vocab.pt holds Dictionary; --contenc takes contEncoder",
    "module as dictionary": "{folder}/dec.pt holds no Dictionary of the original",
    "state": "{folder}/dec.pt holds OrderedDict; --dec takes biLM or mlpDecoder",
    "layers": "{folder}/contenc.pt holds a contEncoder with tensors missing or left over: 'contEnc.bias_hh_l1'",
    "sizes": "{folder}/contenc.pt does not belong to the other files",
    "doubles": "{folder}/contenc.pt names 'torch.DoubleStorage'",
    "text": "{folder}/dec.pt is neither a file of torch.save nor a pickle",
    "zip": "{folder}/dec.pt is a zip file, but not one of torch.save",
    "vocabulary size": "{folder}/short.pt has 6 words, but {folder}/wordenc.pt has 7 word vectors",
    "vocabulary start": "{folder}/reversed.pt holds no vocabulary of the original",
    "emotions": "{folder}/two.pt has 2 emotions, but {folder}/dec.pt has 3 classes",
    "emotions of ConvCom": "{folder}/dec.pt is a head of Conversation Completion",
    "pooling": "pooling_length must be at least 1; got 0",
    "output": "{folder}/made/checkpoint exists and is not an empty folder",
    "output file": "{folder}/made/checkpoint exists and is not an empty folder",
}


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_wrong_input_is_an_error_of_one_line_and_writes_nothing(original, output, case, capsys):
    arguments = {**wrong_input(case, original, output), "output_dir": output}
    before = tree(original.folder)
    with pytest.raises(FileNotFoundError if case == "missing" else ValueError) as raised:
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
    with pytest.raises(ValueError, match="do not load as they were"):
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


# Hostile pickles.


def contained(pickled: bytes, container: str, header: bytes | None = None, keys: bytes | None = None) -> bytes:
    """A pickle as the content of a file; the older container takes two more pickles, before and after it."""
    if container == "bare":
        return pickled
    if container == "older":
        start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        header = header or pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
        return start + header + pickled + (keys or pickle.dumps([], 2))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def call(name: str, *arguments: str) -> bytes:
    """A pickle that calls what a name stands for."""
    module, _, attribute = name.rpartition(".")
    return b"\x80\x02c" + f"{module}\n{attribute}\n(".encode() + b"".join(map(text, arguments)) + b"tR."


def old_call(name: str, argument: str) -> bytes:
    """The same in the instructions of the first pickles."""
    module, _, attribute = name.rpartition(".")
    return b"\x80\x02(" + text(argument) + f"i{module}\n{attribute}\n.".encode()


def dotted_call(module: str, name: str, *arguments: str) -> bytes:
    """The same in the instructions of newer pickles, where a name can lead on from a module's content."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + b"".join(map(text, arguments)) + b"tR."


HOSTILE = {
    "posix.system": lambda mark: call("posix.system", f"touch {mark}"),
    "os.system": lambda mark: old_call("os.system", f"touch {mark}"),
    "subprocess.getoutput": lambda mark: call("subprocess.getoutput", f"touch {mark}"),
    "io.open": lambda mark: call("io.open", str(mark), "w"),
    "builtins.open": lambda mark: call("builtins.open", str(mark), "w"),
    "builtins.eval": lambda mark: call("builtins.eval", f"open({str(mark)!r}, 'w')"),
    "builtins.exec": lambda mark: call("builtins.exec", f"open({str(mark)!r}, 'w')"),
    "builtins.__import__": lambda mark: call("builtins.__import__", "hostile_module"),
    "importlib.import_module": lambda mark: call("importlib.import_module", "hostile_module"),
    "hostile_module.sentence": lambda mark: call("hostile_module.sentence"),
    "pathlib.os.system": lambda mark: dotted_call("pathlib", "os.system", f"touch {mark}"),
    "torch._utils.sys.modules.setdefault": lambda mark: dotted_call(
        "torch._utils", "sys.modules.setdefault", str(mark), "mark"
    ),
    "builtins.getattr": lambda mark: call("builtins.getattr", "text", "upper"),
    "collections.OrderedDict.fromkeys": lambda mark: dotted_call("collections", "OrderedDict.fromkeys", "ab"),
    "Modules.os.system": lambda mark: dotted_call("Modules", "os.system", f"touch {mark}"),
    "Modules.nn": lambda mark: call("Modules.nn"),
}
WITHOUT_MARK = {"builtins.getattr", "collections.OrderedDict.fromkeys", "Modules.os.system", "Modules.nn"}


@pytest.fixture
def mark(tmp_path, monkeypatch) -> Path:
    """The file that hostile pickles write, some of them by importing a module."""
    path = tmp_path / "hostile_mark"
    (tmp_path / "hostile").mkdir()
    source = f"open({str(path)!r}, 'w').close()\ndef sentence(): pass\n"
    (tmp_path / "hostile" / "hostile_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path / "hostile")
    yield path
    sys.modules.pop("hostile_module", None)
    sys.modules.pop(str(path), None)


def has_run(mark: Path) -> bool:
    return mark.exists() or "hostile_module" in sys.modules or str(mark) in sys.modules


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - WITHOUT_MARK))
def test_the_hostile_pickles_do_run_where_they_are_let(name, mark):
    pickle.loads(HOSTILE[name](mark))
    assert has_run(mark)


def assert_refused(name: str, path: Path, arguments: dict, output: Path, mark: Path, capsys):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as raised:
        convert_original_checkpoint(**arguments, output_dir=output)
    assert str(raised.value).startswith(f"{path} names {name!r}")
    options = [part for argument, value in arguments.items() for part in (f"--{argument}", str(value))]
    assert main([*options, "--output_dir", str(output)]) == 1
    assert capsys.readouterr().err == f"error: {raised.value}\n"
    assert not output.exists() and not has_run(mark)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name_and_never_runs(original, output, mark, container, name, capsys):
    arguments = original.save(original.modules())
    path = original.folder / "hostile.pt"
    path.write_bytes(contained(HOSTILE[name](mark), container))
    for argument in ("wordenc", "dec", "vocab"):
        assert_refused(name, path, arguments | {argument: path}, output, mark, capsys)


@pytest.mark.parametrize("part", ["header", "keys"])
def test_a_hostile_pickle_around_the_content_of_the_older_container_is_refused(original, output, mark, part, capsys):
    arguments = original.save(original.modules(), "older")
    content = pickle.dumps({}, 2)
    arguments["dec"].write_bytes(contained(content, "older", **{part: HOSTILE["posix.system"](mark)}))
    assert_refused("posix.system", arguments["dec"], arguments, output, mark, capsys)


class Hostile:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("container", TORCH_CONTAINERS)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_hostile_part_of_a_good_module_is_refused(original, output, mark, container, argument, capsys):
    modules = original.modules()
    modules[argument].hostile = Hostile(mark)
    arguments = original.save(modules, container)
    assert_refused("posix.system", arguments[argument], arguments, output, mark, capsys)


@pytest.mark.parametrize("argument", ["vocab", "emotions"])
def test_a_hostile_part_of_a_good_dictionary_is_refused(original, output, mark, argument, capsys):
    arguments = original.save(original.modules(dec="mlpDecoder"))
    arguments[argument] = original.save_dictionary([*EMOTIONS, Hostile(mark)], "hostile.pt")
    assert_refused("posix.system", arguments[argument], arguments, output, mark, capsys)


BIND = text("__setstate__") + text("hostile") + b"s"
TAMPERING = {
    "state of a stand-in's class": b"cModules\nbiLM\n}" + BIND + b"b.",
    "attributes of a stand-in's class": b"cModules\nbiLM\nN}" + BIND + b"\x86b.",
    "attributes of a function's stand-in": b"ctorch._utils\n_rebuild_tensor_v2\nN}" + BIND + b"\x86b.",
    "attributes of a container's class": b"ccollections\nOrderedDict\nN}" + BIND + b"\x86b.",
    "attributes of a container": b"ccollections\nOrderedDict\n)RN}" + BIND + b"\x86b.",
    "items of a stand-in": b"cModules\nbiLM\n)\x81" + text("name") + text("value") + b"s.",
    "elements of a stand-in": b"cModules\nbiLM\n)\x81" + text("value") + b"a.",
    "arguments by name": b"\x80\x04cModules\nbiLM\n)}" + BIND + b"\x92.",
    "an unknown reference": b"(" + text("module") + text("os") + b"NNtQ.",
    "numbers of another type": b"(" + text("storage") + b"ctorch\nSize\n" + text("0") + text("cpu") + b"K\x01tQ.",
    "a registered extension": b"\x82\x01.",
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("case", TAMPERING)
def test_a_pickle_cannot_change_what_reads_it(original, output, container, case):
    before = dict(vars(Record))
    arguments = original.save(original.modules())
    arguments["dec"].write_bytes(contained(b"\x80\x02" + TAMPERING[case], container))
    with pytest.raises(ValueError, match=f"^{arguments['dec']} [^\n]+$"):
        convert_original_checkpoint(**arguments, output_dir=output)
    assert dict(vars(Record)) == before and not output.exists()


def test_what_a_pickle_calls_is_only_recorded(tmp_path):
    class Inner:
        def __reduce__(self):
            return torch._utils._rebuild_parameter, ("no tensor", True), {"state": 1}

    (tmp_path / "record.pt").write_bytes(pickle.dumps(Inner()))
    record, numbers = read_pickle(tmp_path / "record.pt", ())
    assert record.name == "torch._utils._rebuild_parameter"
    assert record.args == ("no tensor", True) and record.state == {"state": 1}
    with pytest.raises(ValueError, match="no tensor can be made"):
        rebuild_tensor(record, numbers)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(original, output):
    modules = original.modules()
    paths = original.save(modules, "older")
    data = paths["dec"].read_bytes()
    # The bias: 4 numbers with a stride of 1.
    size = b"K\x04\x85"
    assert size in data
    paths["dec"].write_bytes(data.replace(size, b"K\x05\x85"))
    with pytest.raises(ValueError, match=r"a tensor of size .5,. in a storage of 4 numbers"):
        convert_original_checkpoint(**paths, output_dir=output)


def test_the_command_line_converts(original, output):
    modules = original.modules(dec="mlpDecoder")
    arguments = original.save(modules, "older")
    arguments["vocab"] = original.save_dictionary(WORDS, "glob_vocab.pt")
    arguments["emotions"] = original.save_dictionary(EMOTIONS, "Friends_emodict.pt")
    options = [part for name, path in arguments.items() for part in (f"--{name}", str(path))]
    command = [sys.executable, "-m", "modeling_precode.convert_original_checkpoint", *options]
    done = subprocess.run(
        [*command, "--pooling_length", "10", "--output_dir", str(output)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(output) in done.stdout
    assert_holds(output, modules)
    config = AutoModelForSequenceClassification.from_pretrained(output).config
    assert config.pooling_length == 10 and config.id2label[2] == "anger"
    assert AutoTokenizer.from_pretrained(output)("You know!")["input_ids"] == [2, 3, 5]
