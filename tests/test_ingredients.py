"""What `benchmarks/ingredients.py` promises: the losses and averages that it names, tables with the gains of complete
seeds only, and a document with the tables of its results."""

import math
from pathlib import Path

import pytest
import torch

from benchmarks.documents import replace_between
from benchmarks.evidence.results import Results
from benchmarks.ingredients import contrastive_loss, moving_average, summary_table, table_of

ROOT = Path(__file__).resolve().parents[1]


def test_the_contrastive_loss_is_of_pairs_with_the_same_label_among_all_utterances():
    east, north, padding = [1.0, 0.0], [0.0, 2.0], [9.0, 9.0]
    states = torch.tensor([[east, east, padding], [north, east, east]])
    labels = torch.tensor([[0, 0, -100], [1, 2, -1]])
    # Of the three others, one has the same label and direction, one is orthogonal, and one has only the same direction.
    expected = math.log(2 * math.exp(1 / 0.5) + 1) - 1 / 0.5
    assert contrastive_loss(states, labels, temperature=0.5) == pytest.approx(expected)


def test_without_two_utterances_of_a_label_the_contrastive_loss_is_zero():
    states = torch.randn(1, 3, 4, requires_grad=True)
    loss = contrastive_loss(states, torch.tensor([[0, 1, 2]]))
    loss.backward()
    assert loss == 0 and states.grad is not None and not states.grad.any()


def test_a_moving_average_is_the_mean_of_all_steps_with_shares_that_decay():
    steps = torch.randn(6, 2)
    average = steps[0]
    for number, weights in enumerate(steps[1:], 1):
        average = moving_average(average, weights, number, decay=0.9)
    shares = 0.9 ** torch.arange(5, -1, -1)
    assert average.tolist() == pytest.approx((shares @ steps / shares.sum()).tolist(), abs=1e-5)


def add_run(results: Results, ingredient: str, seed: int, *epochs: float) -> None:
    scores = [{"weighted_f1": f1, "macro_f1": f1 / 2} for f1 in epochs]
    group = {"model": "GRU", "corpus": "meld", "settings": {"metric_for_best_model": "weighted_f1"}}
    results.add({"key": ingredient, "seed": seed, "ingredient": ingredient, "epochs": scores, **group})


def test_a_gain_is_over_the_recipe_with_the_same_seeds(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    for seed in (1, 2, 3, 4):
        add_run(results, "recipe", seed, 0.5 + seed / 100, 0.4)
        add_run(results, "label smoothing, 0.1", seed, 0.3, 0.5 + 2 * seed / 100)
    add_run(results, "contrastive loss, 0.1", 1, 0.9)
    assert table_of(results).splitlines()[2:] == [
        "| meld | GRU | recipe | 52.0 ± 1.0 |  | 26.0 ± 0.5 |  | 40.0 ± 0.0 |  |",
        "| meld | GRU | label smoothing, 0.1 | 54.0 ± 2.0 | +2.0 ± 1.0 | 27.0 ± 1.0 | +1.0 ± 0.5 | 54.0 ± 2.0 | "
        "+14.0 ± 2.0 |",
    ]
    assert "| label smoothing, 0.1 | +2.0 | +2.0 | +1.0 | +14.0 |" in summary_table(results).splitlines()
    assert "contrastive" not in summary_table(results)


def test_the_tables_in_the_document_are_those_of_the_results():
    results = Results(ROOT / "benchmarks/ingredients.jsonl")
    text = (ROOT / "docs/results/ingredients.md").read_text(encoding="utf-8")
    for name, table in {"ingredients, summary": summary_table(results), "ingredients": table_of(results)}.items():
        assert f"<!-- {name} -->" in text and replace_between(text, name, table) == text
