"""Writes the files of a Space: a Gradio app that labels conversations with a model."""

import re
import shutil
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCard, SpaceCard, SpaceCardData, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from data_scripts.sharing.dataset_card import fill_template
from data_scripts.tools.whole_files import check_new_folder, whole_folder

from ..default_model import DEFAULT, checkpoint_path
from ..version import __version__
from .push import NOT_PUSHED

TEMPLATE = Path(__file__).with_name("space_template")
# The folder of the Space with a copy of the model.
MODEL_FOLDER = "model"
# The version that the app was tested with. The next major version may need another app.
GRADIO, GRADIO_REQUIREMENT = "6.31.0", "gradio>=6.15.1,<7"
PYTHON = "3.11"
# The size of a Space's repository is limited to 1 GB, its history included.
LARGEST_MODEL = 500_000_000
LICENSE_FIELDS = ("license", "license_name", "license_link")
# A package by its name and versions, or an address that pip installs from.
NAMED = re.compile(r"precode(\[[\w,]+\])?([<>=!~]=?[\w.*]+,?)*")
ADDRESS = re.compile(r"(git\+)?(https|ssh)://[^\s\"'#]+(#[^\s\"']+)?")


def write_space(
    folder: str | Path,
    model: str,
    *,
    title: str | None = None,
    package: str | None = None,
    revision: str | None = None,
) -> None:
    """Write the files of a Space, completely or not at all: `app.py`, `requirements.txt` and `README.md`.

    Args:
        folder: The folder to write, new or empty.
        model: The folder of a checkpoint, which is copied into the Space; a name on the Hub; or `default`.
        title: The title of the Space; by default the name of the model.
        package: How the Space installs this package: its name and versions, or an address that pip takes, such as
            `git+https://...`. By default `precode` in this version or a later one with the same features.
        revision: A branch, tag or commit of a model on the Hub.

    Raises:
        FileExistsError: The folder is a file, or is not empty.
        ValueError: The model is too large to be copied, or the package can only be installed on this machine.
    """
    folder = check_new_folder(folder)
    requirement = requirement_of(package)
    local = Path(model) if model != DEFAULT and Path(model).is_dir() else None
    name = local.resolve().name if local else model
    title = " ".join(title.split()) if title else _title(name)
    with whole_folder(folder, replace=False) as space:
        if local:
            _copy_model(local, space / MODEL_FOLDER)
        facts = {"model": name, "title": title, "revision": revision}
        app = jinja2.Template((TEMPLATE / "app.py.jinja").read_text(encoding="utf-8"), keep_trailing_newline=True)
        source = MODEL_FOLDER if local else model
        (space / "app.py").write_text(app.render(**facts, source=source), encoding="utf-8")
        (space / "requirements.txt").write_text(f"{requirement}\n{GRADIO_REQUIREMENT}\n", encoding="utf-8")
        is_default = model == DEFAULT
        header = _header(title, _license(model, revision), None if local or is_default else model)
        card = fill_template(
            SpaceCard, TEMPLATE / "README.md.jinja", header, **facts, is_default=is_default, is_local=local is not None
        )
        card.save(space / "README.md")


def requirement_of(package: str | None) -> str:
    """The line of `requirements.txt` that installs this package. The argument is that of [`write_space`]."""
    if package is None:
        major, minor, *_ = __version__.split(".")
        return f"precode>={__version__},<{major}.{int(minor) + 1}"
    package = package.strip()
    if ADDRESS.fullmatch(package):
        return f"precode @ {package}"
    if NAMED.fullmatch(package):
        return package
    raise ValueError(
        f"package {package!r}: a Space installs it by its name and versions, such as precode>={__version__}, or from "
        "an address, such as git+https://example.org/you/repository"
    )


def _copy_model(source: Path, target: Path) -> None:
    """Copy the files of a checkpoint that a push would upload."""
    files = [path for path in source.iterdir() if path.is_file() and not path.name.startswith(".")]
    kept = list(filter_repo_objects(files, ignore_patterns=NOT_PUSHED, key=lambda path: path.name))
    size = sum(path.stat().st_size for path in kept)
    if size > LARGEST_MODEL:
        raise ValueError(
            f"{source}: {size / 1e6:,.0f} MB, too large to be copied into a Space, whose repository takes 1 GB with "
            f"its history; push the model first (precode push {source} you/name), and use its name on the Hub"
        )
    target.mkdir()
    for path in kept:
        shutil.copyfile(path, target / path.name)


def _title(name: str) -> str:
    return "Emotions in conversations" if name == DEFAULT else f"Emotions in conversations: {Path(name).name}"


def _header(title: str, license_fields: dict[str, Any], model: str | None) -> SpaceCardData:
    """The header of `README.md`, which configures the Space."""
    return SpaceCardData(
        title=title,
        sdk="gradio",
        sdk_version=GRADIO,
        python_version=PYTHON,
        app_file="app.py",
        models=[model] if model else None,
        tags=["precode", "emotion-recognition-in-conversations"],
        **license_fields,
    )


def _license(model: str, revision: str | None) -> dict[str, Any]:
    """The license fields in the header of the model's card, if it has a card."""
    folder = Path(checkpoint_path(model))
    if folder.is_dir():
        path = folder / "README.md"
    else:
        try:
            path = Path(hf_hub_download(model, "README.md", revision=revision))
        except EntryNotFoundError:
            return {}
    if not path.is_file():
        return {}
    header = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    return {name: header[name] for name in LICENSE_FIELDS if header.get(name)}
