"""The experiments of a file: the runs, the runs that they start from, and the studies that they belong to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from .checkpoints import Checkpoint
from .multi_task import OF_CORPUS, of_all_corpora
from .results import key_of
from .zero_shot import ZeroShot

PRETRAIN, FINETUNE = "run_pretrain.py", "run_finetune.py"


@dataclass(frozen=True)
class Run:
    """A call of a training script.

    Args:
        script: The file of the script.
        settings: The arguments, as in the file of the experiments. Paths are relative to the data folder. `history` is
            not an argument of the script: it selects a view of the corpus (`views.py`). `multi_task` has the settings
            of every corpus with a head, and the result is that of one of them.
        seeds: The seeds, with one result each.
        start: The pre-training run or the finished model whose checkpoint this run starts from.
    """

    script: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    start: "Run | Checkpoint | None" = None

    @property
    def key(self) -> str:
        """The key of everything that changes the result, except the seed."""
        start = self.start and [self.start.key, *self.start.seeds]
        return key_of(self.script, self.settings, start)

    @property
    def corpus(self) -> str:
        return self.settings["corpus"]

    @property
    def folder(self) -> str:
        """The name of the output folder. Results of one training on several corpora share it."""
        if "multi_task" not in self.settings:
            return f"{self.corpus}-{self.key}"
        shared = replace(self, settings=of_all_corpora(self.settings))
        return f"{'-'.join(self.settings['multi_task'])}-{shared.key}"


def comparison_key(first: Run, second: Run) -> str:
    return key_of(first.key, second.key, first.seeds, second.seeds)


def ensemble_key(run: Run) -> str:
    return key_of("ensemble", run.key, run.seeds)


@dataclass(frozen=True)
class Study:
    """Runs that answer one question.

    Args:
        name: The name of the study.
        runs: The runs by (corpus, variant, value on the axis or `None`).
        axis: The argument that varies, for a plot.
        compared: Pairs of variants whose difference, first minus second, is tested.
        ensembles: Variants whose seeds are also scored together, as an ensemble.
    """

    name: str
    runs: dict[tuple[str, str, Any], Run]
    axis: str | None = None
    compared: list[tuple[str, str]] = field(default_factory=list)
    ensembles: list[str] = field(default_factory=list)

    @property
    def corpora(self) -> list[str]:
        return list(dict.fromkeys(corpus for corpus, _, _ in self.runs))

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(variant for _, variant, _ in self.runs))


@dataclass(frozen=True)
class Experiments:
    """The content of a file of experiments.

    Args:
        corpora: The arguments for reading each corpus, by name.
        metrics: The dev metric that chooses the checkpoint, for each labeled corpus.
        pretraining: The pre-training runs, by name.
        studies: The studies of fine-tuning.
        zero_shot: The studies of models that were trained on none of the corpora.
    """

    corpora: dict[str, dict[str, Any]]
    metrics: dict[str, str]
    pretraining: dict[str, Run]
    studies: list[Study]
    zero_shot: list[ZeroShot] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, checkpoints: Mapping[str, str] | None = None) -> "Experiments":
        """Read the experiments from YAML.

        Args:
            path: The path of the file.
            checkpoints: The values of `--model` for finished models, by name. They are added to the models of the file,
                or replace them.

        Raises:
            ValueError: The file uses an undefined name or an unknown key.
        """
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        corpora = content["corpora"]
        common = content["pretraining"]["settings"]
        pretraining = {}
        for name, settings in content["pretraining"]["runs"].items():
            settings = _merged(common, settings)
            settings |= _known(corpora, settings["corpus"], path)
            start = _start(settings, pretraining, path)
            pretraining[name] = Run(PRETRAIN, settings, (settings.pop("seed", 1),), start)
        finished = {
            name: Checkpoint(name, model)
            for name, model in {**content.get("checkpoints", {}), **(checkpoints or {})}.items()
        }
        if twice := finished.keys() & pretraining.keys():
            raise ValueError(
                f"{path}: {', '.join(sorted(twice))}: a checkpoint and a pre-training run have the same name"
            )
        starts = {**pretraining, **finished}
        studies = [_study(name, study, content, starts, path) for name, study in content["studies"].items()]
        labeled = [(corpus, run) for study in studies for (corpus, _, _), run in study.runs.items()]
        # The metric of a training on several corpora is used only for a corpus that has no other.
        labeled.sort(key=lambda pair: "multi_task" not in pair[1].settings)
        metrics = {corpus: run.settings["metric_for_best_model"] for corpus, run in labeled}
        zero_shot = [
            _zero_shot(name, study, corpora, [*finished.values()], path)
            for name, study in content.get("zero_shot", {}).items()
        ]
        return cls(corpora, metrics, pretraining, studies, zero_shot)

    def runs(self) -> Iterator[Run]:
        """Yield each run once, with the seeds of all studies. Runs that others start from come first."""
        finetuning = [run for study in self.studies for run in study.runs.values()]
        starts = [run.start for run in finetuning if isinstance(run.start, Run)]
        merged: dict[str, Run] = {run.key: run for run in (*starts, *self.pretraining.values())}
        for run in finetuning:
            known = merged.get(run.key)
            seeds = tuple(sorted({*run.seeds, *(known.seeds if known else ())}))
            merged[run.key] = replace(run, seeds=seeds)
        yield from merged.values()


def _known(names: Mapping[str, Any], name: str, path: Path) -> Any:
    if name not in names:
        raise ValueError(f"{path}: {name} is not defined; known: {', '.join(names)}")
    return names[name]


def _merged(*settings: dict[str, Any]) -> dict[str, Any]:
    """Merge settings. Later ones override earlier ones, and `None` removes a setting."""
    merged = {name: value for part in settings for name, value in part.items()}
    return {name: value for name, value in merged.items() if value is not None}


def _start(settings: dict[str, Any], starts: Mapping[str, Run | Checkpoint], path: Path) -> Any:
    """The run or checkpoint that the settings name as `model`, which is removed from them; None without a name."""
    model = settings.pop("model", None)
    return _known(starts, model, path) if model else None


def _study(
    name: str, study: dict[str, Any], content: dict[str, Any], starts: Mapping[str, Run | Checkpoint], path: Path
) -> Study:
    if unknown := study.keys() - {"corpora", "seeds", "variants", "over", "compare", "ensembles", "settings"}:
        raise ValueError(f"{path}: study {name}: unknown keys {', '.join(sorted(unknown))}")
    over = dict(study.get("over", {}))
    default = over.pop("default", None)
    axis, values = next(iter(over.items()), (None, [None]))
    runs = {
        (corpus, variant, value): _finetuning(
            content, study, corpus, settings, {axis: value} if value != default else {}, starts, path
        )
        for corpus in study["corpora"]
        for variant, settings in study["variants"].items()
        for value in values
    }
    compared = [tuple(pair) for pair in study.get("compare", [])]
    for variant in (ensembles := study.get("ensembles", [])):
        if "history" in _known(study["variants"], variant, path):
            raise ValueError(f"{path}: study {name}: an ensemble reads whole dialogues; leave {variant} out")
    return Study(name, runs, axis, compared, ensembles)


def _finetuning(
    content: dict,
    study: dict,
    corpus: str,
    variant: dict,
    value: dict[str, Any],
    starts: Mapping[str, Run | Checkpoint],
    path: Path,
) -> Run:
    """The run of a variant, from the settings for all runs, the corpus, the study, the variant and the value on the
    axis, in this order. The settings for a corpus are left out if the run trains on several."""
    common = content["finetuning"]
    is_alone = "multi_task" not in {**study.get("settings", {}), **variant}
    settings = _merged(
        common["settings"],
        _known(content["corpora"], corpus, path),
        common["corpora"].get(corpus, {}) if is_alone else {},
        study.get("settings", {}),
        variant,
        value,
    )
    if "multi_task" in settings:
        settings["multi_task"] = _with_heads(content["corpora"], corpus, settings["multi_task"], path)
    start = _start(settings, starts, path)
    return Run(FINETUNE, settings, tuple(study["seeds"]), start)


def _with_heads(corpora: dict[str, dict], corpus: str, names: list[str], path: Path) -> dict[str, dict[str, Any]]:
    """The settings of the corpora that have a head, by name."""
    found = {name: _known(corpora, name, path) for name in names}
    if corpus not in found or any(one.keys() - set(OF_CORPUS) for one in found.values()):
        raise ValueError(
            f"{path}: multi_task: give {corpus} and other corpora without corpus_options; got {', '.join(names)}"
        )
    return found


def _zero_shot(
    name: str, study: dict[str, Any], corpora: dict[str, dict], checkpoints: list[Checkpoint], path: Path
) -> ZeroShot:
    needed = {"split", "corpora", "label_map", "bag_of_words", "metric"}
    if study.keys() != needed:
        raise ValueError(f"{path}: study {name}: give {', '.join(sorted(needed))}; got {', '.join(sorted(study))}")
    scored = {corpus: _known(corpora, corpus, path) for corpus in study["corpora"]}
    training = _known(corpora, study["bag_of_words"], path)
    if "data_dir" in training:
        raise ValueError(
            f"{path}: study {name}: bag_of_words learns from a corpus that comes with the package; got "
            f"{study['bag_of_words']}, which has a data_dir"
        )
    return ZeroShot(name, study["split"], scored, study["label_map"], training, study["metric"], checkpoints)
