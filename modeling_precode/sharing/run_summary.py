"""The record of a run, which is saved in the checkpoint and described in its model card."""

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from transformers import PreTrainedConfig

from ..configuration_precode import PreCodeConfig
from .local_names import command_line, local_name, without_folders

FROM_SCRATCH = "from scratch"
PACKAGES = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "huggingface_hub")
# Arguments that change where a run happens or what it prints, but not its result.
NO_SETTINGS = {
    *("output_dir", "overwrite_output_dir", "report_to", "push_to_hub", "hub_model_id", "hub_private_repo", "model"),
    *("text_encoder", "hub_strategy", "ddp_timeout", "ddp_find_unused_parameters", "load_best_model_at_end"),
    *("greater_is_better", "restore_callback_states_from_checkpoint"),
    *("num_proc", "check_overlap", "logging_steps", "logging_strategy", "save_strategy", "save_total_limit", "seed"),
    # In `model_facts`, because they may come from a checkpoint.
    *("causal", "max_speakers", "text_pooling", "freeze_text_encoder", "speaker_prefix", "text_context"),
    *("conversation_encoder", "max_window_tokens"),
}


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@dataclass(kw_only=True)
class RunSummary:
    """The record of a run, saved as `config.training_summary` and described in the model card.

    No field contains a local path: of a folder, only its name is recorded.

    Args:
        corpus: The name of the corpus, or of the folder or file that it was read from. Empty if nothing is known.
        licence: The license of the corpus. `facts` has it too, except in older checkpoints.
        start: The start of the run: `"from scratch"`, a name on the Hub, or the name of a checkpoint's folder.
        seed: The seed of the run.
        selection: How the checkpoint was chosen, as a sentence without a period.
        scores: The metrics of each split, by name. `per_label` maps the name of a label to its metrics.
        calibration: The result of [`calibrate`].
        facts: Source, license and counts of the corpus, from `data_scripts.sharing.dataset_card.corpus_facts`.
        settings: The settings that change the result, from [`hyper_parameters`].
        model: Facts about the model for the reader of a card, from [`model_facts`].
        text_encoder: Name and license of the text encoder, from [`text_encoder_facts`].
        language: `code` (ISO 639) and `is_guess`, from [`find_language`].
        leakage: A description of each comparison, mapped to sentences with figures.
        seeds: Scores over all seeds: `split`, `runs` (the seeds), and `mean` and `deviation` of each metric.
        start_summary: The summary of the checkpoint that the run started from, as a summary or a dictionary.
        head: The name of the corpus whose labels the checkpoint has, if the run trained one head per corpus.
        command: The command of the run. By default that of this process, without folders and tokens.
        versions: The version of each package. By default the installed versions.
    """

    corpus: str = ""
    licence: str = ""
    start: str = FROM_SCRATCH
    seed: int | None = None
    selection: str = ""
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    text_encoder: dict[str, str] | None = None
    language: dict[str, Any] | None = None
    leakage: dict[str, list[str]] | None = None
    seeds: dict[str, Any] | None = None
    start_summary: "RunSummary | dict[str, Any] | None" = None
    head: str = ""
    command: str = field(default_factory=command_line)
    versions: dict[str, str] = field(default_factory=installed_versions)

    def __post_init__(self):
        self.corpus, self.start = local_name(self.corpus), local_name(self.start)
        if isinstance(self.start_summary, dict):
            self.start_summary = RunSummary.from_dict(self.start_summary)

    def to_dict(self) -> dict[str, Any]:
        """Convert the summary to a dictionary for `config.training_summary` and the results, which are JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, summary: dict[str, Any] | None) -> "RunSummary":
        """Read the summary of a checkpoint that any version of this package saved.

        Args:
            summary: `config.training_summary`. Missing fields stay empty. Unknown fields and fields of another type are
                left out. None results in an empty summary.
        """
        kinds: dict[str, type] = {field.name: dict for field in fields(cls)} | {"seed": int}
        kinds |= dict.fromkeys(("corpus", "licence", "start", "selection", "head", "command"), str)
        kept: dict[str, Any] = {
            name: value for name, value in (summary or {}).items() if isinstance(value, kinds.get(name, ()))
        }
        # The defaults describe this process, not the run that was saved.
        return cls(**{"command": "", "versions": {}, **kept})

    def lineage(self) -> "Iterator[RunSummary]":
        """This run, the run that it started from, and so on."""
        yield self
        if isinstance(self.start_summary, RunSummary):
            yield from self.start_summary.lineage()


def hyper_parameters(encoder: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """The settings that change a result.

    Args:
        encoder: Settings of the encoder, by name.
        arguments: A dataclass of arguments. Only the arguments that its own class declares count, not inherited ones.
    """
    declared = [field.name for field in fields(arguments) if field.name in type(arguments).__annotations__]
    settings = {**encoder, **{name: getattr(arguments, name) for name in declared}}
    return {
        name: value.value if isinstance(value, Enum) else without_folders(value)
        for name, value in settings.items()
        if name not in NO_SETTINGS and value is not None
    }


def model_facts(config: PreCodeConfig) -> dict[str, Any]:
    """Facts about a model for the reader of a card, whether the run or its start checkpoint determined them."""
    facts: dict[str, Any] = {"causal": config.causal, "max_speakers": config.max_speakers}
    if isinstance(config.text_config, PreTrainedConfig):
        facts["text_encoder"] = config.text_config.model_type
        names = ["text_pooling", "freeze_text_encoder", "speaker_prefix", "text_context"]
        names += ["conversation_encoder", "max_window_tokens"] * (config.text_context == "dialogue")
        facts |= {name: getattr(config, name) for name in names}
    return facts


def text_encoder_facts(name_or_folder: str | None) -> dict[str, str] | None:
    """The name of a text encoder, and its license if the README in its folder states one; None without an encoder."""
    if name_or_folder is None or not Path(name_or_folder).is_dir():
        return {"name": name_or_folder, "licence": ""} if name_or_folder else None
    folder = Path(name_or_folder).resolve()
    name, license_name = folder.name, ""
    if (folder / "README.md").is_file():
        card = ModelCard((folder / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=True)
        titles = (line[2:].strip() for line in card.text.splitlines() if line.startswith("# "))
        name, license_name = next(titles, name), str(card.data.get("license") or "")
    return {"name": name, "licence": license_name}
