"""What a checkpoint on the Hub promises to a stranger who has torch and transformers and nothing else: it loads, by
every Auto class and as a pipeline, by revision and offline, and labels as it does for one who has this package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clean_environment import make_environment
from hub_server import HubServer

from modeling_precode import (
    ConversationEmotionPipeline,
    PreCodeConfig,
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeTokenizer,
)

ROOT = Path(__file__).resolve().parents[1]
DIALOGUE = ["I am so happy!", "About what?", "The weather ...", ""]
NAME = "someone/emotions"
PUSH = """
import sys
from huggingface_hub import HfApi
from transformers import pipeline
from modeling_precode import PreCodeForUtteranceClassification, PreCodeTokenizer

folder, name = sys.argv[1:]
model = PreCodeForUtteranceClassification.from_pretrained(folder)
model.push_to_hub(name, private=True)
tokenizer = PreCodeTokenizer.from_pretrained(folder)
tokenizer.push_to_hub(name)
HfApi().create_tag(name, tag="v1")
model.classifier.output.bias.data[0] += 50
pipeline("conversation-emotion", model=model, tokenizer=tokenizer).push_to_hub(name)
"""
STRANGER = """
import importlib.util, json, sys
for package in ("modeling_precode", "data_scripts", "datasets", "evaluate", "accelerate"):
    assert importlib.util.find_spec(package) is None, package
from transformers import (
    AutoConfig, AutoModel, AutoModelForPreTraining, AutoModelForSequenceClassification, AutoTokenizer, pipeline
)

name, dialogue = sys.argv[1], json.loads(sys.argv[2])
loaders = (AutoConfig, AutoModel, AutoModelForPreTraining, AutoModelForSequenceClassification, AutoTokenizer)
loaded = [type(loader.from_pretrained(name, trust_remote_code=True)) for loader in loaders]
assert all(kind.__module__.startswith("transformers_modules.") for kind in loaded), loaded
emotions = pipeline("conversation-emotion", model=name, trust_remote_code=True)
if len(sys.argv) > 3:
    emotions.save_pretrained(sys.argv[3])
tagged = pipeline("conversation-emotion", model=name, revision="v1", trust_remote_code=True)
# What the Hub's page shows for a classifier of text.
assert pipeline("text-classification", model=name, trust_remote_code=True)(dialogue[0]) == emotions(dialogue[0])
results = [emotions(dialogue, distribution=True), tagged(dialogue, distribution=True)]
print(json.dumps({"classes": [kind.__name__ for kind in loaded], "results": results}))
"""
HOUSEMATE = """
import json, sys
from transformers import pipeline
import modeling_precode

emotions = [pipeline("conversation-emotion", model=sys.argv[1], revision=tag) for tag in (None, "v1")]
assert isinstance(emotions[0].model, modeling_precode.PreCodeForUtteranceClassification)
print(json.dumps([pipe(json.loads(sys.argv[2]), distribution=True) for pipe in emotions]))
"""


def run_python(python: Path | str, code: str, *arguments: str, **environment: str) -> str:
    """What a new process prints; it sees nothing of this one's folder and packages."""
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS", "HF_HUB_DISABLE_XET")}
    result = subprocess.run(
        [str(python), "-c", code, *arguments],
        cwd="/",
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "hf_secret" not in result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory) -> Path:
    return make_environment(tmp_path_factory.mktemp("clean") / "venv", "torch", "transformers")


@pytest.fixture
def environment(hub: HubServer, checkpoint, tmp_path) -> dict[str, str]:
    """The settings of a user of the Hub, where the checkpoint is in a private repository, once as v1, and changed."""
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret"}
    run_python(sys.executable, PUSH, str(checkpoint), NAME, PYTHONPATH=str(ROOT), **settings)
    return settings


def probabilities(dialogue: list[dict]) -> list[float]:
    return [probability for turn in dialogue for probability in turn["distribution"].values()]


def test_it_loads_and_labels_in_an_environment_of_torch_and_transformers_alone(
    hub, environment, checkpoint, clean_python, tmp_path
):
    local = ConversationEmotionPipeline(
        PreCodeForUtteranceClassification.from_pretrained(checkpoint), PreCodeTokenizer.from_pretrained(checkpoint)
    )
    expected = probabilities(local(DIALOGUE, distribution=True))
    saved = tmp_path / "saved"
    printed = run_python(clean_python, STRANGER, NAME, json.dumps(DIALOGUE), str(saved), **environment)
    stranger = json.loads(printed.splitlines()[-1])
    heads = ["PreCodeForConversationCompletion", "PreCodeForUtteranceClassification"]
    assert stranger["classes"] == ["PreCodeConfig", "PreCodeModel", *heads, "PreCodeTokenizer"]
    latest, tagged = stranger["results"]
    assert probabilities(tagged) == pytest.approx(expected, abs=1e-6)
    assert {turn["label"] for turn in latest} == {"anger"}  # the later commit's bias
    # What a stranger saves has all of the code again, without the handler that a push adds.
    pushed = {name for name in hub.files(NAME) if name.endswith(".py")}
    assert {path.name for path in saved.glob("*.py")} == pushed - {"handler.py"} != pushed

    # The Hub is gone: what was read once is there, for the stranger and for one who has the package.
    before = len(hub.requests)
    offline = {**environment, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    printed = run_python(clean_python, STRANGER, NAME, json.dumps(DIALOGUE), **offline)
    assert json.loads(printed.splitlines()[-1])["results"] == stranger["results"]
    printed = run_python(sys.executable, HOUSEMATE, NAME, json.dumps(DIALOGUE), PYTHONPATH=str(ROOT), **offline)
    assert [probabilities(result) for result in json.loads(printed.splitlines()[-1])] == [
        pytest.approx(probabilities(result), abs=1e-6) for result in stranger["results"]
    ]
    assert len(hub.requests) == before


def test_with_the_package_it_loads_from_the_hub_and_runs_none_of_its_code(hub, environment):
    repository = hub.repositories["model", NAME]
    for path, file in repository.at("main").files.items():
        if path.endswith(".py"):
            object.__setattr__(file, "data", b"raise SystemExit('the code of the checkpoint ran')")
    printed = run_python(sys.executable, HOUSEMATE, NAME, json.dumps(DIALOGUE), PYTHONPATH=str(ROOT), **environment)
    assert {turn["label"] for turn in json.loads(printed.splitlines()[-1])[0]} == {"anger"}


@pytest.mark.parametrize("kind", [PreCodeForUtteranceClassification, PreCodeForConversationCompletion, PreCodeConfig])
def test_whatever_is_saved_carries_all_of_the_code(kind, tiny_config, checkpoint, tmp_path):
    config = tiny_config()
    (config if kind is PreCodeConfig else kind(config)).save_pretrained(tmp_path / "other")
    names = {path.name for path in (tmp_path / "other").glob("*.py")}
    assert names == {path.name for path in checkpoint.glob("*.py")}
    assert names > {"configuration_precode.py", "modeling_precode.py", "pipeline_precode.py", "tokenization_precode.py"}
    saved = json.loads((tmp_path / "other" / "config.json").read_text())
    for reference in [*saved["auto_map"].values(), saved["custom_pipelines"]["conversation-emotion"]["impl"]]:
        module, _, name = reference.partition(".")
        assert f"class {name}(" in (tmp_path / "other" / f"{module}.py").read_text()


SAVE_SETTINGS = """
import sys
sys.modules["modeling_precode"] = None  # not installed
from transformers import AutoConfig

AutoConfig.from_pretrained(sys.argv[1], trust_remote_code=True).save_pretrained(sys.argv[2])
"""


def test_settings_that_were_loaded_without_a_model_are_saved_with_all_of_the_code(checkpoint, tmp_path):
    run_python(sys.executable, SAVE_SETTINGS, str(checkpoint), str(tmp_path / "other"), HF_HOME=str(tmp_path / "home"))
    assert {path.name for path in (tmp_path / "other").glob("*.py")} == {path.name for path in checkpoint.glob("*.py")}


def test_a_checkpoint_from_before_it_carried_code_loads(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    for added in ("auto_map", "custom_pipelines", "format_version"):
        del config[added]
    (checkpoint / "config.json").write_text(json.dumps(config))
    tokenizer_config = json.loads((checkpoint / "tokenizer_config.json").read_text())
    del tokenizer_config["auto_map"]
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    for path in checkpoint.glob("*.py"):
        path.unlink()
    printed = run_python(
        sys.executable,
        HOUSEMATE.replace('"v1"', "None"),
        *(str(checkpoint), json.dumps(DIALOGUE)),
        PYTHONPATH=str(ROOT),
        HF_HUB_OFFLINE="1",
    )
    assert len(json.loads(printed.splitlines()[-1])[0]) == len(DIALOGUE)


def test_a_checkpoint_of_a_newer_format_says_what_to_do(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    with pytest.raises(Exception, match="format_version` 99.*newer version of precode.*pip install --upgrade precode"):
        PreCodeForUtteranceClassification.from_pretrained(checkpoint)
