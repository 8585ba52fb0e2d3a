"""The checkpoint that comes with the package: the model of `precode predict` and of the pipeline if none is given.

`make default-model` trains it. Its card, README.md in this folder, says what it learned from and how well it labels.
"""

from pathlib import Path

# The name of this model for `--model`. For your own folder with this name, use `./default`.
DEFAULT = "default"
FOLDER = Path(__file__).parent
LIMITS = (
    "The model was tested on scripted English dialogues: TV shows and textbooks. It was never tested on recorded "
    "calls, therapy, medical or legal talk, children, or any other language. "
    "It may be wrong about irony, dialects and in-jokes."
)


def checkpoint_path(model: str) -> str:
    """The folder of the default model for `"default"`. Any other name or folder is returned unchanged."""
    return str(FOLDER) if model == DEFAULT else model
