"""The Pre-CODE model: utterance encoder, conversation encoder, and the two heads.

Shapes: D dialogues, U utterances a dialogue, T tokens an utterance, K negatives, C classes; d_u and d_c are the
hidden sizes of the utterance and the conversation encoder. Dialogues and utterances are padded on the right, and no
result depends on how far.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_precode import PreCodeConfig
from .gru import BiGRU


@dataclass
class PreCodeModelOutput(ModelOutput):
    """Output of [`PreCodeModel`].

    Args:
        last_hidden_state: (D, U, 2 d_c), the conversation encoder's states, forward then backward; 0 at padding.
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


class GRUUtteranceEncoder(nn.Module):
    """Token ids (N, T) and mask (N, T) of N utterances -> one vector an utterance (N, d_u). Paper, section 3.2.1."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size
        self.kind = config.utterance_encoder
        self.max_norm = config.word_vector_max_norm
        self.pooling_length = config.pooling_length
        self.word_embedding = nn.Embedding(config.vocab_size, config.word_vector_size, padding_idx=config.pad_token_id)
        self.word_embedding.weight.requires_grad_(not config.freeze_word_vectors)
        self.gru = BiGRU(config.word_vector_size, size)
        if self.kind == "stacked_gru":
            self.second_gru = BiGRU(2 * size, size)
        self.projection = nn.Linear(2 * size, size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        lengths = attention_mask.sum(1)
        packed = pack_padded_sequence(input_ids, lengths.cpu(), batch_first=True, enforce_sorted=False)
        utterance_of_token = torch.cat([packed.sorted_indices[:count] for count in packed.batch_sizes])
        states = self.gru(_with_data(packed, self.embed(packed.data)))
        if self.kind == "stacked_gru":
            states = self.second_gru(_with_data(states, self.dropout(states.data)))
        if self.kind == "gru2":
            vectors = self.project(self.pool(states.data, utterance_of_token, lengths, padding=None))
        else:
            padding = torch.tanh(self.projection.bias)
            vectors = self.pool(self.project(states.data), utterance_of_token, lengths, padding)
        return self.dropout(vectors)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Word vectors, none longer than `word_vector_max_norm`."""
        vectors = self.word_embedding(input_ids)
        if self.max_norm is None:
            return vectors
        with torch.no_grad():
            norms = vectors.norm(dim=-1, keepdim=True)
            # The scale of `nn.Embedding(max_norm=...)`, which would change the weights in every forward pass.
            scale = torch.where(norms > self.max_norm, self.max_norm / (norms + 1e-7), 1.0)
        return vectors * scale

    def project(self, states: Tensor) -> Tensor:
        return torch.tanh(self.projection(states))

    def pool(self, states: Tensor, utterance_of_token: Tensor, lengths: Tensor, padding: Tensor | None) -> Tensor:
        """Maximum plus mean over the tokens of every utterance: states of tokens (tokens, d) -> (N, d).

        With a `pooling_length`, an utterance counts as padded to that many positions, where the original's states
        are `padding`, or 0 for `None`.
        """
        lengths = lengths.unsqueeze(1)
        shape = (len(lengths), states.shape[1])
        index = utterance_of_token.unsqueeze(1).expand_as(states)
        total = states.new_zeros(shape).index_add(0, utterance_of_token, states)
        maximum = states.new_zeros(shape).scatter_reduce(0, index, states, "amax", include_self=False)
        if self.pooling_length is None:
            return maximum + total / lengths
        missing = (self.pooling_length - lengths).clamp(min=0)
        padding = states.new_zeros(shape[1]) if padding is None else padding
        maximum = torch.where(missing > 0, torch.maximum(maximum, padding), maximum)
        return maximum + (total + missing * padding) / (lengths + missing)


def _with_data(packed: PackedSequence, data: Tensor) -> PackedSequence:
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


class ConversationEncoder(nn.Module):
    """Utterance vectors (D, U, d_u) of dialogues -> states in context (D, U, 2 d_c). Paper, section 3.2.2."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        self.gru = BiGRU(config.utterance_hidden_size, config.conversation_hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, vectors: Tensor, utterance_mask: Tensor) -> Tensor:
        # A dialogue that is all padding takes part with one utterance of zeros.
        lengths = utterance_mask.sum(1).clamp(min=1)
        packed = pack_padded_sequence(vectors, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed), batch_first=True, total_length=vectors.shape[1])
        return self.dropout(states * utterance_mask.unsqueeze(-1))


class ClassificationHead(nn.Module):
    """Linear, tanh, Linear: (..., d_u + 2 d_c) -> (..., C). Paper, section 3.4."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size + 2 * config.conversation_hidden_size
        self.dense = nn.Linear(size, config.classifier_hidden_size)
        self.output = nn.Linear(config.classifier_hidden_size, config.num_labels)

    def forward(self, states: Tensor) -> Tensor:
        return self.output(torch.tanh(self.dense(states)))


class PreCodePreTrainedModel(PreTrainedModel):
    """What all Pre-CODE models share: configuration, initialisation, loading and saving."""

    config_class = PreCodeConfig
    base_model_prefix = "precode"
    main_input_name = "input_ids"

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Loading replaces every parameter with a trainable one.
        model.get_input_embeddings().weight.requires_grad_(not model.config.freeze_word_vectors)
        return loaded

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        if isinstance(module, (nn.Linear, nn.GRU)):
            # PyTorch's own defaults, which the original implementation trains from.
            size = module.in_features if isinstance(module, nn.Linear) else module.hidden_size
            for parameter in module.parameters(recurse=False):
                init.uniform_(parameter, -(size**-0.5), size**-0.5)
        elif isinstance(module, nn.Embedding):
            # Vectors of about unit length, like the pre-trained word vectors that usually take their place.
            init.normal_(module.weight, std=module.embedding_dim**-0.5)
            if module.padding_idx is not None and not getattr(module.weight, "_is_hf_initialized", False):
                init.zeros_(module.weight[module.padding_idx])


class PreCodeModel(PreCodePreTrainedModel):
    """The context-dependent encoder (CODE): dialogues of token ids -> a state in context for every utterance."""

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        self.utterance_encoder = GRUUtteranceEncoder(config)
        self.conversation_encoder = ConversationEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.utterance_encoder.word_embedding

    def set_input_embeddings(self, embedding: nn.Embedding):
        self.utterance_encoder.word_embedding = embedding

    def encode_utterances(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors of utterances without their context.

        Args:
            input_ids: (D, U, T) token ids.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.

        Returns:
            vectors (D, U, d_u), 0 at padding, and a mask (D, U), true where there is an utterance.
        """
        mask = _token_mask(input_ids, attention_mask, self.config.pad_token_id)
        utterance_mask = mask.any(-1)
        vectors = self.utterance_encoder(input_ids[utterance_mask], mask[utterance_mask])
        padded = vectors.new_zeros(*utterance_mask.shape, vectors.shape[-1])
        padded[utterance_mask] = vectors
        return padded, utterance_mask

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> PreCodeModelOutput:
        """Encode dialogues.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
                An utterance without tokens is padding.
            output_hidden_states: also return `hidden_states`.

        Raises:
            ValueError: input of another shape, padding that is not on the right, or no utterance at all.
        """
        vectors, utterance_mask = self.encode_utterances(input_ids, attention_mask)
        states = self.conversation_encoder(vectors, utterance_mask)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        hidden_states = (vectors, states) if output_hidden_states else None
        return PreCodeModelOutput(states, vectors, utterance_mask, hidden_states)


class PreCodeForConversationCompletion(PreCodePreTrainedModel):
    """Pre-CODE with the head of Conversation Completion, the pre-training task (paper, section 3.3).

    At every utterance with a neighbour on both sides, the context is the forward state before it and the backward
    state after it, neither of which has seen it; a candidate's score is its vector's dot product with the context.
    """

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        self.precode = PreCodeModel(config)
        self.context_projection = nn.Linear(2 * config.conversation_hidden_size, config.utterance_hidden_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        negative_input_ids: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> ConversationCompletionOutput:
        """Score the true utterance and the candidates at every position, and the loss over them.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
            negative_input_ids: (D, K, T') token ids of the negatives, one set for all positions of a dialogue. The
                objective `sampled_bce` needs them for a loss. `in_batch_softmax` takes its candidates from the batch
                when they are not given.
            negative_attention_mask: (D, K, T'), as `attention_mask`.
            output_hidden_states: also return `hidden_states`.
        """
        # The heads read fields by name, so the base model must not answer with a tuple.
        encoded = self.precode(input_ids, attention_mask, output_hidden_states, return_dict=True)
        forward_states, backward_states = encoded.last_hidden_state.chunk(2, dim=-1)
        contexts = torch.tanh(
            self.context_projection(torch.cat([forward_states[:, :-2], backward_states[:, 2:]], dim=-1))
        )
        # Padding is on the right, so a position whose next one holds an utterance has both neighbours.
        is_target = encoded.utterance_mask[:, 2:]
        targets = encoded.utterance_vectors[:, 1 : 1 + contexts.shape[1]]
        scores = (contexts * targets).sum(-1, keepdim=True)
        if negative_input_ids is not None:
            negatives, negative_mask = self.precode.encode_utterances(negative_input_ids, negative_attention_mask)
            negative_scores = contexts @ negatives.mT
            scores = torch.cat([scores.to(negative_scores.dtype), negative_scores], dim=-1)
            is_candidate = F.pad(negative_mask, (1, 0), value=True).unsqueeze(1) & is_target.unsqueeze(-1)
            loss = self._candidate_loss(scores[is_target], is_candidate[is_target])
        else:
            is_candidate = is_target.unsqueeze(-1)
            in_batch = self.config.convcom_objective == "in_batch_softmax"
            loss = self._in_batch_loss(input_ids, attention_mask, encoded, contexts, is_target) if in_batch else None
        lowest = torch.finfo(scores.dtype).min
        logits = scores.new_full((*input_ids.shape[:2], scores.shape[-1]), lowest)
        logits[:, 1 : 1 + scores.shape[1]] = scores.masked_fill(~is_candidate, lowest)
        return ConversationCompletionOutput(loss, logits, encoded.hidden_states)

    def _candidate_loss(self, scores: Tensor, is_candidate: Tensor) -> Tensor:
        """Loss over given candidates: scores and mask (positions, 1 + K), the true one first."""
        scores = scores.float()
        if self.config.convcom_objective == "sampled_bce":
            truth = torch.zeros_like(scores)
            truth[:, 0] = 1
            losses = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")[is_candidate]
        else:
            scores = scores.masked_fill(~is_candidate, float("-inf"))
            losses = F.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.long), reduction="none")
        return losses.sum() / max(losses.numel(), 1)

    def _in_batch_loss(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        encoded: PreCodeModelOutput,
        contexts: Tensor,
        is_target: Tensor,
    ) -> Tensor:
        """Cross-entropy of every target against the utterances of the batch's other dialogues, but for those with
        the target's own words."""
        utterance_mask = encoded.utterance_mask
        tokens = input_ids.masked_fill(~_token_mask(input_ids, attention_mask, self.config.pad_token_id), -1)
        text = torch.unique(tokens[utterance_mask], dim=0, return_inverse=True)[1]
        dialogue = (
            torch.arange(len(input_ids), device=text.device).unsqueeze(1).expand_as(utterance_mask)[utterance_mask]
        )
        # Where each target stands among the batch's utterances.
        order = torch.full(utterance_mask.shape, -1, device=text.device)
        order[utterance_mask] = torch.arange(len(text), device=text.device)
        target = order[:, 1 : 1 + is_target.shape[1]][is_target]

        scores = contexts[is_target] @ encoded.utterance_vectors[utterance_mask].T
        barred = (dialogue[target].unsqueeze(1) == dialogue) | (text[target].unsqueeze(1) == text)
        barred[torch.arange(len(target), device=target.device), target] = False
        losses = F.cross_entropy(scores.float().masked_fill(barred, float("-inf")), target, reduction="sum")
        return losses / max(len(target), 1)


class PreCodeForUtteranceClassification(PreCodePreTrainedModel):
    """Pre-CODE with a classifier of every utterance of a dialogue: emotion recognition (paper, section 3.4)."""

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
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        output_hidden_states: bool | None = None,
    ) -> UtteranceClassificationOutput:
        """Score every class for every utterance, and the loss where labels are given.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; taken from the padding token when not given.
            labels: (D, U) class ids, -100 where there is no label or no utterance. The loss is the negative
                log-likelihood, weighted with `config.class_weights`, summed, and divided by the number of labels
                (by that number and not by the weights' sum, as the original).
            num_items_in_batch: the number to divide by, when one step accumulates several batches.
            output_hidden_states: also return `hidden_states`.
        """
        encoded = self.precode(input_ids, attention_mask, output_hidden_states, return_dict=True)
        logits = self.classifier(torch.cat([encoded.utterance_vectors, encoded.last_hidden_state], dim=-1))
        logits = logits * encoded.utterance_mask.unsqueeze(-1)
        loss = None
        if labels is not None:
            weights = self.config.class_weights
            weights = None if weights is None else torch.tensor(weights, device=logits.device)
            total = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), weight=weights, reduction="sum")
            count = (labels != -100).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
            loss = total / count
        return UtteranceClassificationOutput(loss, logits, encoded.hidden_states)


def _token_mask(input_ids: Tensor, attention_mask: Tensor | None, pad_token_id: int | None) -> Tensor:
    """The mask of tokens (D, U, T) as booleans, checked."""
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
    mask = attention_mask.bool()
    utterance_mask = mask.any(-1)
    if (mask[..., 1:] & ~mask[..., :-1]).any() or (utterance_mask[:, 1:] & ~utterance_mask[:, :-1]).any():
        raise ValueError(
            "dialogues and utterances are padded on the right, and every utterance has a token; got a mask with a "
            "token after padding. Use PreCodeDataCollator, or a tokenizer with padding_side='right'"
        )
    if not utterance_mask.any():
        raise ValueError("the batch holds no utterance: every token is masked")
    return mask


__all__ = [
    "PreCodeForConversationCompletion",
    "PreCodeForUtteranceClassification",
    "PreCodeModel",
    "PreCodePreTrainedModel",
]
