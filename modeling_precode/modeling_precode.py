"""The Pre-CODE model: utterance encoder, conversation encoder, and the two heads.

Shapes: D dialogues, U utterances a dialogue, T tokens an utterance, K negatives, C classes; d_u and d_c are the
hidden sizes of the utterance and the conversation encoder, and d_s = 2 d_c is that of a state in context, or d_c of a
causal one. Dialogues and utterances are padded on the right, and no result depends on how far. Inside, nothing is
computed on padding: the N utterances of a batch stand one after another, as a `BatchLayout` says.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.utils import SAFE_WEIGHTS_NAME, ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_precode import PreCodeConfig
from .dropout import Dropout
from .gathering import gather_counts, gather_rows
from .gru import GRU, join
from .gru_encoder import GRUUtteranceEncoder
from .layout import BatchLayout
from .speakers import SpeakerEmbedding
from .steps import Steps
from .streaming import DialogueStream
from .text_encoder import TextUtteranceEncoder, checkpointing_contexts, without_pooler

_SAFETENSORS_ONLY = "weights are read from safetensors only; save those of a pickle that you trust with save_pretrained"


@dataclass
class PreCodeModelOutput(ModelOutput):
    """Output of [`PreCodeModel`].

    Args:
        last_hidden_state: (D, U, d_s), the conversation encoder's states, forward then backward; 0 at padding.
        utterance_vectors: (D, U, d_u), the utterance encoder's vectors; 0 at padding.
        utterance_mask: (D, U), true where there is an utterance.
        hidden_states: with `output_hidden_states=True`, `(utterance_vectors, last_hidden_state)`.
    """

    last_hidden_state: Tensor | None = None
    utterance_vectors: Tensor | None = None
    utterance_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class ConversationCompletionOutput(ModelOutput):
    """Output of [`PreCodeForConversationCompletion`].

    Args:
        loss: the ConvCom loss over the batch's target positions; 0 when it has none.
        logits: (D, U, 1 + K), score of the true utterance and of every negative at every position; the dtype's
            lowest number at positions without a neighbour on both sides.
        hidden_states: as in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class UtteranceClassificationOutput(ModelOutput):
    """Output of [`PreCodeForUtteranceClassification`].

    Args:
        loss: the classification loss, where labels were given.
        logits: (D, U, C), score of every class for every utterance; 0 at padding.
        hidden_states: as in [`PreCodeModelOutput`].
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class ConversationEncoder(nn.Module):
    """Vectors (N, d_u) of all utterances, dialogue after dialogue, and the steps of the dialogues -> states in context
    (N, d_s). Paper, section 3.2.2. Who speaks (N,), where the model can know it, is added to the vectors."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        sizes = config.utterance_hidden_size, config.conversation_hidden_size
        self.gru = GRU(*sizes, bidirectional=not config.causal)
        self.speaker_embedding = SpeakerEmbedding(config.max_speakers, sizes[0]) if config.max_speakers else None
        self.dropout = Dropout(config.dropout)

    def forward(self, vectors: Tensor, steps: Steps, speaker_ids: Tensor | None = None) -> Tensor:
        return self.dropout(join(self.gru(self.with_speakers(vectors, speaker_ids), steps.items, steps), steps))

    def with_speakers(self, vectors: Tensor, speaker_ids: Tensor | None) -> Tensor:
        if self.speaker_embedding is None:
            return vectors
        if speaker_ids is None:
            speaker_ids = torch.zeros(len(vectors), dtype=torch.long, device=vectors.device)
        return vectors + self.speaker_embedding(speaker_ids)


class ClassificationHead(nn.Module):
    """Linear, tanh, Linear: (..., d_u + d_s) -> (..., C). Paper, section 3.4."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size + config.conversation_state_size
        self.dense = nn.Linear(size, config.classifier_hidden_size)
        self.output = nn.Linear(config.classifier_hidden_size, config.num_labels)

    def forward(self, states: Tensor) -> Tensor:
        return self.output(torch.tanh(self.dense(states)))


class PreCodePreTrainedModel(PreTrainedModel):
    """What all Pre-CODE models share: configuration, initialisation, loading and saving."""

    config_class = PreCodeConfig
    base_model_prefix = "precode"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True

    def __init__(self, config: PreCodeConfig, *args: Any, **kwargs: Any):
        # What is given to `from_pretrained` is set one by one, and may not go together.
        config.validate()
        super().__init__(config, *args, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, use_safetensors: bool | None = None, **kwargs):
        """As in transformers, but weights come from safetensors only: a pickle could run code."""
        if use_safetensors is False:
            raise ValueError(f"use_safetensors=False: {_SAFETENSORS_ONLY}")
        with _safetensors_only(pretrained_model_name_or_path):
            loaded = super().from_pretrained(pretrained_model_name_or_path, *args, use_safetensors=True, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Loading replaces every parameter with a trainable one.
        model.base_model.utterance_encoder.freeze()
        return loaded

    @classmethod
    def from_utterance_encoder(
        cls, name_or_folder: str, text_pooling: str = "mean", revision: str | None = None, **config: Any
    ):
        """A new model over a text encoder of transformers, such as BERT, with the encoder's weights. Its tokenizer is
        `AutoTokenizer.from_pretrained(name_or_folder)`.

        Args:
            name_or_folder: of the encoder, with weights in safetensors.
            text_pooling: of its states over the tokens: `"mean"`, `"cls"` or `"max_mean"`.
            revision: a branch, tag or commit of an encoder on the Hub.
            config: further settings of [`PreCodeConfig`].

        Raises:
            OSError: no encoder there, or none in safetensors.
            ValueError: an encoder that does not fit, or a setting out of range.
        """
        text_config = AutoConfig.from_pretrained(name_or_folder, revision=revision)
        if isinstance(text_config, PreCodeConfig):
            raise ValueError(f"{name_or_folder}: a Pre-CODE checkpoint; load it with {cls.__name__}.from_pretrained")
        # Where a folder lies is nobody's business.
        text_config.name_or_path = "" if os.path.isdir(name_or_folder) else name_or_folder
        text_config.dtype = None
        config = {"pad_token_id": text_config.pad_token_id, **config}
        settings = PreCodeConfig(
            utterance_encoder="text_encoder", text_config=text_config, text_pooling=text_pooling, **config
        )
        with _safetensors_only(name_or_folder):
            encoder = AutoModel.from_pretrained(
                name_or_folder, revision=revision, use_safetensors=True, dtype=torch.float32
            )
        model = cls(settings)
        model.base_model.utterance_encoder.encoder.load_state_dict(without_pooler(encoder).state_dict())
        return model

    def _set_gradient_checkpointing(self, enable: bool = True, gradient_checkpointing_func: Any = None, **kwargs: Any):
        if getattr(gradient_checkpointing_func, "keywords", {}).get("use_reentrant") is False:
            gradient_checkpointing_func = partial(gradient_checkpointing_func, context_fn=checkpointing_contexts)
        super()._set_gradient_checkpointing(enable, gradient_checkpointing_func, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        if isinstance(module, (nn.Linear, nn.GRU)):
            # PyTorch's own defaults, which the original implementation trains from.
            size = module.in_features if isinstance(module, nn.Linear) else module.hidden_size
            for parameter in module.parameters(recurse=False):
                init.uniform_(parameter, -(size**-0.5), size**-0.5)
        elif isinstance(module, SpeakerEmbedding):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Embedding):
            # Vectors of about unit length, like the pre-trained word vectors that usually take their place.
            init.normal_(module.weight, std=module.embedding_dim**-0.5)
            if module.padding_idx is not None and not getattr(module.weight, "_is_hf_initialized", False):
                init.zeros_(module.weight[module.padding_idx])


class PreCodeModel(PreCodePreTrainedModel):
    """The context-dependent encoder (CODE): dialogues of token ids -> a state in context for every utterance."""

    _auto_class = "AutoModel"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        kind = TextUtteranceEncoder if config.utterance_encoder == "text_encoder" else GRUUtteranceEncoder
        self.utterance_encoder = kind(config)
        self.conversation_encoder = ConversationEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.utterance_encoder.get_input_embeddings()

    def set_input_embeddings(self, embedding: nn.Module):
        self.utterance_encoder.set_input_embeddings(embedding)

    def encode_utterances(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors of utterances without their context.

        Args:
            input_ids: (D, U, T) token ids.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.

        Returns:
            vectors (D, U, d_u), 0 at padding, and a mask (D, U), true where there is an utterance.
        """
        layout = self.layout(input_ids, attention_mask)
        vectors = self.utterance_encoder(input_ids.flatten()[layout.tokens], layout.utterance_steps)
        padded = pad(vectors, layout.utterances, input_ids.shape[:2])
        return padded, pad(layout.utterances.new_ones(len(vectors)), layout.utterances, input_ids.shape[:2]).bool()

    def layout(
        self,
        utterances: Tensor,
        attention_mask: Tensor | None = None,
        negatives: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
    ) -> BatchLayout:
        """Where everything stands in a batch of token ids or embeddings (`forward` says the arguments)."""
        mask = _token_mask(utterances, attention_mask, self.config.pad_token_id)
        if negatives is None:
            return BatchLayout.of(mask).to(utterances.device)
        negative_mask = _token_mask(negatives, negative_attention_mask, self.config.pad_token_id)
        return BatchLayout.of(mask, negative_mask).to(utterances.device)

    def encode(
        self,
        utterances: Tensor,
        layout: BatchLayout,
        negatives: Tensor | None = None,
        speaker_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode dialogues, and negatives along with them, without padding.

        Args:
            utterances: (D, U, T) token ids, or (D, U, h) embeddings.
            layout: of the batch.
            negatives: (D, K, T') token ids, or (D, K, h) embeddings.
            speaker_ids: (D, U), who speaks; the vectors do not know it, the states do.

        Returns:
            vectors (N, d_u) and states in context (N, d_s) of the utterances, and vectors (K', d_u) of the
            negatives.
        """
        if speaker_ids is not None:
            if speaker_ids.shape != utterances.shape[:2]:
                raise ValueError(
                    f"speaker ids have the shape (dialogues, utterances), here {tuple(utterances.shape[:2])}; "
                    f"got {tuple(speaker_ids.shape)}"
                )
            speaker_ids = speaker_ids.flatten()[layout.utterances]
        if negatives is not None and negatives.is_floating_point() != utterances.is_floating_point():
            raise ValueError("utterances and negatives come as token ids, or both as embeddings; got one of each")
        if utterances.is_floating_point():
            embeds = utterances.flatten(0, 1)[layout.utterances]
            if negatives is not None:
                embeds = torch.cat([embeds, negatives.flatten(0, 1)[layout.negatives]])
            vectors = self.utterance_encoder.project(embeds)
        else:
            tokens = utterances.flatten()[layout.tokens]
            if negatives is not None:
                tokens = torch.cat([tokens, negatives.flatten()[layout.negative_tokens]])
            vectors = self.utterance_encoder(tokens, layout.utterance_steps)
        vectors, negatives = vectors[: len(layout.utterances)], vectors[len(layout.utterances) :]
        return vectors, self.conversation_encoder(vectors, layout.conversation_steps, speaker_ids), negatives

    def given(self, input_ids: Tensor | None, embeds: Tensor | None, name: str = "utterance") -> Tensor:
        """Of utterances' token ids and their embeddings, the one that was given, checked."""
        ids_name, embeds_name = ("input_ids" if name == "utterance" else f"{name}_input_ids", f"{name}_embeds")
        if (input_ids is None) == (embeds is None):
            raise ValueError(f"give `{ids_name}` or `{embeds_name}`; got {'neither' if embeds is None else 'both'}")
        if embeds is None:
            return input_ids
        if self.config.text_config is None:
            raise ValueError(
                f"`{embeds_name}` are the pooled states of a text encoder; this model has the utterance encoder "
                f"{self.config.utterance_encoder!r}; give `{ids_name}`"
            )
        size = self.config.text_config.hidden_size
        if embeds.dim() != 3 or embeds.shape[-1] != size or not embeds.is_floating_point():
            raise ValueError(
                f"`{embeds_name}` are numbers of the shape (dialogues, {name}s, {size}); got "
                f"{tuple(embeds.shape)} of {embeds.dtype}"
            )
        return embeds

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        layout: BatchLayout | None = None,
        output_hidden_states: bool | None = None,
        utterance_embeds: Tensor | None = None,
        speaker_ids: Tensor | None = None,
    ) -> PreCodeModelOutput:
        """Encode dialogues.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
                An utterance without tokens is padding. With `utterance_embeds` it may also be (D, U), 1 for an
                utterance; all are there when it is not given.
            layout: of the batch, where the collator made it; worked out from the mask when not given.
            output_hidden_states: also return `hidden_states`.
            utterance_embeds: (D, U, h), in place of `input_ids`, the text encoder's pooled states of every utterance.
            speaker_ids: (D, U), who speaks, from [`encode_dialogues`]: the speakers of a dialogue count from 1 in the
                order in which they first speak, and 0 is nobody. All are 0 when not given.

        Raises:
            ValueError: input of another shape, padding that is not on the right, or no utterance at all.
        """
        utterances = self.given(input_ids, utterance_embeds)
        layout = self.layout(utterances, attention_mask) if layout is None else layout.to(utterances.device)
        vectors, states, _ = self.encode(utterances, layout, speaker_ids=speaker_ids)
        shape = utterances.shape[:2]
        mask = pad(layout.utterances.new_ones(len(vectors)), layout.utterances, shape).bool()
        vectors, states = (pad(tensor, layout.utterances, shape) for tensor in (vectors, states))
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return PreCodeModelOutput(states, vectors, mask, (vectors, states) if wanted else None)

    def hidden_states(
        self, vectors: Tensor, states: Tensor, layout: BatchLayout, shape: tuple[int, int], wanted: bool | None
    ) -> tuple[Tensor, ...] | None:
        """What the heads return as `hidden_states`, padded, where it is wanted."""
        wanted = self.config.output_hidden_states if wanted is None else wanted
        return tuple(pad(tensor, layout.utterances, shape) for tensor in (vectors, states)) if wanted else None


def pad(rows: Tensor, places: Tensor, shape: tuple[int, int], value: float = 0) -> Tensor:
    """Rows (N, ...) put at their places among padding: (D, U, ...)."""
    padded = rows.new_full((shape[0] * shape[1], *rows.shape[1:]), value)
    return padded.index_copy(0, places, rows).view(*shape, *rows.shape[1:])


class PreCodeForConversationCompletion(PreCodePreTrainedModel):
    """Pre-CODE with the head of Conversation Completion, the pre-training task (paper, section 3.3).

    At every utterance with a neighbour on both sides, the context is the forward state before it and, unless the model
    is causal, the backward state after it, neither of which has seen it; a candidate's score is its vector's dot
    product with the context.
    """

    _auto_class = "AutoModelForPreTraining"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        self.precode = PreCodeModel(config)
        self.context_projection = nn.Linear(config.conversation_state_size, config.utterance_hidden_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        negative_input_ids: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        layout: BatchLayout | None = None,
        num_items_in_batch: Tensor | float | None = None,
        gather_candidates: bool = False,
        output_hidden_states: bool | None = None,
        utterance_embeds: Tensor | None = None,
        negative_utterance_embeds: Tensor | None = None,
        speaker_ids: Tensor | None = None,
    ) -> ConversationCompletionOutput:
        """Score the true utterance and the candidates at every position, and the loss over them.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
            negative_input_ids: (D, K, T') token ids of the negatives, one set for all positions of a dialogue. The
                objective `sampled_bce` needs them for a loss. `in_batch_softmax` takes its candidates from the batch
                when they are not given.
            negative_attention_mask: (D, K, T'), as `attention_mask`.
            layout: of the batch, where the collator made it; worked out from the masks when not given.
            num_items_in_batch: the number of targets to divide the sum of their losses by, when one step takes
                several batches or several processes; this batch's own when not given.
            gather_candidates: `in_batch_softmax` takes the candidates from the batches of all processes, and sends
                their gradients back; all processes then call this together.
            output_hidden_states: also return `hidden_states`.
            utterance_embeds: (D, U, h), in place of `input_ids`, the text encoder's pooled states of every utterance;
                the masks may then be (D, U) and (D, K).
            negative_utterance_embeds: (D, K, h), those of the negatives in place of `negative_input_ids`.
            speaker_ids: (D, U), as in [`PreCodeModel`]; a candidate's vector does not know who speaks.
        """
        utterances = self.precode.given(input_ids, utterance_embeds)
        negatives = None
        if negative_input_ids is not None or negative_utterance_embeds is not None:
            negatives = self.precode.given(negative_input_ids, negative_utterance_embeds, "negative_utterance")
        if layout is None:
            layout = self.precode.layout(utterances, attention_mask, negatives, negative_attention_mask)
        layout = layout.to(utterances.device)
        shape, targets = utterances.shape[:2], layout.targets
        negative_shape = None if negatives is None else negatives.shape[:2]
        vectors, states, negatives = self.precode.encode(utterances, layout, negatives, speaker_ids)
        forward_states, *backward_states = states.split(self.config.conversation_hidden_size, dim=-1)
        neighbours = [forward_states[targets - 1], *(later[targets + 1] for later in backward_states)]
        contexts = torch.tanh(self.context_projection(torch.cat(neighbours, dim=-1)))
        places = layout.utterances[targets]
        scores = (contexts * vectors[targets]).sum(-1, keepdim=True)
        lowest = torch.finfo(scores.dtype).min
        losses = None
        if negative_shape is not None:
            all_scores = pad(contexts, places, shape) @ pad(negatives, layout.negatives, negative_shape).mT
            given = pad(torch.ones_like(layout.negatives), layout.negatives, negative_shape).bool()
            negative_scores = all_scores.flatten(0, 1)[places]
            lowest = torch.finfo(negative_scores.dtype).min  # a sum may be of another type than a product
            negative_scores = negative_scores.masked_fill(~given[layout.dialogues[targets]], lowest)
            scores = torch.cat([scores.to(negative_scores.dtype), negative_scores], dim=-1)
            losses = self._candidate_losses(scores)
        elif self.config.convcom_objective == "in_batch_softmax":
            texts = _fingerprints(utterances, layout)
            losses = self._in_batch_losses(contexts, vectors, texts, layout, gather_candidates)
        loss = None
        if losses is not None:
            loss = losses.sum() / (max(len(targets), 1) if num_items_in_batch is None else num_items_in_batch)
        hidden_states = self.precode.hidden_states(vectors, states, layout, shape, output_hidden_states)
        return ConversationCompletionOutput(loss, pad(scores, places, shape, lowest), hidden_states)

    def _candidate_losses(self, scores: Tensor) -> Tensor:
        """Losses (M,) over given candidates: scores (M, 1 + K), the true one first, the type's lowest for none."""
        is_candidate = scores > torch.finfo(scores.dtype).min
        scores = scores.float()
        if self.config.convcom_objective == "sampled_bce":
            truth = torch.zeros_like(scores)
            truth[:, 0] = 1
            losses = F.binary_cross_entropy_with_logits(scores, truth, is_candidate.float(), reduction="none")
            return losses.sum(-1) / is_candidate.sum(-1)
        return F.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.long), reduction="none")

    def _in_batch_losses(
        self, contexts: Tensor, vectors: Tensor, texts: Tensor, layout: BatchLayout, gather: bool
    ) -> Tensor:
        """Losses (M,): cross-entropy of every target against the utterances of the batch's other dialogues, but for
        those with the target's own words."""
        targets, dialogues = layout.targets, layout.dialogues
        if gather:
            process, counts = torch.distributed.get_rank(), gather_counts(vectors)
            # The dialogues of different processes are different ones.
            dialogues = gather_rows(dialogues * len(counts) + process, counts)
            vectors, texts = gather_rows(vectors, counts), gather_rows(texts, counts)
            targets = targets + sum(counts[:process])
        barred = (dialogues[targets].unsqueeze(1) == dialogues) | (texts[targets].unsqueeze(1) == texts)
        barred.scatter_(1, targets.unsqueeze(1), False)
        scores = (contexts @ vectors.T).float().masked_fill(barred, float("-inf"))
        return F.cross_entropy(scores, targets, reduction="none")


class PreCodeForUtteranceClassification(PreCodePreTrainedModel):
    """Pre-CODE with a classifier of every utterance of a dialogue: emotion recognition (paper, section 3.4)."""

    _auto_class = "AutoModelForSequenceClassification"
    # `Trainer` then passes the number of labels of an accumulated batch to `forward`.
    accepts_loss_kwargs = True

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        if config.class_weights is not None and len(config.class_weights) != config.num_labels:
            raise ValueError(
                f"`class_weights` has {len(config.class_weights)} numbers for {config.num_labels} labels; "
                "give one a label"
            )
        self.precode = PreCodeModel(config)
        self.classifier = ClassificationHead(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        layout: BatchLayout | None = None,
        num_items_in_batch: Tensor | int | None = None,
        output_hidden_states: bool | None = None,
        utterance_embeds: Tensor | None = None,
        speaker_ids: Tensor | None = None,
    ) -> UtteranceClassificationOutput:
        """Score every class for every utterance, and the loss where labels are given.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
            labels: (D, U) class ids, -100 where there is no label or no utterance. The loss is the negative
                log-likelihood, weighted with `config.class_weights`, summed, and divided by the number of labels
                (by that number and not by the weights' sum, as the original).
            layout: of the batch, where the collator made it; worked out from the mask when not given.
            num_items_in_batch: the number to divide by, when one step accumulates several batches.
            output_hidden_states: also return `hidden_states`.
            utterance_embeds: (D, U, h), in place of `input_ids`, the text encoder's pooled states of every utterance;
                the mask may then be (D, U).
            speaker_ids: (D, U), as in [`PreCodeModel`].
        """
        utterances = self.precode.given(input_ids, utterance_embeds)
        layout = self.precode.layout(utterances, attention_mask) if layout is None else layout.to(utterances.device)
        shape = utterances.shape[:2]
        vectors, states, _ = self.precode.encode(utterances, layout, speaker_ids=speaker_ids)
        logits = pad(self.classifier(torch.cat([vectors, states], dim=-1)), layout.utterances, shape)
        loss = None
        if labels is not None:
            weights = self.config.class_weights
            weights = None if weights is None else torch.tensor(weights).to(logits.device, non_blocking=True)
            total = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), weight=weights, reduction="sum")
            count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total / torch.as_tensor(count).to(total.device, non_blocking=True).clamp(min=1)
        hidden_states = self.precode.hidden_states(vectors, states, layout, shape, output_hidden_states)
        return UtteranceClassificationOutput(loss, logits, hidden_states)

    def stream(self) -> DialogueStream:
        """A new dialogue, to be given utterance by utterance; for a model with `causal=True`."""
        return DialogueStream(self)


@contextmanager
def _safetensors_only(name: str) -> Iterator[None]:
    """Says what to do where there are no weights in safetensors."""
    try:
        yield
    except OSError as error:
        if SAFE_WEIGHTS_NAME not in str(error):
            raise
        raise OSError(f"{name}: no {SAFE_WEIGHTS_NAME} there; {_SAFETENSORS_ONLY}") from error


def _token_mask(input_ids: Tensor, attention_mask: Tensor | None, pad_token_id: int | None) -> Tensor:
    """The mask of tokens (D, U, T), its shape checked; of embeddings, where each is one token, (D, U, 1)."""
    if input_ids.is_floating_point():
        if attention_mask is None:
            attention_mask = torch.ones(input_ids.shape[:2], device=input_ids.device)
        elif attention_mask.dim() == 3:
            attention_mask = attention_mask.any(-1)
        if attention_mask.shape != input_ids.shape[:2]:
            raise ValueError(
                f"the attention mask of embeddings has their first two sizes, {tuple(input_ids.shape[:2])}; "
                f"got {tuple(attention_mask.shape)}"
            )
        return attention_mask.unsqueeze(-1)
    if input_ids.dim() != 3:
        raise ValueError(
            f"token ids have the shape (dialogues, utterances, tokens); got {tuple(input_ids.shape)}. "
            "One dialogue is a batch of one: `input_ids.unsqueeze(0)`"
        )
    if attention_mask is None:
        attention_mask = input_ids != pad_token_id
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"the attention mask has the shape of the token ids, {tuple(input_ids.shape)}; "
            f"got {tuple(attention_mask.shape)}"
        )
    return attention_mask


def _fingerprints(input_ids: Tensor, layout: BatchLayout) -> Tensor:
    """(N,), a number for the words of each utterance, or for its embedding: equal words, equal numbers.

    A sum of the token ids times powers of an odd number, modulo 2^64: other words get the same number once in 2^64.
    """
    width = input_ids.shape[-1]
    powers = torch.full((width,), 0x5851F42D4C957F2D, device=input_ids.device).cumprod(0)
    if input_ids.is_floating_point():
        bits = input_ids.flatten(0, 1)[layout.utterances].float().view(torch.int32).long()
        return ((bits + 1) * powers).sum(-1)
    tokens = input_ids.flatten()[layout.tokens]
    products = input_ids.new_zeros(input_ids.numel()).index_copy(
        0, layout.tokens, (tokens + 1) * powers[layout.tokens % width]
    )
    return products.view(-1, width).sum(-1)[layout.utterances]


__all__ = [
    "PreCodeForConversationCompletion",
    "PreCodeForUtteranceClassification",
    "PreCodeModel",
    "PreCodePreTrainedModel",
]
