"""Registers the classes of this library with the Auto classes, and the pipeline `conversation-emotion`.

Importing this module imports transformers, torch and the models.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.pipelines import PIPELINE_REGISTRY

from ..configuration_precode import PreCodeConfig
from ..default_model import FOLDER
from ..modeling_precode import (
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodeModel,
    PreCodePreTrainedModel,
)
from ..pipeline_precode import TASK, ConversationEmotionPipeline
from ..sharing.push import push_to_hub
from ..tokenization_precode import PreCodeTokenizer


def register() -> None:
    """Register the classes of this library.

    Raises:
        ValueError: Another library has registered a configuration of the same type.
    """
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
