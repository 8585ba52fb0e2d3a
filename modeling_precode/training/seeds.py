"""Fine-tuning with several seeds: the run of each, the mean of their scores, and the best checkpoint."""

import logging
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import CONFIG_NAME

from data_scripts.tools.whole_files import read_json, replaced_files, write_json

from ..evaluation.metrics import score_values
from ..sharing.local_names import without_folders
from ..sharing.model_card import write_model_card
from ..sharing.run_summary import RunSummary
from .checkpoints import FINETUNE_RESULTS, RESULTS, note_heads, noted_heads, remove_checkpoints
from .finetuning import UtteranceClassificationTrainer
from .finetuning_arguments import UtteranceClassificationArguments
from .finetuning_checkpoints import PushBest
from .interruption import finish_exchanges
from .predictions import write_predictions

logger = logging.getLogger(__name__)

TEST_PREDICTIONS = "test_predictions.jsonl"


def train_seed(
    seed: int,
    args: UtteranceClassificationArguments,
    build_trainer: Callable[[UtteranceClassificationArguments], UtteranceClassificationTrainer],
) -> dict[str, Any]:
    """Train with one seed, choose the checkpoint on validation, score it once on test, and save it in `seed_N`.

    Args:
        seed: The seed of the run.
        args: The settings of all seeds.
        build_trainer: Builds the trainer from the settings of the seed. With `args.score_test`, the trainer needs a
            `test_dataset`.

    Returns:
        The summary of the run. A resumed run returns the saved summary of a seed that is finished.

    Raises:
        ValueError: A seed was finished without the test split, and `args.score_test` asks for it.
    """
    args_of_seed = args.for_seed(seed)
    folder = Path(args_of_seed.output_dir)
    if args.resume_from_checkpoint and (folder / RESULTS).is_file():
        logger.info(f"  seed {seed} is finished")
        if args.process_index == 0:  # a kill may have come before this
            remove_checkpoints(folder)
        summary = {name: value for name, value in read_json(folder / RESULTS).items() if name != "history"}
        if args.scores_test and "test" not in summary["scores"]:
            raise ValueError(
                f"--resume_from_checkpoint: seed {seed} is finished without a score of the test split; score it with "
                f"precode finetune --do_predict --model {folder}"
            )
        return summary
    resume = args.resume_from_checkpoint
    if resume not in (None, "latest") and Path(resume).resolve().parent != folder.resolve():
        resume = "latest"  # the checkpoint is of another seed
    trainer = build_trainer(args_of_seed)
    if args.pushes_best:
        earlier = [Path(args.output_dir) / f"seed_{other}" / RESULTS for other in args.seeds]
        trainer.remove_callback(PushBest)  # it compares with no other seed
        trainer.add_callback(PushBest(trainer, earlier))
    trainer.train(resume_from_checkpoint=resume)
    # The test split is scored once, with the checkpoint that the validation split chose.
    splits = ("validation", "test") if args.scores_test else ("validation",)
    for split in splits:
        trainer.predict(trainer.corpus[split], metric_key_prefix=split)
    finish_exchanges(trainer.accelerator)
    if not trainer.is_world_process_zero():
        return {"scores": trainer.scores}
    if args.calibrate:
        result = trainer.calibrate()
        for corpus, one in {"": result}.items() if trainer.heads is None else result.items():
            logger.info(f"  {corpus}{'  ' if corpus else ''}{calibration_line(splits[-1], one)}")
    trainer.save_model()
    if "test" in splits:
        write_test_predictions(trainer, folder)
    # This file is written last. It marks the seed as finished.
    summary = trainer.save_results()
    remove_checkpoints(folder)
    return summary


def calibration_line(split: str, result: dict[str, Any]) -> str:
    """The result of a calibration as a line, with the figures of a split, or of validation if it is not there."""
    split = split if split in result else "validation"
    before, after = (result[split][when]["ece"] for when in ("before", "after"))
    cross_fit = result["cross_fit"]
    reason = "" if cross_fit["helps"] else f"  ({cross_fit['fitted']:.4f} does not help in a cross-fit on validation)"
    return f"temperature {result['temperature']:.4f}  {split} ECE {after:.4f} (without {before:.4f}){reason}"


def write_test_predictions(trainer: UtteranceClassificationTrainer, folder: Path) -> None:
    """Write the predictions of the test split into a folder. With one head per corpus, each goes to its checkpoint."""
    rows, logits, heads = trainer.corpus["test"], trainer.predictions["test"].predictions, trainer.heads
    assert isinstance(logits, np.ndarray)
    if heads is None:
        write_predictions(folder / TEST_PREDICTIONS, rows, logits, trainer.names)
        return
    for corpus, name in heads.folders.items():
        dialogues, own_logits = heads.dialogues(rows, logits, corpus)
        if dialogues:
            write_predictions(folder / name / TEST_PREDICTIONS, dialogues, own_logits, heads.labels[corpus])


def save_best_seed(
    runs: list[dict[str, Any]], args: UtteranceClassificationArguments, settings: dict[str, Any] | None = None
) -> str:
    """Copy the checkpoint of the best seed into the output folder, with a model card over all seeds, and write the mean
    and standard deviation of the scores into `finetune_results.json`. With one head per corpus, do so for each.

    Args:
        runs: The summaries of all seeds, from [`train_seed`].
        args: The settings.
        settings: All settings of the run, for the file; by default `args`.

    Returns:
        A message with the scores and the folder.
    """
    output_dir, scored = Path(args.output_dir), "test" if args.scores_test else "validation"
    sign = 1 if args.greater_is_better else -1
    best = max(runs, key=lambda run: sign * run["scores"]["validation"][args.metric_for_best_model])
    folder = output_dir / f"seed_{best['seed']}"
    heads = noted_heads(folder)
    if heads:
        note_heads(output_dir, heads)
    for name in ("", *heads):
        _copy_files(folder / name, output_dir / name)
    seeds = _over_seeds(scored, args.seeds, [run["scores"][scored] for run in runs])
    results = {
        f"{scored}_mean": seeds["mean"],
        f"{scored}_standard_deviation": seeds["deviation"],
        "runs": runs,
        "settings": without_folders(settings or args.to_dict()),
    }
    write_json(output_dir / FINETUNE_RESULTS, results)
    lines = [f"{scored} over {len(runs)} seed(s): {_shown(seeds)}"]
    if not heads:
        summary = RunSummary.from_dict({**best, "seeds": seeds})
        write_model_card(output_dir, args.hub_model_id or str(output_dir), "erc", summary)
    for name in heads:
        summary = RunSummary.from_dict(read_json(output_dir / name / CONFIG_NAME)["training_summary"])
        if scored in summary.scores:
            scores = [run["scores"][scored]["corpora"][summary.head] for run in runs]
            summary.seeds = _over_seeds(scored, args.seeds, scores)
            lines.append(f"    {summary.head}  {_shown(summary.seeds)}")
        write_model_card(output_dir / name, str(output_dir / name), "erc", summary)
    places = ", ".join(str(output_dir / name) for name in heads or [""])
    lines.append(f"The checkpoint of the seed that did best on the validation split ({best['seed']}) is in {places}")
    return "\n".join(lines)


def _copy_files(source: Path, target: Path) -> None:
    """Copy the files of a folder, without its sub-folders."""
    target.mkdir(parents=True, exist_ok=True)
    with replaced_files(target) as files:
        for path in source.iterdir():
            if path.is_file():
                shutil.copy(path, files)


def _over_seeds(split: str, seeds: Sequence[int], scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean and the standard deviation of the scores of a split over seeds, as a `RunSummary` has them."""
    values = [score_values(one) for one in scores]
    mean = {name: statistics.mean(one[name] for one in values) for name in values[0]}
    deviation = {name: statistics.stdev(one[name] for one in values) if len(values) > 1 else 0.0 for name in mean}
    return {"split": split, "runs": list(seeds), "mean": mean, "deviation": deviation}


def _shown(seeds: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value:.4f} ± {seeds['deviation'][name]:.4f}" for name, value in seeds["mean"].items())


def score_lines(split: str, scores: dict[str, Any]) -> str:
    """The scores of a split as a line. With several corpora, it is their mean, and a line for each corpus follows."""
    corpora = scores.get("corpora", {})
    lines = [f"{split}{' (mean)' if corpora else ''}  {score_line(scores)}"]
    return "\n".join([*lines, *(f"    {name}  {score_line(one)}" for name, one in corpora.items())])


def score_line(scores: dict[str, Any]) -> str:
    """The scores that are one number each, as one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in score_values(scores).items())
