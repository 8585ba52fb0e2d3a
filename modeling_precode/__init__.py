"""Pre-CODE: a pre-trained, context-dependent encoder of conversations for emotion recognition.

Importing this package registers its classes with the Auto classes and the pipelines of transformers. Neither
transformers nor torch nor datasets is imported before a name needs it. If transformers is imported later, the classes
are registered then.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .registration.import_finder import register_with_transformers
from .version import __version__

if TYPE_CHECKING:
    from .configuration_precode import SIZES, PreCodeConfig
    from .data_collator import PreCodeDataCollator
    from .dialogue_encoding import encode_dialogues
    from .evaluation.calibration import calibrate, expected_calibration_error, fit_temperature
    from .evaluation.metrics import ConvComRecall, ERCScores
    from .evaluation.significance import paired_bootstrap
    from .modeling_precode import (
        PreCodeForConversationCompletion,
        PreCodeForUtteranceClassification,
        PreCodeModel,
        PreCodePreTrainedModel,
    )
    from .pipeline_precode import ConversationEmotionPipeline
    from .sharing.model_card import write_model_card
    from .sharing.push import push_checkpoint
    from .sharing.run_summary import RunSummary
    from .tokenization_precode import PreCodeTokenizer
    from .training.class_weights import focused_class_weights
    from .training.finetuning import UtteranceClassificationTrainer
    from .training.finetuning_arguments import UtteranceClassificationArguments
    from .training.finetuning_corpus import label_settings
    from .training.negatives import DialoguesWithNegatives
    from .training.pretraining import ConversationCompletionTrainer
    from .training.pretraining_arguments import ConversationCompletionArguments
    from .training.run_origin import RunOrigin
    from .training.seeds import save_best_seed, train_seed
    from .training.word_vectors import load_word_vectors

__all__ = [
    "SIZES",
    "ConvComRecall",
    "ConversationCompletionArguments",
    "ConversationCompletionTrainer",
    "ConversationEmotionPipeline",
    "DialoguesWithNegatives",
    "ERCScores",
    "PreCodeConfig",
    "PreCodeDataCollator",
    "PreCodeForConversationCompletion",
    "PreCodeForUtteranceClassification",
    "PreCodeModel",
    "PreCodePreTrainedModel",
    "PreCodeTokenizer",
    "RunOrigin",
    "UtteranceClassificationArguments",
    "UtteranceClassificationTrainer",
    "RunSummary",
    "__version__",
    "calibrate",
    "encode_dialogues",
    "expected_calibration_error",
    "fit_temperature",
    "focused_class_weights",
    "label_settings",
    "load_word_vectors",
    "paired_bootstrap",
    "push_checkpoint",
    "save_best_seed",
    "train_seed",
    "write_model_card",
]

# The names of each module, which are imported on first use.
_NAMES = {
    "configuration_precode": ["SIZES", "PreCodeConfig"],
    "data_collator": ["PreCodeDataCollator"],
    "dialogue_encoding": ["encode_dialogues"],
    "evaluation.calibration": ["calibrate", "expected_calibration_error", "fit_temperature"],
    "evaluation.metrics": ["ConvComRecall", "ERCScores"],
    "evaluation.significance": ["paired_bootstrap"],
    "modeling_precode": [
        *("PreCodeForConversationCompletion", "PreCodeForUtteranceClassification"),
        *("PreCodeModel", "PreCodePreTrainedModel"),
    ],
    "pipeline_precode": ["ConversationEmotionPipeline"],
    "sharing.model_card": ["write_model_card"],
    "sharing.push": ["push_checkpoint"],
    "sharing.run_summary": ["RunSummary"],
    "tokenization_precode": ["PreCodeTokenizer"],
    "training.class_weights": ["focused_class_weights"],
    "training.finetuning": ["UtteranceClassificationTrainer"],
    "training.finetuning_arguments": ["UtteranceClassificationArguments"],
    "training.finetuning_corpus": ["label_settings"],
    "training.negatives": ["DialoguesWithNegatives"],
    "training.pretraining": ["ConversationCompletionTrainer"],
    "training.pretraining_arguments": ["ConversationCompletionArguments"],
    "training.run_origin": ["RunOrigin"],
    "training.seeds": ["save_best_seed", "train_seed"],
    "training.word_vectors": ["load_word_vectors"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # with this function, a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
        elif name in {module.partition(".")[0] for module in _NAMES}:
            value = importlib.import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_transformers()
