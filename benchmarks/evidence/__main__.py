"""Run the experiments that have no result yet, and print the tables of all results.

python -m benchmarks.evidence --data_dir DATA
python -m benchmarks.evidence --data_dir DATA --pretraining --studies "zero-shot, validation" --checkpoints mine=FOLDER
python -m benchmarks.evidence --results benchmarks/evidence/results.jsonl --write README.md  # no runs
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from data_scripts.building.options import parse_options
from modeling_precode import PreCodeTokenizer
from modeling_precode.cli.console import start_output
from modeling_precode.evaluation.significance import paired_bootstrap

from .baselines import add_baselines, completion_baseline
from .ensembles import add_ensembles
from .experiments import Experiments, Study, comparison_key
from .report import write_report
from .results import Results
from .runner import Runner
from .views import predictions_by_dialogue

HERE = Path(__file__).resolve().parent


def add_comparisons(studies: list[Study], runner: Runner) -> None:
    """Test the differences that the studies compare, if all seeds of both runs have results."""
    for study in studies:
        for first, second in study.compared:
            for (corpus, variant, value), run in study.runs.items():
                other = study.runs.get((corpus, second, value))
                if variant != first or other is None or runner.missing(run) or runner.missing(other):
                    continue
                key = comparison_key(run, other)
                files = [runner.predictions(one) for one in (run, other)]
                if runner.results.get(key) or not all(path.is_file() for paths in files for path in paths):
                    continue
                systems = [
                    [predictions_by_dialogue(path, one.settings) for path in paths]
                    for one, paths in zip((run, other), files, strict=True)
                ]
                scores = paired_bootstrap(*systems, excluded_label=run.settings.get("excluded_label"))
                line = {"key": key, "seed": None, "comparison": [run.key, other.key], "seeds": list(run.seeds)}
                runner.results.add({**line, "scores": scores})


def parse_arguments() -> tuple[argparse.Namespace, Experiments]:
    """Parse the arguments and read the experiments of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, help="the folder with the corpora; without it, nothing is run")
    parser.add_argument("--experiments", type=Path, default=HERE / "experiments.yaml")
    parser.add_argument(
        "--studies", nargs="*", help="only these studies, and the runs that they start from (default: all)"
    )
    parser.add_argument(
        "--pretraining", nargs="*", help="only these pre-training runs, and those that the studies start from"
    )
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        default=[],
        metavar="NAME=MODEL",
        help="finished models (folders or names on the Hub), in addition to those of the file or in place of them",
    )
    parser.add_argument("--results", type=Path, default=Path("build/evidence/results.jsonl"))
    parser.add_argument(
        "--output_dir", type=Path, default=Path("build/evidence"), help="the folder for checkpoints and logs"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="number of parallel fine-tuning runs, with one thread each"
    )
    parser.add_argument(
        "--write", type=Path, nargs="+", default=[], help="insert the tables between the markers of these files"
    )
    args = parser.parse_args()
    names = [name.partition("=")[0] for name in args.checkpoints]
    checkpoints = parse_options(args.checkpoints, "--checkpoints", as_text=names)
    experiments = Experiments.read(args.experiments, checkpoints)
    for requested, known in (
        (args.studies, [study.name for study in (*experiments.studies, *experiments.zero_shot)]),
        (args.pretraining, [*experiments.pretraining]),
    ):
        if unknown := set(requested or ()) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: unknown; known: {', '.join(known)}")
    return args, experiments


def main() -> None:
    args, experiments = parse_arguments()
    start_output(main_process=True)
    results = Results(args.results)
    if args.data_dir:
        studies = [study for study in experiments.studies if args.studies is None or study.name in args.studies]
        names = experiments.pretraining if args.pretraining is None else args.pretraining
        chosen = replace(
            experiments, pretraining={name: experiments.pretraining[name] for name in names}, studies=studies
        )
        runner = Runner(args.data_dir.resolve(), args.output_dir.resolve(), results, args.jobs)
        for scored in experiments.zero_shot:
            if args.studies is None or scored.name in args.studies:
                scored.run(runner.data_dir, results)
        runner.run(chosen.runs())
        add_comparisons(studies, runner)
        add_ensembles(studies, runner)
        labeled = {corpus for study in studies for corpus in study.corpora}
        metrics = {corpus: metric for corpus, metric in experiments.metrics.items() if corpus in labeled}
        add_baselines(experiments.corpora, metrics, runner.data_dir, results)
        first = next(iter(experiments.pretraining.values()))
        if (runner.folder(first) / "tokenizer_config.json").is_file():
            tokenizer = PreCodeTokenizer.from_pretrained(runner.folder(first))
            completion_baseline(experiments.corpora[first.corpus], runner.data_dir, tokenizer, results)
    write_report(experiments, results, args.write)


if __name__ == "__main__":
    main()
