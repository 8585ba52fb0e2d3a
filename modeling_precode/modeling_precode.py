"""The Pre-CODE model: utterance encoder, conversation encoder, and the two heads.

Shapes: D dialogues, U utterances per dialogue, T tokens per utterance, K negatives, C classes. d_u and d_c are the
hidden sizes of the utterance encoder and the conversation encoder. d_s is the size of a state in context: 2 d_c, or d_c
for a causal model. Dialogues and utterances are padded on the right, and no result depends on the amount of padding.
The encoders take the N utterances of a batch one after another, without the padding of the batch, and a `BatchLayout`
holds their positions. The GRUs compute nothing on padding. A text encoder reads chunks of utterances, or of windows of
dialogues, of similar length, which are padded to the longest of the chunk.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.utils.generic import can_return_tuple

from .classification_head import ClassificationHead, mask_classes, soft_cross_entropy
from .completion_losses import candidate_losses, in_batch_losses
from .configuration_precode import PreCodeConfig
from .conversation_encoder import ConversationEncoder
from .dialogue_text_encoder import DialogueTextEncoder
from .encoded_batch import EncodedBatch, pad
from .gru_encoder import GRUUtteranceEncoder
from .inputs import check_name_lengths, check_names_within, ids_or_embeds, token_mask, utterance_hashes, without_padding
from .layout import BatchLayout
from .masked_dialogues import encode_masked
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
            input_ids: (D, U, T) token ids. For a model with `text_context="dialogue"`, without the names of speakers.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.

        Returns:
            The vectors (D, U, d_u), 0 at padding, and a mask (D, U), true where there is an utterance.
        """
        layout = self.layout(input_ids, attention_mask)
        vectors, _ = self.vectors(input_ids, None, layout)
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
            padded, name_lengths = name_lengths, without_padding(name_lengths, "name lengths", inputs, layout)
            check_names_within(padded, torch.from_numpy(layout.lengths))
        vectors, negative_vectors = self.vectors(inputs, negatives, layout, name_lengths)
        states = self.conversation_encoder(vectors, layout.conversation_steps, speaker_ids)
        return EncodedBatch(inputs, layout, vectors, states, negative_vectors)

    def vectors(
        self, inputs: Tensor, negatives: Tensor | None, layout: BatchLayout, name_lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Encode the utterances and the negatives of a batch.

        Args:
            inputs: (D, U, T) token ids, or (D, U, h) embeddings.
            negatives: (D, K, T') token ids, or (D, K, h) embeddings; `None` without negatives.
            layout: The layout of both.
            name_lengths: (N,), for utterances to be read in their dialogue. Without it, each is read alone.

        Returns:
            The vectors (N, d_u) of the utterances, and (D, K, d_u) of the negatives, if any, 0 at padding.
        """
        if negatives is not None and negatives.is_floating_point() != inputs.is_floating_point():
            raise ValueError("utterances and negatives must both be token ids, or both be embeddings; got one of each")
        encoder, embeds = self.utterance_encoder, inputs.is_floating_point()
        rows = inputs.flatten(0, 1)[layout.utterances] if embeds else inputs.flatten()[layout.tokens]
        if negatives is not None:
            others = (
                negatives.flatten(0, 1)[layout.negatives] if embeds else negatives.flatten()[layout.negative_tokens]
            )
            rows = torch.cat([rows, others])
        if embeds:
            vectors = encoder.project(rows)
        elif name_lengths is not None:
            vectors = encoder(rows, layout.lengths_by_dialogue(), name_lengths)
        elif isinstance(encoder, DialogueTextEncoder):
            vectors = encoder.encode_alone(rows, layout.lengths_of_all())
        else:
            vectors = encoder(rows, layout.utterance_steps)
        if negatives is None:
            return vectors, None
        vectors, of_negatives = vectors.tensor_split([len(layout.utterances)])
        assert layout.negatives is not None
        return vectors, pad(of_negatives, layout.negatives, negatives.shape[:2])

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

    With `text_context="dialogue"`, the states around a target have seen it, because the text encoder reads the whole
    dialogue. Targets are therefore masked: only the name of the speaker and a mask token are read. The context is the
    state of the masked utterance. Candidates are read alone, without names.
    """

    _auto_class = "AutoModelForPreTraining"

    def __init__(self, config: PreCodeConfig):
        super().__init__(config)
        if config.text_context == "dialogue" and config.mask_token_id is None:
            raise ValueError(
                "`mask_token_id` is None: Conversation Completion with `text_context` 'dialogue' needs a tokenizer "
                "with a mask token; use another text encoder, or text_context='utterance'"
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
        name_lengths: Tensor | None = None,
        masked_utterances: Tensor | None = None,
    ) -> ConversationCompletionOutput:
        """Score the true utterance and the candidates at every position, and compute the loss.

        Args:
            input_ids: (D, U, T) token ids, padded on the right.
            attention_mask: (D, U, T), 1 for a token and 0 for padding; by default derived from the padding token.
            negative_input_ids: (D, K, T') token ids of the negatives, one set for all positions of a dialogue. The
                objective `sampled_bce` needs them for a loss. Without them, `in_batch_softmax` takes its candidates
                from the batch.
            negative_attention_mask: (D, K, T'), as `attention_mask`.
            layout: The layout of the batch, if the collator computed it; by default computed from the masks. With
                `text_context="dialogue"` always computed, because masked utterances have other lengths.
            num_items_in_batch: The number of targets by which the sum of the losses is divided, if a step has several
                batches or several processes; by default the number of targets in this batch.
            gather_candidates: With `in_batch_softmax`, take the candidates from the batches of all processes, and send
                their gradients back. All processes must then call this method together.
            output_hidden_states: Also return `hidden_states`. With `text_context="dialogue"`, they are the vectors of
                the candidates, and states that a target has where it is masked.
            utterance_embeds: (D, U, h), the text encoder's pooled states of every utterance, in place of `input_ids`.
                The masks may then be (D, U) and (D, K).
            negative_utterance_embeds: (D, K, h), the same for the negatives, in place of `negative_input_ids`.
            speaker_ids, name_lengths: (D, U), as in [`PreCodeModel`]. The vector of a candidate does not depend on its
                speaker.
            masked_utterances: (D, U), only for a model with `text_context="dialogue"`: 1 for an utterance that is
                masked, and therefore a target. By default the dialogues are read several times, and every utterance
                with a neighbor on both sides is masked once.

        Raises:
            ValueError: [`PreCodeModel`] does not accept the input, or utterances are masked for a model with
                `text_context="utterance"`.
        """
        if self.config.text_context == "dialogue":
            if input_ids is None or utterance_embeds is not None or negative_utterance_embeds is not None:
                raise ValueError(
                    "a model with `text_context` 'dialogue' masks utterances; give `input_ids`, and no embeddings"
                )
            inputs = (input_ids, attention_mask, negative_input_ids, negative_attention_mask)
            batch, targets = encode_masked(self.precode, *inputs, speaker_ids, name_lengths, masked_utterances)
        elif masked_utterances is not None:
            raise ValueError("`masked_utterances` are for a model with `text_context` 'dialogue'; leave them out")
        else:
            batch = self.precode.encode(
                *(input_ids, attention_mask, layout, utterance_embeds, speaker_ids, name_lengths),
                *(negative_input_ids, negative_attention_mask, negative_utterance_embeds),
            )
            targets = batch.layout.targets
        layout, vectors = batch.layout, batch.vectors
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
            losses = candidate_losses(scores, self.config.convcom_objective)
        elif self.config.convcom_objective == "in_batch_softmax":
            texts = utterance_hashes(batch.inputs, layout)
            losses = in_batch_losses(contexts, vectors, texts, layout.dialogues, targets, gather_candidates)
        if losses is not None:
            loss = losses.sum() / (max(len(targets), 1) if num_items_in_batch is None else num_items_in_batch)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        logits = pad(scores, places, batch.shape, lowest)
        return ConversationCompletionOutput(loss, logits, batch.hidden_states() if wanted else None)

    def _contexts(self, states: Tensor, targets: Tensor) -> Tensor:
        """Contexts (M, d_u) of the targets: from the state before each and, unless causal, the one after it."""
        if self.config.text_context == "dialogue":
            # The conversation encoder has read the mask token's vector here. Its state is used instead of that vector,
            # so that pre-training also trains the conversation encoder, and continues from a checkpoint of utterances.
            return torch.tanh(self.context_projection(states[targets]))
        forward_states, *backward_states = states.split(self.config.conversation_hidden_size, dim=-1)
        neighbors = [forward_states[targets - 1], *(later[targets + 1] for later in backward_states)]
        return torch.tanh(self.context_projection(torch.cat(neighbors, dim=-1)))


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
        class_mask: Tensor | None = None,
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
            class_mask: (D, C), 1 for a class that the utterances of a dialogue can have; by default all of them.

        Raises:
            ValueError: [`PreCodeModel`] does not accept the input, or soft targets or class mask have another shape.
        """
        batch = self.precode.encode(input_ids, attention_mask, layout, utterance_embeds, speaker_ids, name_lengths)
        logits = batch.pad(self.classifier(torch.cat([batch.vectors, batch.states], dim=-1)))
        if class_mask is not None:
            logits = mask_classes(logits, class_mask)
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
