"""The original's training procedure: its settings, its order of dialogues and draw of negatives, its four modules.

`--recipe original` of both scripts takes the settings as defaults, and then trains in this order, with a gradient clip
a module, and counts nothing that is not above 0 as an improvement.
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

# From scratch; with --model, the checkpoint says these.
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
# The labels that count in the loss and in the scores, and what else differs from one corpus to the other.
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

    For a corpus that the original does not know, all labels are focused.
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
        # Trainable in the second stage of pre-training only.
        return {**settings, "learning_rate": LEARNING_RATE_OF_PRETRAINED, "freeze_word_vectors": True}
    return {**ENCODER, **settings}


def differences(settings: dict[str, Any]) -> Iterator[str]:
    """What keeps a run with the recipe from being as the original's, by all of its arguments."""
    if settings["model"] is None and settings["word_vectors"] is None:
        yield "without --word_vectors they are random at first, and trained; the original has GloVe's, and keeps them"
    if settings.get("objective") == "in_batch_softmax":
        yield "with --objective in_batch_softmax, the dialogues do not come in the original's order"
    if "focused_labels" in settings and settings["focused_labels"] is None:
        yield f"{settings['corpus']} is none of its corpora, and so all labels are focused; --focused_labels names some"


class OriginalOrder(Sampler):
    """Shuffles the order of the epoch before, and with `sizes` also draws negatives, in the original's sequence.

    Everything comes from one stream of Python's `random`: the run of a seed is the original's after
    `random.seed(seed)`, step by step.

    Args:
        num_dialogues: how many there are.
        seed: of the stream.
        sizes: utterances of every dialogue; with them, an item is `(dialogue, [(dialogue, utterance), ...])`, a
            dialogue with where its negatives stand, and without them a dialogue. All are indices.
        num_negatives: of a dialogue, each from a different other dialogue.

    Raises:
        ValueError: there are not enough other dialogues.
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
        for place, dialogue in enumerate(self.order):
            yield dialogue if self.sizes is None else (dialogue, self.negatives(place))

    def negatives(self, place: int) -> list[tuple[int, int]]:
        assert self.sizes is not None
        negatives: list[tuple[int, int]] = []
        used = {place}
        while len(negatives) < self.num_negatives:
            other = self.random.randint(0, len(self.order) - 1)
            if other not in used:
                used.add(other)
                dialogue = self.order[other]
                negatives.append((dialogue, self.random.randint(0, self.sizes[dialogue] - 1)))
        return negatives


class OriginalBatches(BatchSampler):
    """An [`OriginalOrder`] in batches, with epochs. What came before is drawn again to get to where a run was."""

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
        """The dialogues of a batch of this epoch that has been drawn."""
        return self.batches[batch]


class DialoguesWithDrawnNegatives(Dataset):
    """Dialogues by the items of an [`OriginalOrder`] with negatives."""

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

    It has an optimizer for each, with the same learning rate: Adam treats every number by itself, so that one
    optimizer of all does the same. Only the clip of the gradient's norm is a module's own.
    """
    modules: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        known = [part for part in ("word_embedding", "utterance_encoder", "conversation_encoder") if part in parts]
        if parameter.requires_grad:
            modules.setdefault(known[0] if known else "head", []).append(parameter)
    return list(modules.values())


def compute_as_original(model: PreCodePreTrainedModel) -> None:
    """Have trained word vectors that are too long shortened for good when they are looked up, and GRUs computed by
    PyTorch, to the rounding, as the original does."""
    embedding = model.get_input_embeddings()
    if embedding.weight.requires_grad and model.config.text_config is None:
        assert isinstance(embedding, nn.Embedding)
        embedding.max_norm = model.config.word_vector_max_norm
    for module in model.modules():
        if isinstance(module, GRU):
            module.plain = True
