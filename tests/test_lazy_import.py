"""Importing the library is quick, and transformers knows it in whatever order the two are imported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import data_scripts
import modeling_precode

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "numpy",
    "huggingface_hub",
    "accelerate",
    "evaluate",
    "jinja2",
    "fastapi",
)
SHOW_HEAVY = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"
# Fails unless the Auto classes, the pipelines and the push with a model card are registered, or if labeling needs more.
CHECK = """
import sys
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, AutoModelForSequenceClassification, pipeline
from modeling_precode.default_model import FOLDER
config = AutoConfig.from_pretrained(FOLDER)
config.update({"word_vector_size": 4, "utterance_hidden_size": 4, "conversation_hidden_size": 4, "vocab_size": 9})
for auto in (AutoModel, AutoModelForPreTraining, AutoModelForSequenceClassification):
    model = auto.from_config(config)
    assert type(model).__module__ == "modeling_precode.modeling_precode"
    assert type(model).push_to_hub.__module__ == "modeling_precode.sharing.push"
emotions = pipeline("conversation-emotion")
assert emotions("I'm so happy for you!")[0]["label"] == "joy"
assert type(emotions).push_to_hub.__module__ == "modeling_precode.sharing.push"
assert not {"datasets", "pyarrow"} & set(sys.modules), "labeling imports what only training needs"
"""
ORDERS = {
    "this library first": "import modeling_precode; from transformers import pipeline",
    "transformers first": "from transformers import pipeline; import modeling_precode",
    "a module": "import modeling_precode.configuration_precode",
}
MORE_ORDERS = {
    "a class": "from modeling_precode import PreCodeModel",
    "a part of transformers": "import modeling_precode, transformers.pipelines",
    "another library that uses transformers": "import modeling_precode, accelerate.utils",
}


def run(code: str, *options: str) -> str:
    """What a new Python prints that runs the code."""
    process = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.parametrize("package", ["modeling_precode", "data_scripts"])
def test_importing_a_package_imports_no_other_library(package):
    assert run(f"import {package}; dir({package}); {SHOW_HEAVY}") == "[]"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["predict", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_imports_no_library_that_takes_long(arguments):
    code = f"from modeling_precode.cli.main import main\ntry:\n    main({arguments})\nfinally:\n    {SHOW_HEAVY}"
    assert run(code).splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "order",
    [
        *(pytest.param(order, id=name) for name, order in ORDERS.items()),
        *(pytest.param(order, id=name, marks=pytest.mark.slow) for name, order in MORE_ORDERS.items()),
    ],
)
def test_transformers_knows_the_library_in_any_order_of_imports(order):
    run(f"{order}\n{CHECK}")


@pytest.mark.slow
def test_a_started_process_that_gets_a_pickled_object_knows_the_library(tmp_path):
    (tmp_path / "work.py").write_text(
        "def work(config):\n"
        "    from transformers import AutoModel\n"
        "    return type(AutoModel.from_config(config)).__name__\n"
    )
    code = (
        "from concurrent.futures import ProcessPoolExecutor; import multiprocessing\n"
        "from modeling_precode import PreCodeConfig; from work import work\n"
        "config = PreCodeConfig(word_vector_size=4, utterance_hidden_size=4, conversation_hidden_size=4)\n"
        "with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:\n"
        "    print(pool.submit(work, config).result())\n"
    )
    assert run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}") == "PreCodeModel"


def test_a_second_import_registers_nothing_twice():
    run(f"import importlib, modeling_precode, transformers; importlib.reload(modeling_precode)\n{CHECK}")


def test_modules_look_as_if_nobody_had_watched_their_import():
    code = (
        "import modeling_precode, inspect, sys\n"
        "from modeling_precode import version\n"
        "print(type(version.__loader__).__name__, type(version.__spec__.loader).__name__, inspect.getsource(version))\n"
        "import transformers; print(type(transformers.__spec__.loader).__name__)\n"
        "print([finder for finder in sys.meta_path if 'modeling_precode' in type(finder).__module__])"
    )
    lines = run(code).splitlines()
    assert lines[0].startswith("SourceFileLoader SourceFileLoader") and lines[-2:] == ["SourceFileLoader", "[]"]


def test_transformers_works_without_torch():
    code = (
        "import sys, importlib.util; find_spec = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'torch' else find_spec(name, package)\n"
        "import modeling_precode, transformers; print(transformers.PreTrainedConfig.__name__, 'torch' in sys.modules)"
    )
    assert run(code) == "PreTrainedConfig False"


@pytest.mark.parametrize("package", [modeling_precode, data_scripts], ids=lambda package: package.__name__)
def test_every_public_name_is_found_and_listed_and_a_type_checker_sees_it(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    seen = {alias.name: f"{package.__name__}.{node.module}" for node in imports for alias in node.names}
    assert set(package._MODULES) <= set(package.__all__) <= set(seen)
    for name in package.__all__:
        getattr(package, name)
        assert name in dir(package)
        assert name not in package._MODULES or seen[name] == f"{package.__name__}.{package._MODULES[name]}"
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018
