"""The picture of the house in docs/architecture.md, held against the imports, and the lengths of what one reads."""

import ast
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_relative_import_files

import data_scripts
import modeling_precode
import run_finetune
import run_pretrain
from modeling_precode import PreCodeConfig, PreCodeForUtteranceClassification
from modeling_precode.configuration_precode import AUTO_MAP, CODE, CUSTOM_PIPELINES

CLONE = Path(__file__).resolve().parents[1]
ROOT = Path(modeling_precode.__file__).parent
CORPORA = Path(data_scripts.__file__).parent
MODULES = {path.stem for path in ROOT.glob("*.py")} - {"__init__"}
# Every wing, and the wings that it may import.
WINGS = {
    "cli": {"serving", "loading", "sharing", "evaluation", "conversion", "onnx_runtime", "default_model"},
    "serving": set(),
    "training": {"loading", "sharing", "evaluation", "default_model"},
    "sharing": {"evaluation", "default_model"},
    "loading": {"default_model"},
    "evaluation": set(),
    "registration": {"sharing", "default_model"},
    "conversion": {"evaluation", "onnx_runtime"},
    "onnx_runtime": set(),
    "default_model": set(),
}


def imported(path: Path) -> set[str]:
    """The names below `modeling_precode` that a module imports, absolute or relative."""
    package = ["modeling_precode", *path.relative_to(ROOT).parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("modeling_precode.") for name in names if name.startswith("modeling_precode.")}


def test_the_root_is_what_a_checkpoint_carries(tmp_path):
    entries = [*AUTO_MAP.values(), *(task["impl"] for task in CUSTOM_PIPELINES.values()), "tokenization_precode.X"]
    starts = {entry.partition(".")[0] for entry in entries}
    closure = starts | {Path(file).stem for name in starts for file in get_relative_import_files(ROOT / f"{name}.py")}
    assert closure == set(CODE) == MODULES
    sizes = {"word_vector_size": 4, "utterance_hidden_size": 4, "conversation_hidden_size": 4}
    PreCodeForUtteranceClassification(PreCodeConfig(**sizes)).save_pretrained(tmp_path)
    assert {path.stem for path in tmp_path.glob("*.py")} == MODULES


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_root_imports_no_wing(name):
    assert not {found.partition(".")[0] for found in imported(ROOT / f"{name}.py")} & set(WINGS)


@pytest.mark.parametrize("wing", WINGS)
def test_imports_among_wings_run_one_way(wing):
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} == set(WINGS)
    for path in (ROOT / wing).rglob("*.py"):
        found = {name.partition(".")[0] for name in imported(path)} & set(WINGS)
        assert found <= WINGS[wing] | {wing}, path


def test_the_list_of_corpora_can_be_read_off_the_folder():
    corpora = {path.stem for path in CORPORA.glob("*.py")} - {"__init__", "__main__"}
    assert corpora == set(data_scripts.CORPORA)


def test_corpora_import_no_model():
    for path in CORPORA.rglob("*.py"):
        assert "modeling_precode" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("script", [run_pretrain, run_finetune])
def test_a_script_reads_in_one_sitting(script):
    text = Path(script.__file__).read_text(encoding="utf-8")
    functions = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    assert len(text.splitlines()) <= 300 and functions["main"] <= 60


def test_no_function_of_the_library_is_long():
    for package in ("modeling_precode", "data_scripts"):
        for path in (CLONE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                    assert node.end_lineno - first.lineno < 60, f"{path.name}: {node.name}"


def test_every_file_reads_in_one_sitting():
    for folder, most in {"modeling_precode": 400, "data_scripts": 400, "benchmarks": 400, "tests": 450}.items():
        for path in (CLONE / folder).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= most, path
