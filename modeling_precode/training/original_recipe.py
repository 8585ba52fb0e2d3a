"""The original's training procedure: its settings, its order of dialogues, its draw of negatives and its four modules.

`--recipe original` of both scripts takes the settings as defaults. Training then follows the original's order, clips
the gradient of each module separately, and does not count a score of 0 as an improvement.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from torch import nn
from torch.utils.data import BatchSampler, Dataset, Sampler

from ..gru import GRU
from ..modeling_precode import PreCodePreTrainedModel
from .encoded_dialogues import EncodedDialogues, inputs_of
from .negatives import check_enough_dialogues

# For a model from scratch; with --model, these come from the checkpoint.
ENCODER = {"size": "mid", "utterance_encoder": "gru2", "pooling_length": 60, "text_mode": "original"}
PRETRAINING = {
    "objective": "sampled_bce",
    "num_negatives": 10,
    "batch_size": 1,
    "dropout": 0.5,
    "learning_rate": 2e-4,
    "lr_scheduler_type": "plateau",
    "warmup_steps": 0,
    "lr_factor": 0.75,
    "min_learning_rate": 0.0,
    "patience": 3,
    "max_epochs": 20,
    "max_grad_norm": 5.0,
}
FINETUNING = {
    "seeds": [1, 2, 3, 4, 5],
    "metric_for_best_model": "focused_macro_f1",
    "class_weight_rate": 0.5,
    "dropout": 0.5,
    "per_device_train_batch_size": 1,
    "learning_rate": 2e-4,
    "optim": "adamw_torch",  # Adam, as the weight decay is 0
    "lr_scheduler_type": "reduce_lr_on_plateau",
    "patience": 6,
    "num_train_epochs": 60,
    "max_grad_norm": 5.0,
}
LEARNING_RATE_OF_PRETRAINED = 1e-4
LR_FACTOR, MIN_LEARNING_RATE = 0.75, 2e-5
EMOTIONLINES = ["anger", "joy", "sadness", "neutral"]
# The labels that count in the loss and in the scores, and other settings that differ between corpora.
CORPORA: dict[str, dict[str, Any]] = {
    "friends": {"focused_labels": EMOTIONLINES},
    "emotionpush": {"focused_labels": EMOTIONLINES},
    "iemocap": {"focused_labels": ["angry", "happy", "sad", "neutral"], "lr_factor": 0.95, "patience": 10},
    "emorynlp": {"focused_labels": ["Neutral", "Joyful", "Peaceful", "Powerful", "Scared", "Mad", "Sad"]},
    "mosei": {"focused_labels": ["happiness", "sadness", "anger", "disgust", "surprise", "fear"]},
    "meld": {"focused_labels": ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]},
}


def pretraining_settings(corpus: str, model: str | None) -> dict[str, Any]:
    """The arguments of `run_pretrain.py` for any corpus, from a checkpoint or from scratch. Paper, section 4.1."""
    return PRETRAINING if model else {**ENCODER, **PRETRAINING}


def finetuning_settings(corpus: str, model: str | None) -> dict[str, Any]:
    """The arguments of `run_finetune.py` for a corpus, from a checkpoint or from scratch. Paper, section 4.2.

    For any other corpus than the original's, all labels are focused.
    """
    settings = {**FINETUNING, **CORPORA.get(corpus, {})}
    settings["lr_scheduler_kwargs"] = {
        "mode": "max",
        "factor": settings.pop("lr_factor", LR_FACTOR),
        "patience": 0,
        "threshold": 0,
        "min_lr": MIN_LEARNING_RATE,
    }
    if model:
        # The original trains word vectors in the second stage of pre-training only.
        return {**settings, "learning_rate": LEARNING_RATE_OF_PRETRAINED, "freeze_word_vectors": True}
    return {**ENCODER, **settings}


def differences(settings: dict[str, Any]) -> Iterator[str]:
    """Sentences on how a run with the recipe differs from the original.

    Args:
        settings: All arguments of the run.
    """
    if settings["model"] is None and settings["word_vectors"] is None:
        yield "without --word_vectors, word vectors are random and trained; the original keeps GloVe vectors fixed"
    if settings.get("objective") == "in_batch_softmax":
        yield "with --objective in_batch_softmax, the dialogues are not in the original's order"
    if "focused_labels" in settings and settings["focused_labels"] is None:
        yield f"{settings['corpus']} is not one of its corpora, so all labels are focused; or give --focused_labels"


class OriginalOrder(Sampler):
    """Shuffles the order of the previous epoch and, with `sizes`, draws negatives, in the original's sequence.

    All draws come from one generator of Python's `random`. A run with a seed is therefore the same, step by step, as
    that of the original after `random.seed(seed)`.

    Args:
        num_dialogues: The number of dialogues.
        seed: Seed of the generator.
        sizes: The number of utterances of every dialogue. With it, an item is `(dialogue, [(dialogue, utterance),
            ...])`: a dialogue, and the dialogue and utterance of each negative. Without it, an item is a dialogue. All
            are indices.
        num_negatives: The number of negatives of a dialogue, each from a different other dialogue.

    Raises:
        ValueError: There are not enough other dialogues.
    """

    def __init__(self, num_dialogues: int, seed: int, sizes: Sequence[int] | None = None, num_negatives: int = 10):
        if sizes is not None:
            check_enough_dialogues(num_dialogues, num_negatives)
        self.order = list(range(num_dialogues))
        self.random = Random(seed)
        self.sizes = sizes
        self.num_negatives = num_negatives

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Any]:
        self.random.shuffle(self.order)
        for position, dialogue in enumerate(self.order):
            yield dialogue if self.sizes is None else (dialogue, self.negatives(position))

    def negatives(self, position: int) -> list[tuple[int, int]]:
        """Draw the negatives of the dialogue at a position in the order: pairs of dialogue and utterance."""
        assert self.sizes is not None
        negatives: list[tuple[int, int]] = []
        used = {position}
        while len(negatives) < self.num_negatives:
            other = self.random.randint(0, len(self.order) - 1)
            if other not in used:
                used.add(other)
                dialogue = self.order[other]
                negatives.append((dialogue, self.random.randint(0, self.sizes[dialogue] - 1)))
        return negatives


class OriginalBatches(BatchSampler):
    """An [`OriginalOrder`] in batches, with epochs. A resumed run repeats the earlier draws."""

    def __init__(self, order: OriginalOrder, batch_size: int):
        super().__init__(order, batch_size, drop_last=False)
        self.drawn = self.epoch = self.start = 0

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Go to batch `start` of an epoch that has not been drawn yet."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[list[Any]]:
        for _ in range(self.drawn, self.epoch):
            deque(self.sampler, maxlen=0)
        self.drawn, self.batches = self.epoch + 1, []
        for batch, items in enumerate(super().__iter__()):
            self.batches.append([item if isinstance(item, int) else item[0] for item in items])
            if batch >= self.start:
                yield items

    def dialogues(self, batch: int) -> list[int]:
        """The dialogues of a batch of this epoch, which must have been drawn."""
        return self.batches[batch]


class DialoguesWithDrawnNegatives(Dataset):
    """Dialogues with negatives, indexed by the items of an [`OriginalOrder`]."""

    def __init__(self, dialogues: Sequence[dict[str, Any]] | EncodedDialogues):
        self.dialogues = dialogues

    def __len__(self) -> int:
        return len(self.dialogues)

    def __getitem__(self, item: tuple[int, list[tuple[int, int]]]) -> dict[str, Any]:
        dialogue, negatives = item
        return {
            **inputs_of(self.dialogues[dialogue]),
            "negative_input_ids": [self.dialogues[other]["input_ids"][utterance] for other, utterance in negatives],
        }


def original_modules(model: nn.Module) -> list[list[nn.Parameter]]:
    """The trained parameters by the original's modules: word vectors, utterance encoder, conversation encoder, head.

    The original has one optimizer per module, with the same learning rate. Adam updates every parameter independently,
    so one optimizer of all gives the same result. Only the norm of the gradient is clipped per module.
    """
    modules: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        encoders = [part for part in ("word_embedding", "utterance_encoder", "conversation_encoder") if part in parts]
        if parameter.requires_grad:
            modules.setdefault(encoders[0] if encoders else "head", []).append(parameter)
    return list(modules.values())


def compute_as_original(model: PreCodePreTrainedModel) -> None:
    """Compute as the original does: PyTorch's GRUs, and trained word vectors that are renormalized when looked up."""
    embedding = model.get_input_embeddings()
    if embedding.weight.requires_grad and model.config.text_config is None:
        assert isinstance(embedding, nn.Embedding)
        embedding.max_norm = model.config.word_vector_max_norm
    for module in model.modules():
        if isinstance(module, GRU):
            module.plain = True
