"""Exports a model to ONNX: `export_onnx` writes a folder that `modeling_precode.onnx_runtime` runs without torch."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.export import Dim

from data_scripts.tools.whole_files import check_new_folder, whole_folder, write_json

from ..limits import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from ..modeling_precode import PreCodeForUtteranceClassification
from ..onnx_runtime.config import (
    CONFIG_FILE,
    CONVERSATION_GRAPH,
    FORMAT_VERSION,
    UTTERANCE_GRAPH,
)
from ..onnx_runtime.pipeline import OnnxEmotionPipeline
from ..pipeline_precode import ConversationEmotionPipeline
from ..version import __version__
from . import ALLOWED_LOSS
from .onnx_card import write_card
from .onnx_comparison import Comparison, check_corpus, compare
from .onnx_graphs import DialogueEncoderGraph, TextEncoderGraph, graphs_of

QUANTIZATIONS = ("int8",)
# The version of ONNX's operators.
OPSET = 20


def export_onnx(
    emotions: ConversationEmotionPipeline,
    folder: str | Path,
    dialogues: Dataset,
    *,
    corpus: str = "custom",
    quantization: str | None = None,
    allowed_loss: float = ALLOWED_LOSS,
    revision: str | None = None,
) -> Comparison:
    """Export the model and the tokenizer of a pipeline to ONNX, and compare the result with the pipeline.

    The folder contains the graphs of the utterance encoder and of the conversation encoder with its head, the settings,
    the tokenizer and a card. It is written completely or not at all.

    Args:
        emotions: `pipeline("conversation-emotion", model=...)`.
        folder: The folder to write, which must be new or empty.
        dialogues: A labeled split for the comparison, as `load_corpus` returns it.
        corpus: The name of the corpus, for the card.
        quantization: `"int8"` for weights and products in 8 bits; `None` for float32.
        allowed_loss: The weighted F1, in points, that quantization may lose.
        revision: The branch, tag or commit that a model on the Hub was loaded from, for its card.

    Raises:
        FileExistsError: The folder is a file, or is not empty.
        ValueError: The model cannot be exported, the exported model has other results, or quantization loses more than
            `allowed_loss`.
    """
    folder = check_new_folder(folder)
    if quantization not in (None, *QUANTIZATIONS):
        raise ValueError(f"quantization must be one of {', '.join(QUANTIZATIONS)} or None; got {quantization!r}")
    if not hasattr(torch.onnx, "ops"):
        raise ValueError(f"the export to ONNX needs torch 2.8 or newer; this is torch {torch.__version__}")
    model = emotions.model.eval()
    if model.device.type != "cpu" or model.dtype != torch.float32:
        raise ValueError(
            f"the model must be on the CPU and in float32; got {model.device} and {model.dtype}; use "
            "pipeline(..., device='cpu', dtype=torch.float32)"
        )
    if quantization:
        check_corpus(emotions, dialogues, corpus)
    with whole_folder(folder, replace=False) as partial:
        _write_tokenizer(emotions, partial)
        write_json(partial / CONFIG_FILE, _settings(emotions, quantization))
        _write_graphs(model, partial)
        comparison = compare(emotions, OnnxEmotionPipeline(partial), dialogues)
        comparison.check_numbers()
        if quantization:
            from .onnx_quantization import quantize

            with _quiet():
                quantize(partial / UTTERANCE_GRAPH)
            comparison = compare(emotions, OnnxEmotionPipeline(partial), dialogues)
            comparison.check_labels(corpus, allowed_loss)
        write_card(partial, folder.name, emotions, comparison, corpus, quantization, revision)
    return comparison


def _write_graphs(model: PreCodeForUtteranceClassification, folder: Path) -> None:
    config = model.config
    utterances, conversations = graphs_of(model)
    tokens, count, length = Dim("tokens", max=model.max_utterance_tokens), Dim("utterances"), Dim("length")
    # An exporter takes a size of 1 in its example for one that never changes.
    lengths = torch.tensor([4, 3, 2])
    ids = torch.zeros(3, 4, dtype=torch.long)
    inputs, axes = {"input_ids": ids, "lengths": lengths}, {"input_ids": {0: count, 1: tokens}, "lengths": {0: count}}
    if config.text_context == "dialogue":
        inputs["members"], axes["members"] = torch.zeros(3, 2, 4), {0: count, 1: Dim("members"), 2: tokens}
        if config.causal:
            # A copy, because the exporter takes a tensor that occurs twice for one input.
            inputs["utterances"], axes["utterances"] = ids.clone(), axes["input_ids"]
    with _named_refusal(config, utterances):
        _write_graph(utterances, inputs, axes, ["vectors"], folder / UTTERANCE_GRAPH)
    outputs, dialogues = ["logits"], Dim("dialogues")
    inputs = {"vectors": torch.zeros(3, 4, config.utterance_hidden_size), "lengths": lengths}
    axes = {"vectors": {0: dialogues, 1: length}, "lengths": {0: dialogues}}
    if config.max_speakers:
        inputs["speaker_ids"], axes["speaker_ids"] = ids, {0: dialogues, 1: length}
    if config.causal:
        inputs["state"], axes["state"] = torch.zeros(3, config.conversation_hidden_size), {0: dialogues}
        outputs.append("last_state")
    _write_graph(conversations, inputs, axes, outputs, folder / CONVERSATION_GRAPH)


def _write_graph(
    graph: nn.Module, inputs: dict[str, Tensor], axes: dict[str, dict[int, Any]], outputs: list[str], path: Path
) -> None:
    with torch.no_grad(), _quiet():
        torch.onnx.export(
            graph.eval(),
            (),
            path,
            kwargs=inputs,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextmanager
def _named_refusal(config: Any, graph: nn.Module) -> Iterator[None]:
    """Name the part that the exporter cannot convert."""
    try:
        yield
    except Exception as error:  # the exporter raises many classes
        part = f"utterance_encoder {config.utterance_encoder!r}"
        if isinstance(graph, TextEncoderGraph | DialogueEncoderGraph):
            part = f"a text encoder of the kind {config.text_config.model_type!r}"
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ValueError(f"{part} cannot be exported to ONNX: {type(error).__name__}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what exporter and quantization say about themselves. Faults are exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _write_tokenizer(emotions: ConversationEmotionPipeline, folder: Path) -> None:
    name = type(emotions.tokenizer).__name__
    with tempfile.TemporaryDirectory() as saved:
        emotions.tokenizer.save_pretrained(saved)
        if not Path(saved, TOKENIZER_FILE).is_file():
            raise ValueError(f"a tokenizer of the kind {name} has no {TOKENIZER_FILE} and cannot be exported")
        # Without the code that a checkpoint contains.
        for file in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
            shutil.copyfile(Path(saved, file), folder / file)


def _settings(emotions: ConversationEmotionPipeline, quantization: str | None) -> dict[str, Any]:
    config = emotions.model.config
    settings = config.to_dict()
    for name in ("auto_map", "custom_pipelines"):
        del settings[name]
    # Do not publish local paths.
    for part in (settings, settings.get("text_config") or {}):
        part.pop("_name_or_path", None)
    names = ["temperature", "causal", "max_speakers", "speaker_prefix"]
    names += ["utterance_hidden_size", "conversation_hidden_size"]
    windows = {}
    if config.text_context == "dialogue":
        names += ["text_context", "start_token_id", "separator_token_id"]
        windows = {"max_window_tokens": emotions.model.max_utterance_tokens}
    settings["onnx"] = {
        "format_version": FORMAT_VERSION,
        "precode_version": __version__,
        "quantization": quantization,
        "max_utterance_tokens": emotions.max_utterance_tokens,
        **{name: getattr(config, name) for name in names},
        **windows,
    }
    return settings
