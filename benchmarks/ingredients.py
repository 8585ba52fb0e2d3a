"""Compares further ingredients of the fine-tuning recipe with the recipe itself, on the validation split.

    python -m benchmarks.ingredients --word_vectors glove.6B.100d.txt --corpora meld=MELD emorynlp=EMORYNLP
    python -m benchmarks.ingredients --text_encoder all-MiniLM-L6-v2 --corpora meld=MELD emorynlp=EMORYNLP
    python -m benchmarks.ingredients --write docs/results/ingredients.md   # trains nothing

The model has GRUs over word vectors, or a frozen text encoder. Every other setting is that of
benchmarks/evidence/experiments.yaml, but no run stops early. The moving averages are of the weights of the recipe's own
runs. Every run appends a line to the results, and is not repeated. An interrupted run starts again.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from datasets import Dataset, DatasetDict
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedTokenizerBase, TrainerCallback, set_seed

from benchmarks.documents import insert, table
from benchmarks.evidence.results import Results, key_of
from data_scripts.building.options import parse_corpus
from data_scripts.tools.whole_files import whole_file
from modeling_precode.training.arguments import CorpusArguments, EncoderArguments
from modeling_precode.training.finetuning import UtteranceClassificationTrainer
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.finetuning_evaluation import predict_dialogues
from modeling_precode.training.starting import build_classifier, build_tokenizer, load_splits

EXPERIMENTS = Path(__file__).with_name("evidence") / "experiments.yaml"
SEEDS, TEACHERS = (1, 2, 3), (1, 2, 3, 4, 5)
BASELINE, SOFT_LABELS = "recipe", "soft labels of five seeds"
AVERAGES = {f"moving average, {decay}": decay for decay in (0.99, 0.999)}
SMOOTHING = {f"label smoothing, {factor}": factor for factor in (0.05, 0.1)}
CONTRAST = {f"contrastive loss, {weight}": weight for weight in (0.1, 0.3)}
INGREDIENTS = (BASELINE, *AVERAGES, *SMOOTHING, *CONTRAST, SOFT_LABELS)


def contrastive_loss(states: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """The supervised contrastive loss (Khosla et al., 2020) of the utterances of a batch.

    Args:
        states: (D, U, d), the states of the utterances.
        labels: (D, U), negative where there is no label or no utterance.
        temperature: Divides the cosine of two states.
    """
    states, labels = F.normalize(states[labels >= 0], dim=-1), labels[labels >= 0]
    itself = torch.eye(len(labels), dtype=torch.bool)
    similarities = (states @ states.T / temperature).masked_fill(itself, -torch.inf)
    alike = (labels[:, None] == labels) & ~itself
    counts = alike.sum(-1)
    losses = -similarities.log_softmax(-1).masked_fill(~alike, 0).sum(-1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)


class ContrastiveTrainer(UtteranceClassificationTrainer):
    """Adds the contrastive loss over the states of the conversation encoder, times a weight, to the loss."""

    contrastive_weight = 0.0

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs["labels"]
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if self.contrastive_weight:
            loss = loss + self.contrastive_weight * contrastive_loss(outputs.hidden_states[1], labels)
        return (loss, outputs) if return_outputs else loss


def moving_average(average: Tensor, weights: Tensor, steps: Tensor | int, decay: float) -> Tensor:
    """The average after one more step. The share of the weights of k steps ago is decay^k, divided by the sum of all.

    Args:
        average: The average so far.
        weights: The weights after the step.
        steps: The number of steps that the average is of.
        decay: The decay per step.
    """
    kept = decay * (1 - decay ** int(steps)) / (1 - decay ** (int(steps) + 1))
    return torch.lerp(weights, average, kept)


class EpochScores(TrainerCallback):
    """Scores every epoch on the validation split, with the trained weights and with their moving averages.

    Args:
        name: The name of the trained weights.
        decays: The decays of the averages, by name.
        metrics: The names of the scores to keep.
    """

    def __init__(self, name: str, decays: dict[str, float], metrics: list[str]):
        self.name, self.decays, self.metrics = name, decays, metrics
        self.trainer: UtteranceClassificationTrainer | None = None
        self.averages: dict[str, AveragedModel] = {}
        self.epochs: dict[str, list[dict[str, float]]] = {name: [], **{average: [] for average in decays}}

    def on_train_begin(self, args, state, control, model, **kwargs):
        for name, decay in self.decays.items():
            self.averages[name] = AveragedModel(model, avg_fn=partial(moving_average, decay=decay)).eval()

    def on_step_end(self, args, state, control, model, **kwargs):
        for average in self.averages.values():
            average.update_parameters(model)

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        self._add(self.name, {name.removeprefix("eval_"): value for name, value in metrics.items()})
        trainer = self.trainer
        assert trainer is not None
        for name, average in self.averages.items():
            loader = trainer.get_eval_dataloader()
            prediction, _ = predict_dialogues(average.module, loader, args.device, lambda: None)
            self._add(name, trainer.scorer.metrics(prediction))

    def _add(self, name: str, scores: dict[str, float]) -> None:
        self.epochs[name].append({metric: scores[metric] for metric in self.metrics})


@dataclass
class Study:
    """The runs of one model on one corpus.

    Args:
        name: The name of the model.
        corpus: The name of the corpus.
        dialogues: The splits of the corpus.
        encoder_args: The arguments of the model.
        tokenizer: The tokenizer of the model.
        settings: The arguments of training.
        results: The results, with one line per ingredient and seed.
        work_dir: The folder for the predictions of the teachers.
    """

    name: str
    corpus: str
    dialogues: DatasetDict
    encoder_args: EncoderArguments
    tokenizer: PreTrainedTokenizerBase
    settings: dict[str, Any]
    results: Results
    work_dir: Path

    def key(self, ingredient: str) -> str:
        return key_of("ingredients", self.name, self.corpus, self.settings, ingredient)

    def run(self, ingredient: str, seed: int) -> None:
        """Train a model, and add its lines to the results, unless they are there."""
        if self.results.get(self.key(ingredient), seed) is None:
            self.train(BASELINE if ingredient in AVERAGES else ingredient, seed)

    def train(self, ingredient: str, seed: int) -> None:
        train = self.with_soft_labels() if ingredient == SOFT_LABELS else self.dialogues["train"]
        start = time.process_time()
        set_seed(seed)
        model = build_classifier(self.encoder_args, self.tokenizer, seed, self.dialogues)
        model.config.output_hidden_states = ingredient in CONTRAST
        metrics = list(dict.fromkeys([self.settings["metric_for_best_model"], "weighted_f1", "macro_f1"]))
        scores = EpochScores(ingredient, AVERAGES if ingredient == BASELINE else {}, metrics)
        with tempfile.TemporaryDirectory() as folder:
            args = UtteranceClassificationArguments(
                output_dir=folder,
                seed=seed,
                label_smoothing_factor=SMOOTHING.get(ingredient, 0.0),
                soft_labels=ingredient == SOFT_LABELS,
                disable_tqdm=True,
                **self.settings,
            )
            validation = self.dialogues["validation"]
            trainer = ContrastiveTrainer(model, args, train, validation, self.tokenizer, callbacks=[scores])
            trainer.contrastive_weight = CONTRAST.get(ingredient, 0.0)
            scores.trainer = trainer
            trainer.train()
        seconds = time.process_time() - start
        if ingredient == BASELINE:
            self.save_predictions(trainer, seed)
        for name, epochs in scores.epochs.items():
            if self.results.get(self.key(name), seed) is None:
                line = {"key": self.key(name), "seed": seed, "model": self.name, "corpus": self.corpus}
                more = {"settings": self.settings, "epochs": epochs, "core_seconds": seconds}
                self.results.add({**line, "ingredient": name, **more})
        last = scores.epochs[ingredient][-1]
        print(f"{self.corpus}, {self.name}, {ingredient}, seed {seed}: {seconds:.0f} s, last epoch {last}", flush=True)

    def predictions(self, seed: int) -> Path:
        """The file with the probabilities of the training utterances from a run of the recipe."""
        return self.work_dir / f"{self.key(BASELINE)}-{seed}.npy"

    def save_predictions(self, trainer: UtteranceClassificationTrainer, seed: int) -> None:
        logits = trainer.predict(trainer.corpus["train"]).predictions
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with whole_file(self.predictions(seed)) as path, open(path, "wb") as file:
            np.save(file, torch.from_numpy(logits).softmax(-1).numpy())

    def with_soft_labels(self) -> Dataset:
        """The training split, where a label is mixed half and half with the mean probabilities of the teachers."""
        for seed in TEACHERS:
            if not self.predictions(seed).is_file():
                self.train(BASELINE, seed)
        means = np.mean([np.load(self.predictions(seed)) for seed in TEACHERS], axis=0, dtype=np.float64)
        train = self.dialogues["train"]
        gold = np.eye(means.shape[-1])
        column = [
            [(means[row, i] + gold[label]) / 2 if label >= 0 else [] for i, label in enumerate(labels)]
            for row, labels in enumerate(train["labels"])
        ]
        return train.add_column("label_distributions", column)


def studies(args: argparse.Namespace, results: Results) -> Iterator[Study]:
    """The study of each corpus, with the settings of the experiments."""
    experiments = yaml.safe_load(EXPERIMENTS.read_text(encoding="utf-8"))
    finetuning = experiments["finetuning"]
    for name, data_dir in map(parse_corpus, args.corpora):
        options = experiments["corpora"][name].get("corpus_options", [])
        dialogues = load_splits(CorpusArguments(corpus=name, data_dir=data_dir, corpus_options=options))
        settings = {**finetuning["settings"], **finetuning["corpora"][name]}
        settings["patience"] = settings["num_train_epochs"]
        dropout = settings.pop("dropout")
        if args.text_encoder:
            model = f"{args.text_encoder.name}, frozen"
            start = {"text_encoder": str(args.text_encoder), "freeze_text_encoder": True, "size": "mid"}
        else:
            model = "GRU, small"
            start = {"word_vectors": str(args.word_vectors), "text_mode": "clean", "size": "small"}
        encoder_args = EncoderArguments(**start, dropout=dropout)
        tokenizer = build_tokenizer(encoder_args, dialogues["train"])
        yield Study(model, name, dialogues, encoder_args, tokenizer, settings, results, args.work_dir)


def scores_by_run(results: Results) -> dict[tuple[str, str], dict[str, list[list[float]]]]:
    """For every model and corpus, the scores of each ingredient that has all seeds: [seed][score], in percent.

    The scores are the F1 that chooses the epoch, the macro F1 of the same epoch, and the F1 of the last epoch.
    """
    lines: dict[tuple[str, str], dict[str, dict[int, list[float]]]] = {}
    for (_, seed), line in results.lines.items():
        metric = line["settings"]["metric_for_best_model"]
        best = max(line["epochs"], key=lambda epoch: epoch[metric])
        scores = [100 * value for value in (best[metric], best["macro_f1"], line["epochs"][-1][metric])]
        by_ingredient = lines.setdefault((line["model"], line["corpus"]), {})
        by_ingredient.setdefault(line["ingredient"], {})[seed] = scores
    return {
        group: {
            name: [seeds[seed] for seed in SEEDS]
            for name in INGREDIENTS
            if set(SEEDS) <= set(seeds := found.get(name, {}))
        }
        for group, found in lines.items()
    }


def gains_by_run(scores: dict[str, list[list[float]]]) -> dict[str, np.ndarray]:
    """The gains (seeds, scores) of each ingredient over the recipe with the same seeds."""
    return {name: np.subtract(values, scores[BASELINE]) for name, values in scores.items() if name != BASELINE}


def summary_table(results: Results) -> str:
    """One row per ingredient: its mean gain of F1 in every group, and the means over all groups."""
    groups = {group: gains_by_run(scores) for group, scores in scores_by_run(results).items()}
    columns = [*(f"{corpus}, {model}" for model, corpus in groups), "mean", "macro F1", "F1, last epoch"]
    rows = []
    for name in (name for name in INGREDIENTS if any(name in gains for gains in groups.values())):
        means = [gains[name].mean(axis=0) if name in gains else None for gains in groups.values()]
        cells = ["–" if mean is None else f"{mean[0]:+.1f}" for mean in means]
        cells += [f"{value:+.1f}" for value in np.mean([mean for mean in means if mean is not None], axis=0)]
        rows.append([name, *cells])
    return table(["gain of F1", *columns], rows)


def table_of(results: Results) -> str:
    """One row per model, corpus and ingredient: means and standard deviations of the seeds, and of their gains."""
    rows = []
    for (model, corpus), scores in scores_by_run(results).items():
        gains = gains_by_run(scores)
        for name, values in scores.items():
            cells = []
            for column, seeds in enumerate(np.transpose(values)):
                cells.append(f"{seeds.mean():.1f} ± {seeds.std(ddof=1):.1f}")
                gain = gains[name][:, column] if name in gains else None
                cells.append("" if gain is None else f"{gain.mean():+.1f} ± {gain.std(ddof=1):.1f}")
            rows.append([corpus, model, name, *cells])
    return table(["corpus", "model", "ingredient", "F1", "gain", "macro F1", "gain", "F1, last epoch", "gain"], rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--word_vectors", type=Path, help="train a small GRU over these word vectors")
    start.add_argument("--text_encoder", type=Path, help="train over this frozen text encoder of transformers")
    add(
        "--corpora",
        nargs="+",
        metavar="NAME=FOLDER",
        default=[],
        help="corpora of the experiments, each with its files",
    )
    add(
        "--ingredients",
        nargs="+",
        choices=INGREDIENTS,
        metavar="NAME",
        default=INGREDIENTS,
        help="besides the recipe (default: all)",
    )
    add("--work_dir", type=Path, default=Path("build/ingredients"), help="the predictions for the soft labels")
    add("--results", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    add("--write", type=Path, metavar="DOCUMENT", help="insert the tables into this document")
    args = parser.parse_args()
    if args.corpora and not (args.word_vectors or args.text_encoder):
        parser.error("--corpora needs --word_vectors or --text_encoder, which the model reads with")
    return args


def main() -> None:
    args = parse_arguments()
    results = Results(args.results)
    for study in studies(args, results):
        for ingredient, seed in product(dict.fromkeys([BASELINE, *args.ingredients]), SEEDS):
            study.run(ingredient, seed)
    tables = {"ingredients, summary": summary_table(results), "ingredients": table_of(results)}
    print("\n\n".join(tables.values()))
    if args.write:
        for name, text in tables.items():
            insert(args.write, name, text)


if __name__ == "__main__":
    main()
