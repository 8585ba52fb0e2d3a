"""The pipeline `conversation-emotion`: a person's dialogue in, an emotion for every utterance out."""

from typing import TYPE_CHECKING, Any

import torch
from transformers import Pipeline, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import LARGE_INTEGER

from .data_collator import PreCodeDataCollator
from .emotion_labeling import EmotionLabelingMixin
from .explanation import explain
from .label_folding import LabelFolding
from .tokenizer_files import check_tokenizer

if TYPE_CHECKING:
    from .modeling_precode import PreCodeForUtteranceClassification

TASK = "conversation-emotion"


class ConversationEmotionPipeline(EmotionLabelingMixin, Pipeline):  # type: ignore[misc]
    """Labels every utterance of a dialogue, or of many, from the whole dialogue.

    ```python
    from transformers import pipeline

    import modeling_precode

    emotions = pipeline("conversation-emotion", model="path/or/name")
    emotions(["I got the job!", "You did? That's wonderful!"])
    ```

    A call returns, for a dialogue, a list with a dictionary an utterance: `text`, `speaker` where one was given,
    `label`, `score` (the label's probability), and with `distribution=True` the probability of every label by name.
    For several dialogues it returns a list of such lists, in their order; for a stream of dialogues (a generator or a
    `datasets.IterableDataset`) an iterator of such lists, which reads on as it is asked.

    One warning a call says how many utterances were longer than the model reads, if any, and where they were cut. One
    warning a pipeline says that fewer than half of a dialogue's words are known to the model.

    Args of a call:
        inputs: a dialogue: a list of strings, of `{"speaker", "text"}` or of `(speaker, text)` tuples, a numpy array or
            a pandas `Series` of these, a pandas `DataFrame` with the column `text` and perhaps `speaker`, or a string,
            which is a dialogue of one utterance. Or several dialogues: a list, an array, a `Series`, a column of a
            dataset, a generator or a dataset of PyTorch (such as `KeyDataset`) of dialogues; a `datasets.Dataset` or
            `IterableDataset`, or a `DataFrame`, with the column `utterances` and perhaps `speakers`; a `DataFrame` with
            the columns `text` and `dialogue_id`. A speaker that is missing (`None`, NaN) or empty is nobody.
        distribution: also give the probability of every label.
        top_k: in place of a dictionary an utterance, a list of the `top_k` most probable labels, as other pipelines of
            transformers give it: `{"label", "score"}`, the most probable first; all labels with `None`.
        known_words: also give `known_words`, the share of an utterance's words (for a text encoder, of its tokens)
            that are in the vocabulary, from 0 to 1. An utterance without any word is read as one unknown word.
        label_map: a mapping from every label of the model to the label to give in its place, such as `{"joy":
            "positive", ...}`, or to None to leave it out. The probabilities of labels with the same one are added.
        explain: also give `explanation`, by how much the probability of the label falls when a part is left out:
            `utterances`, a number for each utterance of the dialogue (`None` for the utterance itself), and `words`, a
            list of `{"word", "start", "end", "change"}` for each word of its text, with offsets in characters. The
            model reads the dialogue again without each of them, so that the time grows with the square of its length.
        max_batch_tokens: tokens that go through the model at once (default: 16,384); a longer dialogue goes alone.
        batch_size: dialogues that go through the model at once, at most; as many as `max_batch_tokens` allows when not
            given.
        num_workers: taken as other pipelines take it. Dialogues are always read in this process, as that costs next to
            nothing.

    No result depends on the last three. All but `inputs` may also be given to `pipeline(...)`.

    Raises:
        ValueError: the input has none of these forms, or an argument is out of range.
    """

    model: "PreCodeForUtteranceClassification"
    tokenizer: PreTrainedTokenizerBase  # type: ignore[assignment]

    _load_tokenizer = True  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_processor = False  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_tokenizer(self.model.name_or_path or "the model", self.tokenizer, self.model.config)

    @property
    def max_utterance_tokens(self) -> int | None:
        """The most tokens of an utterance that the tokenizer and the model read; `None` where neither has a limit."""
        limits = (self.tokenizer.model_max_length, self.model.max_utterance_tokens)
        return min((limit for limit in limits if limit is not None and limit < LARGE_INTEGER), default=None)

    def compute_probabilities(self, rows: list[dict]) -> torch.Tensor:  # type: ignore[override]
        """Rows of `input_ids` and `speaker_ids` -> probabilities (dialogues, utterances, classes), padded."""
        return self.forward(PreCodeDataCollator(self.tokenizer.pad_token_id)(rows))

    def _forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        return self.probabilities(self.model(**batch, return_dict=True).logits)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits.float() / self.model.config.temperature).softmax(-1)

    def explain(
        self, dialogue: list[dict], row: dict, results: list[dict], max_batch_tokens: int, folding: LabelFolding | None
    ) -> list[dict[str, Any]]:
        names = folding.names if folding else self.model.config.label_names

        def probabilities_of(logits: torch.Tensor) -> torch.Tensor:
            return folding(self.probabilities(logits)) if folding else self.probabilities(logits)

        with torch.inference_mode():
            return explain(
                *(self.model, dialogue, row["input_ids"]),
                *(lambda turns: self.preprocess([turns])[0]["input_ids"], probabilities_of),
                *([(names.index(result["label"]), result["score"]) for result in results], max_batch_tokens),
            )
