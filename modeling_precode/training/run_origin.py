"""The corpus and model that a run started from, for the model card and for the check of a resumed run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_scripts.building.options import parse_options
from data_scripts.sharing.dataset_card import corpus_facts

from ..configuration_precode import PreCodeConfig
from ..loading.checkpoints import load_config
from ..sharing.language import find_language
from ..sharing.run_summary import FROM_SCRATCH, RunSummary, hyper_parameters, model_facts, text_encoder_facts
from .arguments import CorpusArguments, EncoderArguments
from .fingerprint import START, VOCABULARY, dataset_digest, start_digest, vocabulary_digest


@dataclass
class RunOrigin:
    """The corpus and model that a run started from.

    Args:
        corpus: The name of the corpus; `"custom"` for your own dialogues.
        start: The checkpoint that the run started from; None from scratch.
        text_encoder: The name or folder of the text encoder that the model was built with, or None.
        settings: Further settings that affect the model, for the card.
        corpus_settings: The settings of the corpus, for the file of results.
        fingerprint: Further values that a resumed run must share, by their names in error messages.
        leakage: The figures of each comparison with the test split, by a description of the comparison.
    """

    corpus: str = "custom"
    start: str | None = None
    text_encoder: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    corpus_settings: dict[str, Any] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    leakage: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, corpus: CorpusArguments, encoder: EncoderArguments, leakage: dict[str, Any]) -> "RunOrigin":
        """The origin of a run from the command line."""
        return cls(
            corpus=corpus.name,
            start=encoder.model,
            text_encoder=encoder.text_encoder,
            settings={**encoder.settings(), "label_map": corpus.label_map},
            corpus_settings=asdict(corpus),
            fingerprint=encoder.fingerprint() | corpus.fingerprint(),
            leakage=leakage,
        )

    def run_fingerprint(
        self,
        args: Any,
        splits: Mapping[str, Dataset],
        tokenizer: PreTrainedTokenizerBase,
        model: PreTrainedModel | None = None,
    ) -> dict[str, Any]:
        """The values that a resumed run must share with this one, by their names in error messages.

        Args:
            args: The dataclass of the trainer's settings.
            splits: The dialogues that the trainer reads.
            tokenizer: The tokenizer of the model.
            model: The model before training. None if it is not built yet.
        """
        start = {}
        if model is not None:
            start[START] = start_digest(model.name_or_path) if model.name_or_path else None
        return {
            **start,
            **self.fingerprint,
            VOCABULARY: vocabulary_digest(tokenizer),
            **{f"--{name}": value for name, value in args.fingerprint().items()},
            **{f"the {split} split's digest": dataset_digest(rows) for split, rows in splits.items()},
        }

    def summary(
        self,
        splits: DatasetDict,
        config: PreCodeConfig,
        args: Any,
        *,
        seed: int,
        selection: str,
        scores: dict[str, Any],
        calibration: dict[str, Any] | None = None,
    ) -> RunSummary:
        """The summary of the run, which the checkpoint contains and the model card is written from.

        Args:
            splits: The dialogues of the corpus.
            config: The configuration of the model.
            args: The dataclass of the trainer's settings.
            seed: The seed of the run.
            selection: A clause on how the checkpoint was chosen.
            scores: The numbers, by the names of the split and the metric.
            calibration: The result of [`calibrate`], if a temperature was fitted.
        """
        options = parse_options(self.corpus_settings.get("corpus_options", ()), "--corpus_options")
        return RunSummary(
            corpus=self.corpus,
            licence=splits["train"].info.license or "licence unknown",
            start=self.start or FROM_SCRATCH,
            seed=seed,
            selection=selection,
            scores=scores,
            calibration=calibration,
            facts=corpus_facts(splits, self.corpus),
            settings=hyper_parameters({**self.settings, **args.text_encoder_settings()}, args),
            model=model_facts(config),
            text_encoder=text_encoder_facts(self.text_encoder),
            language=find_language(self.corpus_settings.get("language"), splits["train"], self.corpus, options),
            leakage=self.leakage,
            start_summary=load_config(self.start).training_summary if self.start else None,
        )
