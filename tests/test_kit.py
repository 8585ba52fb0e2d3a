"""What a maintainer relies on: one version everywhere, tested bounds of the dependencies, documented names."""

import ast
import configparser
import inspect
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import data_scripts
import modeling_precode

ROOT = Path(__file__).resolve().parents[1]
EXPORTED = [(package, name) for package in (modeling_precode, data_scripts) for name in package.__all__]


def requirements() -> list[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line]


def constraints(name: str) -> dict[str, Version]:
    """The versions that a constraints file states, by the normalized name of the distribution."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    pinned = (line.partition(";")[0].strip().split("==") for line in lines)
    return {name.lower().replace("_", "-"): Version(version) for name, version in pinned}


def test_the_citation_file_states_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == modeling_precode.__version__
    assert citation["preferred-citation"]["title"] in modeling_precode.ERCScores().info.citation.replace("\n", " ")


def test_the_newest_release_of_the_changelog_is_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert releases[0] == modeling_precode.__version__
    assert releases == sorted(releases, key=Version, reverse=True)
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{releases[0]}]")


@pytest.mark.parametrize("package, name", EXPORTED, ids=lambda value: getattr(value, "__name__", value))
def test_what_a_package_exports_is_documented(package, name):
    value = getattr(package, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        # A dataclass without a docstring gets its own signature for one.
        assert value.__doc__ and not value.__doc__.startswith(f"{value.__name__}(")


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_both_ends_of_a_dependencys_range_are_tested(requirement):
    name = requirement.name.lower().replace("_", "-")
    [floor] = [Version(bound.version) for bound in requirement.specifier if bound.operator == ">="]
    assert constraints("constraints-lowest.txt")[name] == floor
    assert requirement.specifier.contains(constraints("constraints.txt")[name])


def docstrings(tree: ast.Module) -> set[ast.AST]:
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return {node.body[0].value for node in named if ast.get_docstring(node, clean=False) is not None}


@pytest.mark.parametrize("package", [modeling_precode, data_scripts], ids=lambda package: package.__name__)
def test_no_message_names_a_file_that_only_a_checkout_has(package):
    checkout = re.compile(r"run_(pretrain|finetune)\.py|pip install [\"']?\.|\b(tests|benchmarks|examples)/")
    for path in Path(package.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found = [node.value for node in texts - docstrings(tree) if checkout.search(node.value)]
        assert not found, f"{path.name}: {found}"
