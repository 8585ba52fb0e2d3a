"""The card that a checkpoint carries, written from its run, and the push of both to the Hub."""

import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi

from .citation import CITATION

PACKAGES = ("torch", "transformers", "datasets", "accelerate")
# What to do where the Hub answers a push with an error; 500 stands for all that are the Hub's own.
_ADVICE = {
    401: "; log in with hf auth login, or give a valid token",
    403: "; give a token that may write to {name}",
    404: "; check the name, and that the repository is still there",
    409: "; something else was pushed at the same time: push again",
    412: "; something else was pushed in the meantime: push again",
    429: "; wait some minutes",
    500: "; the Hub has trouble of its own: try later",
}
_CONVCOM = {
    "tags": ["precode", "conversation", "conversation-completion"],
    "what": "A context-dependent encoder of English conversations (Pre-CODE), pre-trained with Conversation "
    "Completion: given the utterances before and after, tell the true one from utterances of other dialogues. It is a "
    "start for fine-tuning, and labels nothing by itself.",
    "limits": "It knows the kind of dialogue it was trained on, and whatever prejudice that holds. Languages other "
    "than English are out of scope.",
    "load": """```python
from modeling_precode import PreCodeForUtteranceClassification, PreCodeTokenizer

tokenizer = PreCodeTokenizer.from_pretrained("{name}")
model = PreCodeForUtteranceClassification.from_pretrained("{name}", num_labels=7)
```""",
}
_ERC = {
    "tags": ["precode", "conversation", "emotion-recognition-in-conversations", "text-classification"],
    "what": "Labels every utterance of an English conversation with an emotion, from the whole conversation "
    "(Pre-CODE).",
    "limits": "The labels are guesses about text, learned from few annotators and one kind of dialogue; they say "
    "nothing certain about what a person feels. Do not use them to judge people. Other kinds of dialogue than the "
    "training corpus's, and languages other than English, are out of scope.",
    "load": """```python
from transformers import pipeline

import modeling_precode

emotions = pipeline("conversation-emotion", model="{name}")
emotions(["I got the job!", "You did? That's wonderful!"])
```""",
}


def run_summary(**facts: Any) -> dict[str, Any]:
    """What a checkpoint keeps about its run: the given facts, the command and the versions."""
    command = " ".join(["python", Path(sys.argv[0]).name, *map(shlex.quote, _without_token(sys.argv[1:]))])
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {**facts, "command": command, "versions": versions}


def _without_token(arguments: list[str]) -> list[str]:
    """A token is never written down."""
    kept = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before.startswith("--") and before.endswith("token"):
            argument = "..."
        name, equals, _ = argument.partition("=")
        kept.append(f"{name}=..." if equals and name.startswith("--") and name.endswith("token") else argument)
    return kept


def write_model_card(folder: str | Path, name: str, task: str, summary: dict[str, Any]) -> None:
    """Write `README.md` into a checkpoint's folder.

    Args:
        folder: of the checkpoint.
        name: under which it is loaded: a name on the Hub or a path.
        task: `"convcom"` or `"erc"`.
        summary: from [`run_summary`], with `corpus`, `licence`, `selection` (a sentence) and `scores`
            (name of a split -> name of a metric -> number).
    """
    text = {"convcom": _CONVCOM, "erc": _ERC}[task]
    header: dict[str, Any] = {"language": "en", "library_name": "transformers", "tags": text["tags"]}
    if task == "erc":
        header["pipeline_tag"] = "text-classification"
    rows = [
        f"| {split} | {metric} | {_number(value)} |"
        for split, scores in summary["scores"].items()
        for metric, value in scores.items()
        if isinstance(value, int | float | str)
    ]
    training = [
        f"* Corpus: {summary['corpus']} ({summary['licence']})",
        f"* Selection: {summary['selection']}",
        f"* Command: `{summary['command']}`",
        "* Versions: " + ", ".join(f"{package} {number}" for package, number in summary["versions"].items()),
    ]
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {name}",
        text["what"],
        "## Use",
        text["load"].format(name=name),
        "## Training",
        "\n".join(training),
        "## Scores",
        "\n".join(["| split | metric | value |", "|---|---|---|", *rows]),
        "## Limits",
        text["limits"],
        "## Citation",
        f"```bibtex\n{CITATION}\n```",
    ]
    (Path(folder) / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def push_checkpoint(
    folder: str | Path, name: str | None, private: bool = False, token: str | None = None
) -> str | None:
    """Upload a checkpoint to the Hub, without sub-folders and without predictions, which hold a corpus's text.

    Never costs the run: when the Hub cannot be reached or refuses, the folder stays, and the message says how to
    push it later.

    Returns:
        the address of the commit, or `None` when the push failed.
    """
    name = name or Path(folder).resolve().name
    try:
        api = HfApi(token=token)
        repository = api.create_repo(name, private=private, exist_ok=True).repo_id
        return str(
            api.upload_folder(
                folder_path=folder,
                repo_id=repository,
                commit_message="Upload checkpoint",
                ignore_patterns=["*/*", "*.jsonl"],
            )
        )
    # Whatever the matter is, the training is done and must not be lost; the classes of the network's errors change
    # with the version of huggingface_hub.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        status = getattr(getattr(error, "response", None), "status_code", 0)
        advice = _ADVICE.get(min(status, 500), "").format(name=name)
        print(
            f"The push to the Hub failed ({type(error).__name__}: {reason}){advice}.\nThe checkpoint is safe in "
            f"{folder}; push it later with: hf upload {shlex.quote(name)} {shlex.quote(str(folder))} "
            "--exclude '*/*' --exclude '*.jsonl'",
            file=sys.stderr,
        )
        return None


def _number(value: int | float | str) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
