"""The Pre-CODE model: utterance encoder, conversation encoder, and the two heads.

Shapes: D dialogues, U utterances a dialogue, T tokens an utterance, K negatives, C classes; d_u and d_c are the
hidden sizes of the utterance and the conversation encoder, and d_s = 2 d_c is that of a state in context, or d_c of a
causal one. Dialogues and utterances are padded on the right, and no result depends on how far. Inside, nothing is
computed on padding: the N utterances of a batch stand one after another, as a `BatchLayout` says.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils.generic import can_return_tuple

from .configuration_precode import PreCodeConfig
from .conversation_encoder import ConversationEncoder
from .encoded_batch import EncodedBatch, pad
from .gathering import gather_counts, gather_rows
from .gru_encoder import GRUUtteranceEncoder
from .inputs import fingerprints, ids_or_embeds, token_mask
from .layout import BatchLayout
from .outputs import ConversationCompletionOutput, PreCodeModelOutput, UtteranceClassificationOutput
from .pretrained import PreCodePreTrainedModel
from .streaming import DialogueStream
from .text_encoder import TextUtteranceEncoder


class ClassificationHead(nn.Module):
    """Linear, tanh, Linear: (..., d_u + d_s) -> (..., C). Paper, section 3.4."""

    def __init__(self, config: PreCodeConfig):
        super().__init__()
        size = config.utterance_hidden_size + config.conversation_state_size
        assert config.num_labels is not None
        self.dense = nn.Linear(size, config.classifier_hidden_size)
        self.output = nn.Linear(config.classifier_hidden_size, config.num_labels)

    def forward(self, states: Tensor) -> Tensor:
        return self.output(torch.tanh(self.dense(states)))


class PreCodeModel(PreCodePreTrainedModel):
    """The context-dependent encoder (CODE): dialogues of token ids -> a state in context for every utterance."""

    _auto_class = "AutoModel"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        kind: type[TextUtteranceEncoder | GRUUtteranceEncoder]
        kind = TextUtteranceEncoder if config.utterance_encoder == "text_encoder" else GRUUtteranceEncoder
        self.utterance_encoder = kind(config)
        self.conversation_encoder = ConversationEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.utterance_encoder.get_input_embeddings()

    def set_input_embeddings(self, embedding: nn.Module):
        self.utterance_encoder.set_input_embeddings(embedding)  # type: ignore[arg-type]

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
        mask = token_mask(utterances, attention_mask, self.config.pad_token_id)
        if negatives is None:
            return BatchLayout.of(mask).to(utterances.device)
        negative_mask = token_mask(negatives, negative_attention_mask, self.config.pad_token_id)
        return BatchLayout.of(mask, negative_mask).to(utterances.device)

    def encode(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        layout: BatchLayout | None = None,
        utterance_embeds: Tensor | None = None,
        speaker_ids: Tensor | None = None,
        negative_input_ids: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        negative_utterance_embeds: Tensor | None = None,
    ) -> EncodedBatch:
        """Check a batch and encode it without its padding, negatives along with the utterances: what `forward` and both
        heads begin with.

        Args:
            input_ids, attention_mask, layout, utterance_embeds, speaker_ids: as in `forward`.
            negative_input_ids, negative_attention_mask, negative_utterance_embeds: as in
                [`PreCodeForConversationCompletion`].
        """
        inputs = ids_or_embeds(self.config, input_ids, utterance_embeds)
        negatives = None
        if negative_input_ids is not None or negative_utterance_embeds is not None:
            negatives = ids_or_embeds(self.config, negative_input_ids, negative_utterance_embeds, "negative_utterance")
        if layout is None:
            layout = self.layout(inputs, attention_mask, negatives, negative_attention_mask)
        layout = layout.to(inputs.device)
        if speaker_ids is not None:
            if speaker_ids.shape != inputs.shape[:2]:
                raise ValueError(
                    f"speaker ids have the shape (dialogues, utterances), here {tuple(inputs.shape[:2])}; "
                    f"got {tuple(speaker_ids.shape)}"
                )
            speaker_ids = speaker_ids.flatten()[layout.utterances]
        vectors, negative_vectors = self._vectors(inputs, negatives, layout)
        states = self.conversation_encoder(vectors, layout.conversation_steps, speaker_ids)
        if negatives is not None:
            assert negative_vectors is not None and layout.negatives is not None
            negative_vectors = pad(negative_vectors, layout.negatives, negatives.shape[:2])
        return EncodedBatch(inputs, layout, vectors, states, negative_vectors)

    def _vectors(self, inputs: Tensor, negatives: Tensor | None, layout: BatchLayout) -> tuple[Tensor, Tensor | None]:
        """Vectors (N, d_u) of the utterances, and (K', d_u) of the negatives where there are any."""
        if negatives is not None and negatives.is_floating_point() != inputs.is_floating_point():
            raise ValueError("utterances and negatives come as token ids, or both as embeddings; got one of each")
        if inputs.is_floating_point():
            embeds = inputs.flatten(0, 1)[layout.utterances]
            if negatives is not None:
                embeds = torch.cat([embeds, negatives.flatten(0, 1)[layout.negatives]])
            vectors = self.utterance_encoder.project(embeds)
        else:
            tokens = inputs.flatten()[layout.tokens]
            if negatives is not None:
                tokens = torch.cat([tokens, negatives.flatten()[layout.negative_tokens]])
            vectors = self.utterance_encoder(tokens, layout.utterance_steps)
        count = len(layout.utterances)
        return vectors[:count], None if negatives is None else vectors[count:]

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
        batch = self.encode(input_ids, attention_mask, layout, utterance_embeds, speaker_ids)
        vectors, states = batch.hidden_states()
        mask = batch.pad(batch.layout.utterances.new_ones(len(batch.vectors))).bool()
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return PreCodeModelOutput(states, vectors, mask, (vectors, states) if wanted else None)


class PreCodeForConversationCompletion(PreCodePreTrainedModel):
    """Pre-CODE with the head of Conversation Completion, the pre-training task (paper, section 3.3).

    At every utterance with a neighbor on both sides, the context is the forward state before it and, unless the model
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
            gather_candidates: `in_batch_softmax` takes candidates from all processes, which then call this together.
            output_hidden_states: also return `hidden_states`.
            utterance_embeds: (D, U, h), in place of `input_ids`, the text encoder's pooled states of every utterance;
                the masks may then be (D, U) and (D, K).
            negative_utterance_embeds: (D, K, h), those of the negatives in place of `negative_input_ids`.
            speaker_ids: (D, U), as in [`PreCodeModel`]; a candidate's vector does not know who speaks.
        """
        batch = self.precode.encode(
            *(input_ids, attention_mask, layout, utterance_embeds, speaker_ids),
            *(negative_input_ids, negative_attention_mask, negative_utterance_embeds),
        )
        layout, vectors, targets = batch.layout, batch.vectors, batch.layout.targets
        contexts, places = self._contexts(batch.states, targets), layout.utterances[targets]
        scores = (contexts * vectors[targets]).sum(-1, keepdim=True)
        lowest = torch.finfo(scores.dtype).min
        loss = losses = None
        if batch.negatives is not None:
            assert layout.negatives is not None
            all_scores = pad(contexts, places, batch.shape) @ batch.negatives.mT
            is_negative = pad(torch.ones_like(layout.negatives), layout.negatives, batch.negatives.shape[:2]).bool()
            negative_scores = all_scores.flatten(0, 1)[places]
            lowest = torch.finfo(negative_scores.dtype).min  # a sum may be of another type than a product
            negative_scores = negative_scores.masked_fill(~is_negative[layout.dialogues[targets]], lowest)
            scores = torch.cat([scores.to(negative_scores.dtype), negative_scores], dim=-1)
            losses = self._candidate_losses(scores)
        elif self.config.convcom_objective == "in_batch_softmax":
            texts = fingerprints(batch.inputs, layout)
            losses = self._in_batch_losses(contexts, vectors, texts, layout, gather_candidates)
        if losses is not None:
            loss = losses.sum() / (max(len(targets), 1) if num_items_in_batch is None else num_items_in_batch)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        logits = pad(scores, places, batch.shape, lowest)
        return ConversationCompletionOutput(loss, logits, batch.hidden_states() if wanted else None)

    def _contexts(self, states: Tensor, targets: Tensor) -> Tensor:
        """Contexts (M, d_u) of the targets: from the state before each and, unless causal, the one after it."""
        forward_states, *backward_states = states.split(self.config.conversation_hidden_size, dim=-1)
        neighbors = [forward_states[targets - 1], *(later[targets + 1] for later in backward_states)]
        return torch.tanh(self.context_projection(torch.cat(neighbors, dim=-1)))

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
        # A name with "label" in it is one that `Trainer` expects in every batch.
        soft_targets: Tensor | None = None,
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
            soft_targets: (D, U, C) the probabilities of the classes for an utterance that has a label. The loss
                is the cross-entropy against them, and against the label alone where they are 0 or NaN.

        Raises:
            ValueError: input that [`PreCodeModel`] refuses, or distributions of another shape.
        """
        batch = self.precode.encode(input_ids, attention_mask, layout, utterance_embeds, speaker_ids)
        logits = batch.pad(self.classifier(torch.cat([batch.vectors, batch.states], dim=-1)))
        loss = None
        if labels is not None:
            weights = None
            if self.config.class_weights is not None:
                weights = torch.tensor(self.config.class_weights).to(logits.device, non_blocking=True)
            if soft_targets is None:
                total = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), weight=weights, reduction="sum")
            else:
                total = self._soft_cross_entropy(logits, labels, soft_targets, weights)
            count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total / torch.as_tensor(count).to(total.device, non_blocking=True).clamp(min=1)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return UtteranceClassificationOutput(loss, logits, batch.hidden_states() if wanted else None)

    def _soft_cross_entropy(
        self, logits: Tensor, labels: Tensor, distributions: Tensor, weights: Tensor | None
    ) -> Tensor:
        """The sum over all utterances with a label of the cross-entropy against their distribution, or their label."""
        if distributions.shape != logits.shape:
            raise ValueError(
                f"label distributions have the shape (dialogues, utterances, classes), here {tuple(logits.shape)}; "
                f"got {tuple(distributions.shape)}"
            )
        labels = labels.unsqueeze(-1)
        of_labels = labels == torch.arange(logits.shape[-1], device=labels.device)
        has_distribution = distributions.sum(-1, keepdim=True) > 0
        targets = torch.where(has_distribution & (labels != -100), distributions.float(), of_labels.float())
        losses = -targets * logits.float().log_softmax(-1)
        return (losses if weights is None else losses * weights).sum()

    def stream(self) -> DialogueStream:
        """A new dialogue, to be given utterance by utterance; for a model with `causal=True`."""
        return DialogueStream(self)


__all__ = [
    "PreCodeForConversationCompletion",
    "PreCodeForUtteranceClassification",
    "PreCodeModel",
    "PreCodePreTrainedModel",
]
