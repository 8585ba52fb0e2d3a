"""What reading a pickle promises: nothing in it ever runs, in any container, and the error names what it asked for."""

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from original_files import ARGUMENTS, CONTAINERS, EMOTIONS, TORCH_CONTAINERS

from modeling_precode.conversion.original_checkpoint import convert_original_checkpoint, main
from modeling_precode.conversion.restricted_pickle import Record, read_pickle, rebuild_tensor


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
    with pytest.raises(ValueError, match="does not describe a tensor"):
        rebuild_tensor(record, numbers)


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


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(2**24))
    with pytest.raises(ValueError, match="bomb.pt is a compressed zip file, which torch.save never writes"):
        read_pickle(path, ())


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
