"""Reads the files of `pickle` and `torch.save` without running any code in them.

A pickle is a program: loading one calls every function that it names. This reader imports and calls none of them. Every
object becomes a [`Record`], which only stores data, and a name outside a short list is an error.
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

# The start of a file of `torch.save` before PyTorch 1.6: a magic number, which is a pickle.
_LEGACY_START = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_LEGACY_VERSION = 1001


class OrderedDict(dict):
    """A dictionary that ignores the attributes that a pickle may set on an `OrderedDict`."""

    def __setstate__(self, state: Any):
        pass


# A pickle cannot change these types, and creating one runs no code.
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
    # PyTorch 0.4 stores these in every module, and in a GRU that ran on a GPU.
    "torch.nn.backends.thnn._get_thnn_function_backend",
    "torch.backends.cudnn.rnn.Unserializable",
}


class Record:
    """The description of an object in a pickle: the name of its class or function, its arguments, and its state.

    Every allowed name has its own subclass. Calling it, or setting its state, only stores the values.
    """

    name: str
    args: tuple
    state: Any

    def __new__(cls, *args: Any) -> "Record":
        """Store the arguments. No code of the named class runs."""
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    # Without this method, an unpickler would set attributes, even on a class. For a class, this method raises an error.
    def __setstate__(self, state: Any):
        self.state = state


class StorageView(NamedTuple):
    """A part of the data of a file: `size` numbers of the storage `key`, starting at `offset`."""

    key: str
    size: int
    offset: int = 0


class _UnreadableError(Exception):
    """A file cannot be read. The message continues a sentence that starts with the path."""


def read_pickle(path: Path, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    """Read the zip container of `torch.save`, its older container, or a plain pickle.

    Args:
        path: The file.
        class_names: The classes that the file may name in addition to those of PyTorch's modules, without the names of
            their modules: the module of a script's class depends on how the script was started. No class is imported.

    Returns:
        The pickled object and the data of each storage, for [`rebuild_tensor`]. Numbers, strings, lists, dictionaries
        and the like are returned as they are, and any other object as a [`Record`].

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has another format, is damaged, or names anything else. The message states the name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    data = path.read_bytes()
    try:
        if data.startswith(b"PK\x03\x04"):
            return _read_zip(data, class_names)
        if data.startswith(_LEGACY_START):
            return _read_legacy(data, class_names)
        if data.startswith(b"\x80"):
            return _RestrictedUnpickler(io.BytesIO(data), class_names).load(), {}
        raise _UnreadableError("is neither a torch.save file nor a pickle")
    except _UnreadableError as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:
        # An unpickler can raise almost any exception for malformed bytes.
        raise ValueError(f"{path} is damaged or truncated ({type(error).__name__}: {str(error)!r})") from error


def rebuild_tensor(record: Any, storages: dict[str, Tensor]) -> tuple[Tensor, bool]:
    """Create the tensor that a record describes, and return whether it requires a gradient.

    Raises:
        ValueError: The record does not describe a tensor, or the storage is too small for it.
    """
    try:
        if record.name in _PARAMETERS:
            data, requires_grad = record.args[:2]
            return rebuild_tensor(data, storages)[0], bool(requires_grad)
        if record.name not in _TENSORS:
            raise ValueError(f"expected a tensor; got {record.name}")
        storage, offset, size, stride, *rest = record.args
        if math.prod(size) > storage.size:
            raise ValueError(f"a tensor of size {size} in a storage of {storage.size} numbers")
        tensor = storages[storage.key].as_strided(size, stride, storage.offset + offset)
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError) as error:
        raise ValueError(f"a record does not describe a tensor ({type(error).__name__}: {str(error)!r})") from error
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
        raise _UnreadableError(f"names {full_name!r}, which is not allowed; no code in it was run")

    def persistent_load(self, saved_id: Any) -> type[Record] | StorageView:
        match saved_id:
            case ("module", type() as cls, _, _) if issubclass(cls, Record):
                # The older container may also contain the source code of the class, which is ignored.
                return cls
            case ("storage", type() as cls, str() as key, _, int() as size, *view):
                if getattr(cls, "name", None) != "torch.FloatStorage":
                    raise _UnreadableError("contains numbers that are not 32-bit floats")
                self.storage_sizes[key] = size
                # The older container can name a part of a storage: (key of the part, offset, size).
                _, offset, part = view[0] if view and view[0] else (None, 0, size)
                return StorageView(key, part, offset)
        raise _UnreadableError("refers to something that is neither a class nor the numbers of a tensor")

    def storage(self, key: str, data: bytes, byte_order: str) -> Tensor:
        if len(data) != 4 * self.storage_sizes[key]:
            raise _UnreadableError(f"is truncated: a tensor has {len(data)} of {4 * self.storage_sizes[key]} bytes")
        array = np.frombuffer(data, dtype={"little": "<f4", "big": ">f4"}[byte_order])
        return torch.from_numpy(array.astype(np.float32))


def _read_zip(data: bytes, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise _UnreadableError("is a compressed zip file, which torch.save never writes; save it again")
        names = archive.namelist()
        folder = names[0].split("/")[0]
        if f"{folder}/data.pkl" not in names:
            raise _UnreadableError("is a zip file, but not one of torch.save")
        unpickler = _RestrictedUnpickler(io.BytesIO(archive.read(f"{folder}/data.pkl")), class_names)
        content = unpickler.load()
        byte_order = archive.read(f"{folder}/byteorder").decode() if f"{folder}/byteorder" in names else "little"
        storages = {
            key: unpickler.storage(key, archive.read(f"{folder}/data/{key}"), byte_order)
            for key in unpickler.storage_sizes
        }
    return content, storages


def _read_legacy(data: bytes, class_names: Collection[str]) -> tuple[Any, dict[str, Tensor]]:
    stream = io.BytesIO(data)
    stream.seek(len(_LEGACY_START))
    version = _RestrictedUnpickler(stream, ()).load()
    if version != _LEGACY_VERSION:
        raise _UnreadableError(f"has version {version!r} of the older torch.save container, not {_LEGACY_VERSION}")
    byte_order: Literal["little", "big"] = (
        "little" if _RestrictedUnpickler(stream, ()).load()["little_endian"] else "big"
    )
    unpickler = _RestrictedUnpickler(stream, class_names)
    content = unpickler.load()
    storages = {}
    for key in _RestrictedUnpickler(stream, ()).load():
        size = int.from_bytes(stream.read(8), byte_order)
        storages[key] = unpickler.storage(key, stream.read(4 * size), byte_order)
    return content, storages
