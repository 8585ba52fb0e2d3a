"""The Pre-CODE model: utterance encoder, conversation encoder, and the two heads.

Shapes: D dialogues, U utterances per dialogue, T tokens per utterance, K negatives, C classes. d_u and d_c are the
hidden sizes of the utterance encoder and the conversation encoder. d_s is the size of a state in context: 2 d_c, or d_c
for a causal model. Dialogues and utterances are padded on the right, and no result depends on the amount of padding.
The encoders compute nothing on padding: they process the N utterances of a batch one after another, and a `BatchLayout`
holds their positions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils.generic import can_return_tuple

from .classification_head import ClassificationHead, soft_cross_entropy
from .configuration_precode import PreCodeConfig
from .conversation_encoder import ConversationEncoder
from .dialogue_text_encoder import DialogueTextEncoder
from .encoded_batch import EncodedBatch, pad
from .gathering import gather_counts, gather_rows
from .gru_encoder import GRUUtteranceEncoder
from .inputs import check_name_lengths, ids_or_embeds, token_mask, utterance_hashes, without_padding
from .layout import BatchLayout
from .outputs import ConversationCompletionOutput, PreCodeModelOutput, UtteranceClassificationOutput
from .pretrained import PreCodePreTrainedModel
from .streaming import DialogueStream
from .text_encoder import TextUtteranceEncoder


class PreCodeModel(PreCodePreTrainedModel):
    """The context-dependent encoder (CODE): computes a state in context for every utterance of a dialogue."""

    _auto_class = "AutoModel"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        kind: type[TextUtteranceEncoder | GRUUtteranceEncoder] = GRUUtteranceEncoder
        if config.utterance_encoder == "text_encoder":
            kind = DialogueTextEncoder if config.text_context == "dialogue" else TextUtteranceEncoder
        self.utterance_encoder = kind(config)
        self.conversation_encoder = ConversationEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embeddings of the tokens, from the utterance encoder."""
        return self.utterance_encoder.get_input_embeddings()

    def set_input_embeddings(self, embedding: nn.Module):
        """Replace the embeddings of the tokens."""
        self.utterance_encoder.set_input_embeddings(embedding)  # type: ignore[arg-type]

    def encode_utterances(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode utterances without their context.

        Args:
            input_ids: (D, U, T) token ids.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.

        Returns:
            The vectors (D, U, d_u), 0 at padding, and a mask (D, U), true where there is an utterance.

        Raises:
            ValueError: The model has `text_context="dialogue"`.
        """
        if self.config.text_context == "dialogue":
            raise ValueError("a model with `text_context` 'dialogue' reads no utterance alone; call it with dialogues")
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
        """The layout of a batch of token ids or embeddings. The arguments are those of `forward`."""
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
        name_lengths: Tensor | None = None,
        negative_input_ids: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        negative_utterance_embeds: Tensor | None = None,
    ) -> EncodedBatch:
        """Check a batch and encode it without its padding, the negatives together with the utterances.

        `forward` and both heads begin with this step.

        Args:
            input_ids, attention_mask, layout, utterance_embeds, speaker_ids, name_lengths: As in `forward`.
            negative_input_ids, negative_attention_mask, negative_utterance_embeds: As in
                [`PreCodeForConversationCompletion`].
        """
        inputs = ids_or_embeds(self.config, input_ids, utterance_embeds)
        negatives = None
        if negative_input_ids is not None or negative_utterance_embeds is not None:
            negatives = ids_or_embeds(self.config, negative_input_ids, negative_utterance_embeds, "negative_utterance")
        if layout is None:
            layout = self.layout(inputs, attention_mask, negatives, negative_attention_mask)
        layout = layout.to(inputs.device)
        check_name_lengths(self.config, inputs, name_lengths)
        if speaker_ids is not None:
            speaker_ids = without_padding(speaker_ids, "speaker ids", inputs, layout)
        if name_lengths is not None:
            name_lengths = without_padding(name_lengths, "name lengths", inputs, layout)
        vectors, negative_vectors = self._vectors(inputs, negatives, layout, name_lengths)
        states = self.conversation_encoder(vectors, layout.conversation_steps, speaker_ids)
        if negatives is not None:
            assert negative_vectors is not None and layout.negatives is not None
            negative_vectors = pad(negative_vectors, layout.negatives, negatives.shape[:2])
        return EncodedBatch(inputs, layout, vectors, states, negative_vectors)

    def _vectors(
        self, inputs: Tensor, negatives: Tensor | None, layout: BatchLayout, name_lengths: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The vectors (N, d_u) of the utterances, and (K', d_u) of the negatives, if any."""
        if negatives is not None and negatives.is_floating_point() != inputs.is_floating_point():
            raise ValueError("utterances and negatives must both be token ids, or both be embeddings; got one of each")
        if inputs.is_floating_point():
            embeds = inputs.flatten(0, 1)[layout.utterances]
            if negatives is not None:
                embeds = torch.cat([embeds, negatives.flatten(0, 1)[layout.negatives]])
            vectors = self.utterance_encoder.project(embeds)
        elif name_lengths is not None:
            tokens, lengths = inputs.flatten()[layout.tokens], layout.lengths_by_dialogue()
            vectors = self.utterance_encoder(tokens, lengths, name_lengths)
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
        name_lengths: Tensor | None = None,
    ) -> PreCodeModelOutput:
        """Encode dialogues.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.
                An utterance without tokens is padding. With `utterance_embeds` the mask may also be (D, U), 1 for an
                utterance; by default there is no padding.
            layout: The layout of the batch, if the collator computed it; by default computed from the mask.
            output_hidden_states: Also return `hidden_states`.
            utterance_embeds: (D, U, h), the text encoder's pooled states of every utterance, in place of `input_ids`.
            speaker_ids: (D, U), the speakers from [`encode_dialogues`], numbered from 1 in the order in which they
                first speak in the dialogue. 0, the default, is an unknown speaker.
            name_lengths: (D, U), for a model with `text_context="dialogue"`: the number of tokens at the start of each
                utterance that are the name of its speaker, from [`encode_dialogues`].

        Raises:
            ValueError: The input has another shape, the padding is not on the right, or there is no utterance.
        """
        batch = self.encode(input_ids, attention_mask, layout, utterance_embeds, speaker_ids, name_lengths)
        vectors, states = batch.hidden_states()
        mask = batch.pad(batch.layout.utterances.new_ones(len(batch.vectors))).bool()
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return PreCodeModelOutput(states, vectors, mask, (vectors, states) if wanted else None)


class PreCodeForConversationCompletion(PreCodePreTrainedModel):
    """Pre-CODE with the head of Conversation Completion, the pre-training task (paper, section 3.3).

    Every utterance with a neighbor on both sides is a target. Its context is the forward state before it and, unless
    the model is causal, the backward state after it. Neither state has seen the target. The score of a candidate is the
    dot product of its vector with the context.
    """

    _auto_class = "AutoModelForPreTraining"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        if config.text_context == "dialogue":
            raise ValueError(
                "`text_context` 'dialogue': a text encoder that reads the dialogue has seen the hidden utterance; pre-"
                "train with 'utterance', and fine-tune with 'dialogue'"
            )
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
        """Score the true utterance and the candidates at every position, and compute the loss.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.
            negative_input_ids: (D, K, T') token ids of the negatives, one set for all positions of a dialogue. The
                objective `sampled_bce` needs them for a loss. Without them, `in_batch_softmax` takes its candidates
                from the batch.
            negative_attention_mask: (D, K, T'), as `attention_mask`.
            layout: The layout of the batch, if the collator computed it; by default computed from the masks.
            num_items_in_batch: The number of targets by which the sum of the losses is divided, if a step has several
                batches or several processes; by default the number of targets in this batch.
            gather_candidates: With `in_batch_softmax`, take the candidates from the batches of all processes, and send
                their gradients back. All processes must then call this method together.
            output_hidden_states: Also return `hidden_states`.
            utterance_embeds: (D, U, h), the text encoder's pooled states of every utterance, in place of `input_ids`.
                The masks may then be (D, U) and (D, K).
            negative_utterance_embeds: (D, K, h), the same for the negatives, in place of `negative_input_ids`.
            speaker_ids: (D, U), as in [`PreCodeModel`]. The vector of a candidate does not depend on its speaker.
        """
        batch = self.precode.encode(
            *(input_ids, attention_mask, layout, utterance_embeds, speaker_ids, None),
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
            lowest = torch.finfo(negative_scores.dtype).min  # a sum may have another dtype than a product
            negative_scores = negative_scores.masked_fill(~is_negative[layout.dialogues[targets]], lowest)
            scores = torch.cat([scores.to(negative_scores.dtype), negative_scores], dim=-1)
            losses = self._candidate_losses(scores)
        elif self.config.convcom_objective == "in_batch_softmax":
            texts = utterance_hashes(batch.inputs, layout)
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
        """Losses (M,) over the candidates with these scores (M, 1 + K).

        The score of the true utterance comes first. The lowest number of the dtype marks a missing candidate.
        """
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
        """Losses (M,): the cross-entropy of every target against the utterances of the other dialogues in the batch.

        Utterances with the same words as the target are left out.
        """
        targets, dialogues = layout.targets, layout.dialogues
        if gather:
            process, counts = torch.distributed.get_rank(), gather_counts(vectors)
            # Dialogues of different processes are different dialogues.
            dialogues = gather_rows(dialogues * len(counts) + process, counts)
            vectors, texts = gather_rows(vectors, counts), gather_rows(texts, counts)
            targets = targets + sum(counts[:process])
        excluded = (dialogues[targets].unsqueeze(1) == dialogues) | (texts[targets].unsqueeze(1) == texts)
        excluded.scatter_(1, targets.unsqueeze(1), False)
        scores = (contexts @ vectors.T).float().masked_fill(excluded, float("-inf"))
        return F.cross_entropy(scores, targets, reduction="none")


class PreCodeForUtteranceClassification(PreCodePreTrainedModel):
    """Pre-CODE with a classifier of every utterance of a dialogue, for emotion recognition (paper, section 3.4)."""

    _auto_class = "AutoModelForSequenceClassification"
    # Makes `Trainer` pass the number of labels of an accumulated batch to `forward`.
    accepts_loss_kwargs = True

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        if config.class_weights is not None and len(config.class_weights) != config.num_labels:
            raise ValueError(
                f"`class_weights` has {len(config.class_weights)} numbers for {config.num_labels} labels; "
                "give one number per label"
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
        # Not named after labels: `Trainer` expects every argument with "label" in its name in every batch.
        soft_targets: Tensor | None = None,
        name_lengths: Tensor | None = None,
    ) -> UtteranceClassificationOutput:
        """Score every class for every utterance, and compute the loss if labels are given.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.
            labels: (D, U) class ids, -100 where there is no label or no utterance. The loss is the negative
                log-likelihood, weighted with `config.class_weights`, summed, and divided by the number of labels. As in
                the original, it is not divided by the sum of the weights.
            layout: The layout of the batch, if the collator computed it; by default computed from the mask.
            num_items_in_batch: The number by which the loss is divided, if a step accumulates several batches; by
                default the number of labels in this batch.
            output_hidden_states: Also return `hidden_states`.
            utterance_embeds: (D, U, h), the text encoder's pooled states of every utterance, in place of `input_ids`.
                The mask may then be (D, U).
            speaker_ids, name_lengths: (D, U), as in [`PreCodeModel`].
            soft_targets: (D, U, C), the probabilities of the classes for the utterances with a label. The loss is the
                cross-entropy against them. Where they are 0 or NaN, it is the cross-entropy against the label.

        Raises:
            ValueError: [`PreCodeModel`] does not accept the input, or the soft targets have another shape.
        """
        batch = self.precode.encode(input_ids, attention_mask, layout, utterance_embeds, speaker_ids, name_lengths)
        logits = batch.pad(self.classifier(torch.cat([batch.vectors, batch.states], dim=-1)))
        loss = None
        if labels is not None:
            weights = None
            if self.config.class_weights is not None:
                weights = torch.tensor(self.config.class_weights).to(logits.device, non_blocking=True)
            if soft_targets is None:
                total = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), weight=weights, reduction="sum")
            else:
                total = soft_cross_entropy(logits, labels, soft_targets, weights)
            count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
            loss = total / torch.as_tensor(count).to(total.device, non_blocking=True).clamp(min=1)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return UtteranceClassificationOutput(loss, logits, batch.hidden_states() if wanted else None)

    def stream(self) -> DialogueStream:
        """Start a dialogue that is labeled utterance by utterance. The model must have `causal=True`."""
        return DialogueStream(self)


__all__ = [
    "PreCodeForConversationCompletion",
    "PreCodeForUtteranceClassification",
    "PreCodeModel",
    "PreCodePreTrainedModel",
]
