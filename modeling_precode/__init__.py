"""Pre-CODE: a pre-trained, context-dependent encoder of conversations for emotion recognition.

Importing this package registers its classes with the Auto classes and the pipelines of transformers.
"""

import importlib
from typing import TYPE_CHECKING, Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.pipelines import PIPELINE_REGISTRY

from .configuration_precode import SIZES, PreCodeConfig
from .data_collator import PreCodeDataCollator
from .default_model import FOLDER
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
from .pipeline_precode import TASK, ConversationEmotionPipeline
from .sharing.model_card import write_model_card
from .sharing.push import push_checkpoint, push_to_hub
from .sharing.run_summary import RunSummary
from .tokenization_precode import PreCodeTokenizer
from .training.class_weights import focused_class_weights
from .training.negatives import DialoguesWithNegatives
from .training.word_vectors import load_word_vectors
from .version import __version__

if TYPE_CHECKING:
    from .training.finetuning import UtteranceClassificationTrainer
    from .training.finetuning_arguments import UtteranceClassificationArguments
    from .training.finetuning_corpus import label_settings
    from .training.pretraining import ConversationCompletionTrainer
    from .training.pretraining_arguments import ConversationCompletionArguments
    from .training.run_origin import RunOrigin

# These names are imported on first use, because training needs more packages than the models do.
_TRAINING = {
    "ConversationCompletionArguments": "pretraining_arguments",
    "ConversationCompletionTrainer": "pretraining",
    "RunOrigin": "run_origin",
    "UtteranceClassificationArguments": "finetuning_arguments",
    "UtteranceClassificationTrainer": "finetuning",
    "label_settings": "finetuning_corpus",
}


def __getattr__(name: str) -> Any:
    if name in _TRAINING:
        return getattr(importlib.import_module(f".training.{_TRAINING[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


AutoConfig.register(PreCodeConfig.model_type, PreCodeConfig)
AutoTokenizer.register(PreCodeConfig, fast_tokenizer_class=PreCodeTokenizer)
AutoModel.register(PreCodeConfig, PreCodeModel)
AutoModelForPreTraining.register(PreCodeConfig, PreCodeForConversationCompletion)
AutoModelForSequenceClassification.register(PreCodeConfig, PreCodeForUtteranceClassification)
PIPELINE_REGISTRY.register_pipeline(
    TASK,
    pipeline_class=ConversationEmotionPipeline,
    pt_model=AutoModelForSequenceClassification,
    default={"model": (str(FOLDER), "main")},
)
# The root modules are copied with checkpoints and must not import the sub-packages. Pushing with a model card is
# therefore attached here.
PreCodePreTrainedModel.push_to_hub = push_to_hub  # type: ignore[assignment,method-assign]
ConversationEmotionPipeline.push_to_hub = push_to_hub  # type: ignore[assignment,method-assign]

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
    "write_model_card",
]
