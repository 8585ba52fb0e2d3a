"""Hooks of mkdocs: the site has the layout of the repository, so that a link works in both; and an API reference."""

from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# The pages of the site, and the files that they show or link to.
PUBLISHED = (
    *("*.md", "docs/**/*", "benchmarks/**/*", "examples/*", "data_scripts/label_maps/*"),
    *("LICENSE", "CITATION.cff"),
)
PACKAGES = ("modeling_precode", "data_scripts")
REFERENCE = "docs/reference.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replaces the files of docs/ by the published files of the whole repository, under their paths in it."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    paths = {path for pattern in PUBLISHED for path in ROOT.glob(pattern)}
    for path in sorted(path for path in paths if path.is_file() and "__pycache__" not in path.parts):
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    files.append(File.generated(config, REFERENCE, content=reference()))
    return files


def reference() -> str:
    """The Markdown of the API reference: every name that a package exports, classes before functions and constants."""
    lines = [
        "# API reference",
        "",
        "Everything that is meant for use from Python. Other modules may change at any time.",
    ]
    for name in PACKAGES:
        package = griffe.load(name, search_paths=[ROOT])
        exported = [package[export] for export in map(str, package.exports or ()) if not export.startswith("_")]
        lines += ["", f"## `{name}`"]
        for member in sorted(exported, key=lambda member: (not member.is_class, not member.is_function)):
            lines += ["", f"::: {name}.{member.name}"]
    return "\n".join(lines) + "\n"
