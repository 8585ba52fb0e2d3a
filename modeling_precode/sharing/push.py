"""The push of a checkpoint, with its card, to the Hub: from a folder, from a model and from a pipeline."""

import re
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi, ModelCard
from transformers import Pipeline, PreTrainedModel

from data_scripts.tools.hub import push_folder
from data_scripts.tools.whole_files import read_json, whole_file, write_json

from ..configuration_precode import PreCodeConfig
from ..modeling_precode import PreCodeForUtteranceClassification, PreCodePreTrainedModel
from .endpoint import FILES, add_endpoint_files
from .model_card import model_card
from .run_summary import RunSummary

# Sub-folders; predictions, which hold a corpus's text; and what training keeps to resume, which holds pickles.
NOT_PUSHED = ["*/*", "run.yaml", "*.jsonl", "*.bin", "*.pt", "*.pth", "*.pkl"]
LABELING_HEAD = PreCodeForUtteranceClassification.__name__


def name_card(path: Path, name: str) -> None:
    """Make the card at `path` load its checkpoint by its name on the Hub."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if loaded := re.search(r'(?:model=|from_pretrained\()"([^"]+)"', text):
        title, new_title = (Path(one).name for one in (loaded[1], name))
        for old, new in {
            f'"{loaded[1]}"': f'"{name}"',
            f"\n# {title}\n": f"\n# {new_title}\n",
            f"\n- name: {title}\n": f"\n- name: {new_title}\n",
        }.items():
            text = text.replace(old, new)
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


def push_checkpoint(
    folder: str | Path, name: str | None, private: bool = False, token: str | None = None
) -> str | None:
    """Upload a checkpoint's folder to the Hub, without sub-folders and without predictions, which hold a corpus's text.

    The folder of a model that labels utterances first gets the files of an Inference Endpoint. A failure never costs
    the run: when the Hub cannot be reached or refuses, the folder stays, and a message on standard error says how to
    push it later.

    Args:
        folder: The checkpoint's folder.
        name: The repository, `user/name` or `name`; the folder's name by default.
        private: Push to a private repository; one that exists and is public is refused.
        token: A token of the Hub; that of `hf auth login` by default.

    Returns:
        The address of the commit, or `None` when the push failed.
    """
    name, card = name or Path(folder).resolve().name, Path(folder, "README.md")
    # Before the push: when it fails, the command for later uploads the card as it is.
    name_card(card, name)
    config = Path(folder, "config.json")
    if config.is_file() and LABELING_HEAD in (read_json(config).get("architectures") or []):
        add_endpoint_files(folder)
    excluded = [word for pattern in NOT_PUSHED for word in ("--exclude", pattern)]
    command = ["hf", "upload", name, str(folder), *excluded, *["--private"] * private]
    return push_folder(
        folder,
        name,
        what="checkpoint",
        later=shlex.join(command),
        private=private,
        token=token,
        prepare=lambda repository: name_card(card, repository),
        ignore_patterns=NOT_PUSHED,
    )


def describes(summary: RunSummary, task: str, config: PreCodeConfig) -> bool:
    """Whether a summary is of the training of a model for `task`, and not of the one that it started from.

    `from_pretrained` passes on the summary of the checkpoint, whatever head the model gets.
    """
    labels = [set(scores["per_label"]) for scores in summary.scores.values() if "per_label" in scores]
    return bool(summary.scores) and labels == (
        [set(config.label2id or ())] * len(summary.scores) if task == "erc" else []
    )


def _task(model: PreCodePreTrainedModel) -> str:
    return "erc" if isinstance(model, PreCodeForUtteranceClassification) else "convcom"


def _card(
    model: PreCodePreTrainedModel, repository: str, summary: RunSummary, is_own: bool, tags: list[str]
) -> ModelCard:
    """The card of a model, whose summary is of its own training or of the checkpoint that the training started from."""
    own = summary if is_own else RunSummary(start="", start_summary=summary, command="", versions={})
    card = model_card(repository, _task(model), own)
    card.data["tags"] = list(dict.fromkeys([*card.data["tags"], *(model.model_tags or []), *tags]))
    return card


def _write_summary(path: Path, summary: RunSummary) -> None:
    """Replace the summary in a configuration file: that of an earlier version may contain local paths."""
    config = read_json(path)
    if saved := config.get("training_summary"):
        write_json(path, {**config, "training_summary": {**saved, **summary.to_dict()}})


def _add_missing_endpoint_files(folder: Path, api: HfApi, repository: str, revision: str | None) -> None:
    """Add the files of an Inference Endpoint that the repository does not have."""
    add_endpoint_files(folder)
    for name in FILES:
        if api.file_exists(repository, name, revision=revision):
            (folder / name).unlink()


def push_to_hub(
    self: PreTrainedModel | Pipeline,
    repo_id: str,
    *,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    max_shard_size: int | str = "50GB",
    tags: list[str] | None = None,
) -> str:
    """Upload the checkpoint to the Hub, with the card of its run.

    The card is written from `config.training_summary`. It replaces the card that the repository has, which stays in the
    repository's history. Where the summary is not of this model's own training, such as that of the checkpoint that a
    `transformers.Trainer` started from, the card says so, and a card that the repository has is kept. A model that
    labels utterances gets the files of an Inference Endpoint, unless the repository has them.

    Args:
        repo_id: The repository, `user/name` or `name`. It is created where there is none.
        commit_message: Title of the commit; "Upload model" or "Upload pipeline" by default.
        commit_description: Description of the commit.
        private: Whether a repository that is created is private; as the user's or organization's default by default.
        token: A token of the Hub; that of `hf auth login` by default.
        revision: The branch to push to; it is created where there is none. The main branch by default.
        create_pr: Open a pull request with the files, rather than commit them.
        max_shard_size: The size of a file of weights at most.
        tags: Tags that the card gets besides its own.

    Returns:
        The address of the commit.

    Raises:
        HfHubHTTPError: The Hub refuses, with the reason.
    """
    api = HfApi(token=token)
    repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision is not None and not revision.startswith("refs/pr"):
        api.create_branch(repository, branch=revision, exist_ok=True)
    model = self.model if isinstance(self, Pipeline) else self
    assert isinstance(model, PreCodePreTrainedModel)
    summary = RunSummary.from_dict(model.config.training_summary)
    is_own = describes(summary, _task(model), model.config)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        self.save_pretrained(folder, max_shard_size=max_shard_size)
        if is_own or not api.file_exists(repository, "README.md", revision=revision):
            _card(model, repository, summary, is_own, tags or []).save(folder / "README.md")
        _write_summary(folder / "config.json", summary)
        if isinstance(model, PreCodeForUtteranceClassification):
            _add_missing_endpoint_files(folder, api, repository, revision)
        commit = api.upload_folder(
            folder_path=folder,
            repo_id=repository,
            commit_message=commit_message or f"Upload {'pipeline' if isinstance(self, Pipeline) else 'model'}",
            commit_description=commit_description,
            revision=revision,
            create_pr=create_pr,
        )
    return str(commit)
