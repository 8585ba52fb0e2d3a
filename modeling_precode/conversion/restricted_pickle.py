"""Reading what `pickle` and `torch.save` wrote without running it.

A pickle is a program: loading one calls whatever it names. Here nothing that it names is imported or called: every
object becomes a [`Record`], which only collects, and every name outside a short list is refused.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

# What starts a file of `torch.save` before PyTorch 1.6: its magic number, itself a pickle.
_LEGACY_START = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_LEGACY_VERSION = 1001


class OrderedDict(dict):
    """A dictionary without the attributes that a pickle may give to an `OrderedDict`."""

    def __setstate__(self, state: Any):
        pass


# A pickle cannot change these types, and making one runs nothing.
_CONTAINERS = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.Size": tuple,
}
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter")
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_TORCH_NAMES = {
    *_PARAMETERS,
    *_TENSORS,
    "torch.FloatStorage",
    "torch.nn.modules.activation.Tanh",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.dropout.Dropout",
    "torch.nn.modules.linear.Linear",
    "torch.nn.modules.rnn.GRU",
    "torch.nn.modules.sparse.Embedding",
    # What PyTorch 0.4 keeps in every module, and in a GRU that ran on a GPU.
    "torch.nn.backends.thnn._get_thnn_function_backend",
    "torch.backends.cudnn.rnn.Unserializable",
}


class Record:
    """What a pickle says of an object: the name of its class or function, its arguments, its state.

    Every allowed name gets a subclass of its own. Calling one, or setting a state, stores and does nothing else.
    """

    name: str
    args: tuple
    state: Any

    def __new__(cls, *args: Any) -> "Record":
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    # Without this method an unpickler sets attributes itself, even on a class; for a class, this one raises.
    def __setstate__(self, state: Any):
        self.state = state


class StorageView(NamedTuple):
    """The part of a file's numbers that tensors are made of: `size` numbers of the storage `key`, from `offset`."""

    key: str
    size: int
    offset: int = 0


class _UnreadableError(Exception):
    """What is wrong with a file, to follow its path."""


def read_pickle(path: Path, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    """What a file holds: from the zip container of `torch.save`, from its older container, or from a bare pickle.

    Args:
        path: the file.
        class_names: classes that the file may name besides those of PyTorch's modules, without their module: where a
            script's class lives depends on how the script was started, and nothing is looked up there.

    Returns:
        The pickled object (numbers, strings, lists, dictionaries and the like as they are, any other object as a
        [`Record`]), and the file's numbers by storage, for [`rebuild_tensor`].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another kind, damaged, or names anything else; the message says which name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    data = path.read_bytes()
    try:
        if data.startswith(b"PK\x03\x04"):
            return _read_zip(data, class_names)
        if data.startswith(_LEGACY_START):
            return _read_legacy(data, class_names)
        if data.startswith(b"\x80"):
            return _RestrictedUnpickler(io.BytesIO(data), class_names).load(), {}
        raise _UnreadableError("is neither a file of torch.save nor a pickle")
    except _UnreadableError as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:
        # Malformed bytes make an unpickler raise almost anything.
        raise ValueError(f"{path} is damaged or cut short ({type(error).__name__}: {str(error)!r})") from error


def rebuild_tensor(record: Any, numbers: dict[str, Tensor]) -> tuple[Tensor, bool]:
    """The tensor that a record describes, and whether it requires a gradient.

    Raises:
        ValueError: the record describes no tensor, or one that its storage does not hold.
    """
    try:
        if record.name in _PARAMETERS:
            data, requires_grad = record.args[:2]
            return rebuild_tensor(data, numbers)[0], bool(requires_grad)
        if record.name not in _TENSORS:
            raise ValueError(f"{record.name} where a tensor belongs")
        storage, offset, size, stride, *rest = record.args
        if math.prod(size) > storage.size:
            raise ValueError(f"a tensor of size {size} in a storage of {storage.size} numbers")
        tensor = numbers[storage.key].as_strided(size, stride, storage.offset + offset)
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError) as error:
        raise ValueError(f"no tensor can be made of a record ({type(error).__name__}: {str(error)!r})") from error
    return tensor.clone(memory_format=torch.contiguous_format), bool(rest and rest[0])


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, class_names: Collection[str]):
        super().__init__(stream)
        self.class_names = class_names
        self.storage_sizes: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> type:
        full_name = f"{module}.{name}"
        if full_name in _CONTAINERS:
            return _CONTAINERS[full_name]
        if full_name in _TORCH_NAMES:
            return type(name, (Record,), {"name": full_name})
        if name in self.class_names:
            return type(name, (Record,), {"name": name})
        raise _UnreadableError(f"names {full_name!r}, which no such file needs: nothing in it was run")

    def persistent_load(self, saved_id: Any) -> type[Record] | StorageView:
        match saved_id:
            case ("module", type() as cls, _, _) if issubclass(cls, Record):
                # The older container can carry the source of the class as well: it is never looked at.
                return cls
            case ("storage", type() as cls, str() as key, _, int() as size, *view):
                if getattr(cls, "name", None) != "torch.FloatStorage":
                    raise _UnreadableError("holds numbers that are not 32-bit floats")
                self.storage_sizes[key] = size
                # The older container can name a part of a storage: (key of the part, offset, size).
                _, offset, part = view[0] if view and view[0] else (None, 0, size)
                return StorageView(key, part, offset)
        raise _UnreadableError("refers to something that is neither a class nor the numbers of a tensor")

    def numbers(self, key: str, data: bytes, byte_order: str) -> Tensor:
        if len(data) != 4 * self.storage_sizes[key]:
            raise _UnreadableError(f"is cut short: a tensor has {len(data)} of {4 * self.storage_sizes[key]} bytes")
        array = np.frombuffer(data, dtype={"little": "<f4", "big": ">f4"}[byte_order])
        return torch.from_numpy(array.astype(np.float32))


def _read_zip(data: bytes, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        folder = names[0].split("/")[0]
        if f"{folder}/data.pkl" not in names:
            raise _UnreadableError("is a zip file, but not one of torch.save")
        unpickler = _RestrictedUnpickler(io.BytesIO(archive.read(f"{folder}/data.pkl")), class_names)
        content = unpickler.load()
        byte_order = archive.read(f"{folder}/byteorder").decode() if f"{folder}/byteorder" in names else "little"
        numbers = {
            key: unpickler.numbers(key, archive.read(f"{folder}/data/{key}"), byte_order)
            for key in unpickler.storage_sizes
        }
    return content, numbers


def _read_legacy(data: bytes, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    stream = io.BytesIO(data)
    stream.seek(len(_LEGACY_START))
    version = _RestrictedUnpickler(stream, ()).load()
    if version != _LEGACY_VERSION:
        raise _UnreadableError(f"is of version {version!r} of torch.save's older container, not {_LEGACY_VERSION}")
    byte_order: Literal["little", "big"] = (
        "little" if _RestrictedUnpickler(stream, ()).load()["little_endian"] else "big"
    )
    unpickler = _RestrictedUnpickler(stream, class_names)
    content = unpickler.load()
    numbers = {}
    for key in _RestrictedUnpickler(stream, ()).load():
        size = int.from_bytes(stream.read(8), byte_order)
        numbers[key] = unpickler.numbers(key, stream.read(4 * size), byte_order)
    return content, numbers
