"""The losses of Conversation Completion, over sampled candidates or over the utterances of the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .gathering import gather_counts, gather_rows


def candidate_losses(scores: Tensor, objective: str) -> Tensor:
    """Losses (M,) over the candidates with these scores (M, 1 + K).

    The score of the true utterance comes first. The lowest number of the dtype marks a missing candidate.

    Args:
        scores: (M, 1 + K).
        objective: `"sampled_bce"` for the binary cross-entropy of each candidate, else the cross-entropy over all.
    """
    is_candidate = scores > torch.finfo(scores.dtype).min
    scores = scores.float()
    if objective == "sampled_bce":
        truth = torch.zeros_like(scores)
        truth[:, 0] = 1
        losses = F.binary_cross_entropy_with_logits(scores, truth, is_candidate.float(), reduction="none")
        return losses.sum(-1) / is_candidate.sum(-1)
    return F.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.long), reduction="none")


def in_batch_losses(
    contexts: Tensor, vectors: Tensor, texts: Tensor, dialogues: Tensor, targets: Tensor, gather: bool
) -> Tensor:
    """Losses (M,): the cross-entropy of every target against the utterances of the other dialogues in the batch.

    Utterances with the same words as the target are left out.

    Args:
        contexts: (M, d_u), the context vectors of the targets.
        vectors: (N, d_u), the vectors of all utterances.
        texts: (N,), numbers that are equal for utterances with the same words.
        dialogues: (N,), the dialogue of each utterance.
        targets: (M,), the indices of the targets among the N.
        gather: Whether to take the utterances of all processes.
    """
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
