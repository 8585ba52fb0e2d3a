"""The evaluation of Conversation Completion: the rank of the true utterance among its negatives, as recall."""

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset
from torch.utils.data import DataLoader

from data_scripts.tools.progress import with_progress

from ..data_collator import PreCodeDataCollator
from ..evaluation.metrics import ConvComRecall
from .batches import WholeBatches
from .encoded_dialogues import INPUTS, EncodedDialogues
from .interruption import Interruption
from .negatives import DialoguesWithNegatives

EVALUATION_NEGATIVES = 10


class RecallEvaluation:
    """Scores one split, with the negatives of the corpus or negatives drawn with a fixed seed.

    One process takes a whole batch, so the recall is exactly the same for any number of processes.

    Args:
        dialogues: Encoded dialogues, with `input_ids` and, if the corpus has negatives, `negative_input_ids`.
        negatives_seed: Seed of negatives that are drawn.
        batch_size: Dialogues per batch.
        collator: The collator that builds the batches.
        accelerator: The accelerator of the run.

    Raises:
        ValueError: There are too few other dialogues to draw negatives from.
    """

    def __init__(
        self,
        dialogues: Dataset,
        negatives_seed: int,
        batch_size: int,
        collator: PreCodeDataCollator,
        accelerator: Accelerator,
    ):
        if "negative_input_ids" in dialogues.column_names:
            columns = [name for name in INPUTS if name in dialogues.column_names]
            dataset = dialogues.select_columns([*columns, "negative_input_ids"])
        else:
            dataset = DialoguesWithNegatives(EncodedDialogues(dialogues), EVALUATION_NEGATIVES, negatives_seed)
        batches = WholeBatches(len(dataset), batch_size, accelerator.process_index, accelerator.num_processes)
        pinned = accelerator.device.type == "cuda"
        self.loader = DataLoader(
            dataset, batch_sampler=batches, collate_fn=collator, generator=torch.Generator(), pin_memory=pinned
        )
        self.accelerator = accelerator
        self.metric = ConvComRecall()

    @torch.no_grad()
    def scores(self, model: torch.nn.Module, interruption: Interruption | None = None) -> np.ndarray:
        """This process's scores (targets, 1 + negatives), the true utterance first. An interruption ends them early."""
        training = model.training
        model.eval()
        rows = []
        silent = not self.accelerator.is_main_process
        for batch in with_progress(self.loader, "evaluating", len(self.loader), silent=silent):
            if interruption is not None and interruption.signal is not None:
                break
            batch = send_to_device(batch, self.accelerator.device, non_blocking=True)
            logits = model(**batch).logits.float()
            has_utterance = batch["attention_mask"].any(-1)
            is_target = torch.zeros_like(has_utterance)
            is_target[:, 1:-1] = has_utterance[:, 2:]
            rows.append(logits[is_target].cpu().numpy())
        model.train(training)
        return np.concatenate(rows) if rows else np.zeros((0, 1 + EVALUATION_NEGATIVES), np.float32)

    def __call__(
        self, model: torch.nn.Module, interruption: Interruption | None = None
    ) -> tuple[dict[str, float] | None, np.ndarray]:
        """The recalls over all processes, or None after an interruption, and this process's scores."""
        scores = self.scores(model, interruption)
        rows = len(scores)
        recalls = self.metric.compute(predictions=scores, references=[0] * rows) if rows else {}
        if interruption is not None and interruption.anywhere(self.accelerator):
            return None, scores
        counts = gather_object([(rows, {name: round(value * rows) for name, value in recalls.items()})])
        names = next(hits for _, hits in counts if hits)
        total = sum(count for count, _ in counts)
        return {name: sum(hits.get(name, 0) for _, hits in counts) / total for name in names}, scores
