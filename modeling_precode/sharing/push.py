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
from .run_summary import RunSummary

# Sub-folders, predictions (which contain text of the corpus), files for resuming (which contain pickles), and what a
# killed process left of a file.
NOT_PUSHED = ["*/*", ".*.partial", "run.yaml", "*.jsonl", "*.bin", "*.pt", "*.pth", "*.pkl"]
LABELING_HEAD = PreCodeForUtteranceClassification.__name__
# A file of the code that a checkpoint contains. An exported model and the default model have none.
CONFIGURATION_CODE = f"{PreCodeConfig.__module__.rpartition('.')[2]}.py"
# The name in the first example of the section Use, as the cards of a checkpoint and of an export have it.
_EXAMPLE = re.compile(
    r"^## Use\n(?:(?!^## ).)*?"
    r'(?:pipeline\("conversation-emotion", model=|PreCodeForUtteranceClassification\.from_pretrained\(|'
    r'OnnxEmotionPipeline\()"([^"]+)"',
    re.MULTILINE | re.DOTALL,
)


def name_card(path: Path, name: str) -> None:
    """Change a card so that its example loads the checkpoint by its name on the Hub. Other cards stay as they are."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if loaded := _EXAMPLE.search(text):
        title, new_title = (Path(one).name for one in (loaded[1], name))
        for old, new in {
            f'"{loaded[1]}"': f'"{name}"',
            f"\n# {title}\n": f"\n# {new_title}\n",
            f"\n- name: {title}\n": f"\n- name: {new_title}\n",
        }.items():
            text = text.replace(old, new)
        with whole_file(path, is_alone=True) as partial:
            partial.write_text(text, encoding="utf-8")


def push_checkpoint(
    folder: str | Path, name: str | None, private: bool = False, token: str | None = None
) -> str | None:
    """Upload the folder of a checkpoint to the Hub, without sub-folders and predictions, which contain corpus text.

    The folder of a model that labels utterances first gets the files of an Inference Endpoint, if it has the code that
    they use. A failed push loses nothing: the folder stays, and a message on standard error says how to push it later.

    Args:
        folder: The folder of the checkpoint.
        name: The repository, `user/name` or `name`; by default the name of the folder.
        private: Push to a private repository. An existing public repository is refused.
        token: The token for the Hub; by default that of `hf auth login`.

    Returns:
        The address of the commit, or `None` if the push failed.
    """
    name, card = name or Path(folder).resolve().name, Path(folder, "README.md")
    # Before the push: if it fails, the command for later uploads the card unchanged.
    name_card(card, name)
    config = Path(folder, "config.json")
    labels = config.is_file() and LABELING_HEAD in (read_json(config).get("architectures") or [])
    if labels and Path(folder, CONFIGURATION_CODE).is_file():
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
    """Whether a summary describes the training of a model for `task`, and not that of its start checkpoint.

    `from_pretrained` keeps the summary of the checkpoint, even if the model gets another head.

    Args:
        summary: The summary in the configuration of the model.
        task: `"convcom"` or `"erc"`.
        config: The configuration of the model.
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
    """The card of a model. `is_own` is whether the summary describes its own training, not that of its start."""
    from .model_card import model_card  # late, because it imports datasets, which labeling does not need

    own = summary if is_own else RunSummary(start="", start_summary=summary, command="", versions={})
    card = model_card(repository, _task(model), own)
    card.data["tags"] = list(dict.fromkeys([*card.data["tags"], *(model.model_tags or []), *tags]))
    return card


def _write_summary(path: Path, summary: RunSummary) -> None:
    """Replace the summary in a configuration file, because that of an earlier version may contain local paths."""
    config = read_json(path)
    if saved := config.get("training_summary"):
        write_json(path, {**config, "training_summary": {**saved, **summary.to_dict()}})


def _add_missing_endpoint_files(folder: Path, api: HfApi, repository: str, revision: str | None) -> None:
    """Add the files of an Inference Endpoint that the repository does not have."""
    add_endpoint_files(folder)
    for name in FILES:
        if api.file_exists(repository, name, revision=revision):
            (folder / name).unlink()


def _add_repository_files(
    folder: Path, model: PreCodePreTrainedModel, api: HfApi, repository: str, revision: str | None, tags: list[str]
) -> None:
    """Add the card and the files of an Inference Endpoint to a saved model, and remove local paths from its summary."""
    summary = RunSummary.from_dict(model.config.training_summary)
    is_own = describes(summary, _task(model), model.config)
    if is_own or not api.file_exists(repository, "README.md", revision=revision):
        _card(model, repository, summary, is_own, tags).save(folder / "README.md")
    _write_summary(folder / "config.json", summary)
    if isinstance(model, PreCodeForUtteranceClassification):
        _add_missing_endpoint_files(folder, api, repository, revision)


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

    The card is written from `config.training_summary`. It replaces the card of the repository, which stays in the
    repository's history. If the summary does not describe the training of this model, but for example that of the
    checkpoint that a `transformers.Trainer` started from, the card says so, and an existing card is kept. A model that
    labels utterances gets the files of an Inference Endpoint, unless the repository has them.

    Args:
        repo_id: The repository, `user/name` or `name`. It is created if it does not exist.
        commit_message: The title of the commit; by default "Upload model" or "Upload pipeline".
        commit_description: The description of the commit.
        private: Whether a new repository is private; by default as the settings of the user or organization say.
        token: The token for the Hub; by default that of `hf auth login`.
        revision: The branch to push to; by default the main branch. It is created if it does not exist.
        create_pr: Open a pull request with the files instead of committing them.
        max_shard_size: The maximum size of a file of weights.
        tags: Additional tags for the card.

    Returns:
        The address of the commit.

    Raises:
        HfHubHTTPError: The Hub refuses the push. The message has the reason.
    """
    api = HfApi(token=token)
    repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision is not None and not revision.startswith("refs/pr"):
        api.create_branch(repository, branch=revision, exist_ok=True)
    model = self.model if isinstance(self, Pipeline) else self
    assert isinstance(model, PreCodePreTrainedModel)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        self.save_pretrained(folder, max_shard_size=max_shard_size)
        _add_repository_files(folder, model, api, repository, revision, tags or [])
        commit = api.upload_folder(
            folder_path=folder,
            repo_id=repository,
            commit_message=commit_message or f"Upload {'pipeline' if isinstance(self, Pipeline) else 'model'}",
            commit_description=commit_description,
            revision=revision,
            create_pr=create_pr,
        )
    return str(commit)
