"""The two graphs of an exported model, run by onnxruntime.

Shapes: D dialogues, U utterances per dialogue, N utterances in total, C classes. d_u is the size of the vector of an
utterance, and d_c is the size of a state of the conversation encoder.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batching import chunks
from ..dialogue_windows import WindowedTokens
from .config import CONVERSATION_GRAPH, UTTERANCE_GRAPH, ExportedConfig
from .streaming import OnnxStream

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# The number of tokens, padding included, that go through the utterance encoder at once, and the number of utterances
# that go through the conversation encoder at once. With larger numbers, the data no longer stays in the cache.
CHUNK_TOKENS, CHUNK_UTTERANCES = 2**9, 2**12
# A chunk of rows: their indices, and the places and the mask of their items, as `_padded` yields them.
Chunk = tuple[np.ndarray, np.ndarray, np.ndarray]


class OnnxModel:
    """An exported model. It computes logits from token ids.

    Args:
        folder: The folder that `precode export` wrote.
        num_threads: The number of threads; by default the environment variable `OMP_NUM_THREADS`, or one per core.

    Raises:
        ValueError: The folder contains no exported model, or onnxruntime cannot run it.
    """

    def __init__(self, folder: str | Path, num_threads: int | None = None):
        self.name_or_path = str(folder)
        self.config = ExportedConfig.read(folder)
        speakers, state = ["speaker_ids"] * bool(self.config.max_speakers), ["state"] * self.config.causal
        windows = ["members", *["utterances"] * self.config.causal] if self.config.text_context == "dialogue" else []
        threads = num_threads or _default_threads()
        self._utterance_encoder = _Graph(Path(folder, UTTERANCE_GRAPH), ["input_ids", "lengths", *windows], threads)
        # Two chunks at a time: while some threads wait for the last one of a chunk, they work on the next.
        self._pool = ThreadPoolExecutor(1 if threads == 1 else 2)
        self._conversation_encoder = _Graph(
            Path(folder, CONVERSATION_GRAPH), ["vectors", "lengths", *speakers, *state], threads
        )

    def logits(self, dialogues: Sequence[dict[str, Any]]) -> list[np.ndarray]:
        """Compute the logits of dialogues.

        Args:
            dialogues: Rows with `input_ids`, a list of utterances, each a list of token ids, and optionally
                `speaker_ids` and `name_lengths`, one integer per utterance, as `encode_dialogues` returns them. No
                utterance is empty.

        Returns:
            The logits (U, C) of each dialogue.
        """
        if self.config.text_context == "dialogue":
            vectors = self.vectors_in_dialogues(
                [row["input_ids"] for row in dialogues], [row["name_lengths"] for row in dialogues]
            )
        else:
            vectors = self.vectors([ids for row in dialogues for ids in row["input_ids"]])
        sizes = [len(row["input_ids"]) for row in dialogues]
        speakers = [row.get("speaker_ids") or [0] * len(row["input_ids"]) for row in dialogues]
        logits = self.logits_in_context(vectors, sizes, list(chain.from_iterable(speakers)))
        return np.split(logits, np.cumsum(sizes)[:-1])

    def logits_in_context(self, vectors: np.ndarray, lengths: Sequence[int], speaker_ids: Sequence[int]) -> np.ndarray:
        """Compute the logits of utterances whose vectors are known.

        Args:
            vectors: (N, d_u), the dialogues one after another.
            lengths: The number of utterances of each dialogue.
            speaker_ids: The speaker of each utterance; 0 is an unknown speaker.

        Returns:
            The logits (N, C).
        """
        sizes, speakers = np.array(lengths), np.array(speaker_ids, np.int64)
        logits = np.empty((len(vectors), len(self.config.label_names)), np.float32)
        for rows, places, mask in _padded(sizes, CHUNK_UTTERANCES):
            padded, _ = self._in_context(vectors[places], sizes[rows], speakers[places])
            logits[places[mask]] = padded[mask]
        return logits

    def vectors(self, utterances: Sequence[Sequence[int]]) -> np.ndarray:
        """Compute the vectors (N, d_u) of utterances, each a list of token ids, without their context."""
        lengths = np.array([len(ids) for ids in utterances])
        tokens = np.fromiter(chain.from_iterable(utterances), np.int64, lengths.sum())
        vectors = np.empty((len(utterances), self.config.utterance_hidden_size), np.float32)

        def encode(chunk: Chunk) -> None:
            rows, places, _ = chunk
            inputs = {"input_ids": tokens[places], "lengths": lengths[rows]}
            [vectors[rows]] = self._utterance_encoder.run(inputs, (len(rows), vectors.shape[1]))

        self._for_each(_padded(lengths, CHUNK_TOKENS), encode)
        return vectors

    def vectors_in_dialogues(
        self, dialogues: Sequence[Sequence[Sequence[int]]], name_lengths: Sequence[Sequence[int]]
    ) -> np.ndarray:
        """Compute the vectors (N, d_u) of the utterances of dialogues, whose text encoder reads them in their dialogue.

        Args:
            dialogues: The token ids of each utterance of each dialogue, without special tokens.
            name_lengths: For each utterance, the number of its tokens that are the name of its speaker.
        """
        config = self.config
        lengths = [np.array([len(ids) for ids in dialogue]) for dialogue in dialogues]
        windows = WindowedTokens(lengths, config.max_window_tokens, config.causal)
        tokens = chain.from_iterable(chain.from_iterable(dialogues))
        ids = np.array([*tokens, config.start_token_id, config.separator_token_id], np.int64)[windows.tokens]
        names = np.fromiter(chain.from_iterable(name_lengths), np.int64)
        pooled_into = np.where(windows.offsets >= names[windows.utterances], windows.utterances, -1)
        vectors = np.empty((len(names), config.utterance_hidden_size), np.float32)

        def encode(chunk: Chunk) -> None:
            rows, places, mask = chunk
            numbers = np.arange(windows.counts[rows].max())
            targets = windows.first[rows, np.newaxis] + numbers
            members = (pooled_into[places][:, np.newaxis] == targets[..., np.newaxis]) & mask[:, np.newaxis]
            inputs = {"input_ids": ids[places], "lengths": windows.lengths[rows], "members": members.astype(np.float32)}
            if config.causal:
                inputs["utterances"] = windows.utterances[places]
            [found] = self._utterance_encoder.run(inputs, (*targets.shape, vectors.shape[1]))
            own = numbers < windows.counts[rows, np.newaxis]
            vectors[targets[own]] = found[own]

        self._for_each(_padded(windows.lengths, CHUNK_TOKENS), encode)
        return vectors

    def step(
        self, vector: np.ndarray, speaker_id: int = 0, state: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label the next utterance of a dialogue with a causal model.

        Args:
            vector: (d_u,), the vector of the utterance.
            speaker_id: The speaker; 0 is an unknown speaker.
            state: (1, d_c), the state that the previous utterance returned; `None` for the first utterance.

        Returns:
            The logits (C,) and the state (1, d_c).
        """
        logits, state = self._in_context(vector[np.newaxis, np.newaxis], np.array([1]), np.array([[speaker_id]]), state)
        assert state is not None
        return logits[0, 0], state

    def stream(self) -> OnnxStream:
        """Start a dialogue that is labeled utterance by utterance. The model must be causal."""
        return OnnxStream(self)

    def _for_each(self, padded: Iterator[Chunk], encode: Callable[[Chunk], None]) -> None:
        """Encode all chunks in the threads of the model."""
        for _ in self._pool.map(encode, padded):
            pass

    def _in_context(
        self, vectors: np.ndarray, sizes: np.ndarray, speaker_ids: np.ndarray, state: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Padded vectors (D, U, d_u) -> logits (D, U, C) and, of a causal model, the last states (D, d_c)."""
        inputs = {"vectors": vectors, "lengths": sizes}
        if self.config.max_speakers:
            inputs["speaker_ids"] = speaker_ids
        shapes = [(*vectors.shape[:2], len(self.config.label_names))]
        if self.config.causal:
            shapes.append((len(sizes), self.config.conversation_hidden_size))
            inputs["state"] = np.zeros(shapes[1], np.float32) if state is None else state
        logits, *states = self._conversation_encoder.run(inputs, *shapes)
        return logits, states[0] if states else None


class _Graph:
    """A graph with the names of its inputs. Whatever onnxruntime says about it becomes a ValueError that names it."""

    def __init__(self, path: Path, inputs: list[str], num_threads: int):
        self.path, self.session = path, _session(path, num_threads)
        found = [entry.name for entry in self.session.get_inputs()]
        if sorted(found) != sorted(inputs):
            raise ValueError(
                f"{path}: must have the inputs {', '.join(inputs)}; got {', '.join(found)!r:.200}; config.json belongs "
                "to another model, or is damaged; export the model again"
            )

    def run(self, inputs: dict[str, np.ndarray], *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Compute the outputs of the graph, which must have these shapes."""
        try:
            outputs = self.session.run(None, inputs)
        except Exception as error:  # onnxruntime raises many classes
            raise ValueError(f"{self.path}: {_refusal(error)}") from error
        found = [(getattr(output, "dtype", None), getattr(output, "shape", None)) for output in outputs]
        if found != [(np.float32, shape) for shape in shapes]:
            raise ValueError(
                f"{self.path}: must return float32 of the shapes {shapes}; got {found!r:.200}; config.json belongs to "
                "another model, or is damaged; export the model again"
            )
        return outputs


def _default_threads() -> int:
    """The number of threads that the environment sets; 0 for one per core."""
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # OpenMP allows a list
    return int(threads) if threads.isdecimal() else 0


def _session(path: Path, num_threads: int) -> "InferenceSession":
    # Imported late, so that a folder can be recognized where onnxruntime is not installed.
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ValueError(f'{path}: needs the package onnxruntime: pip install "precode[onnx]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Memory is planned for one shape, and every chunk has its own.
    options.enable_mem_pattern = False
    # Threads that wait would take the processor from the next chunk.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Its fused operator takes several times as long on a CPU as the two operators that it replaces.
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many classes
        raise ValueError(f"{path}: {_refusal(error)}") from error


def _refusal(error: Exception) -> str:
    import onnxruntime

    reason = " ".join(str(error).split())[:1000]
    return (
        f"onnxruntime {onnxruntime.__version__} cannot run it: {reason}; upgrade onnxruntime, or export the model again"
    )


def _padded(lengths: np.ndarray, max_items: int) -> Iterator[Chunk]:
    """Sort sequences by length and pad them, in chunks of at most `max_items` items.

    Yields:
        The indices (R,) of the sequences of a chunk; the places (R, L) of their items among all items, 0 at padding;
        and a mask (R, L), true where there is an item.
    """
    starts, order = np.cumsum(lengths) - lengths, np.argsort(-lengths, kind="stable")
    for chunk in chunks(lengths[order], max_items):
        rows = order[chunk]
        offsets = np.arange(lengths[rows[0]])
        mask = offsets < lengths[rows, np.newaxis]
        yield rows, np.where(mask, starts[rows, np.newaxis] + offsets, 0), mask
