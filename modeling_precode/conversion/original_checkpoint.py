"""Converts the files of the original implementation to a folder that `from_pretrained` loads.

    python -m modeling_precode.conversion.original_checkpoint --wordenc F --sentenc F --contenc F --dec F \
        [--vocab F] [--emotions F] [--pooling_length 60] --output_dir DIR

The original saves a model as four pickled modules, and its vocabulary and emotions as pickled dictionaries. This module
reads them without running any code in them.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from data_scripts.tools.console import printable
from data_scripts.tools.whole_files import check_new_folder, whole_folder

from ..configuration_precode import PreCodeConfig
from ..limits import SHORTEST_UTTERANCE
from ..modeling_precode import (
    PreCodeForConversationCompletion,
    PreCodeForUtteranceClassification,
    PreCodePreTrainedModel,
)
from ..tokenization_precode import PreCodeTokenizer
from .restricted_pickle import Record, read_pickle, rebuild_tensor

# In the original, every utterance has this many tokens, padding included, and pooling covers all of them.
ORIGINAL_POOLING_LENGTH = 60


def _gru(theirs: str, ours: str) -> dict[str, str]:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    tensors = [f"{kind}_l0{direction}" for kind in kinds for direction in ("", "_reverse")]
    return {f"{theirs}.{tensor}": f"{ours}.{tensor}" for tensor in tensors}


def _linear(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{tensor}": f"{ours}.{tensor}" for tensor in ("weight", "bias")}


_UTTERANCE_ENCODER = "precode.utterance_encoder"
_ONE_GRU = _gru("sentEnc.gru", f"{_UTTERANCE_ENCODER}.gru") | _linear("output1.0", f"{_UTTERANCE_ENCODER}.projection")

# For each class of the original, the new name of each of its tensors.
TENSOR_NAMES = {
    "wordEncoder": {"embedding.weight": f"{_UTTERANCE_ENCODER}.word_embedding.weight"},
    "sentEncoder": _ONE_GRU,
    "sentGRUEncoder": _ONE_GRU,
    "sentGRU2LEncoder": _ONE_GRU | _gru("sentEnc2.gru", f"{_UTTERANCE_ENCODER}.second_gru"),
    "contEncoder": _gru("contEnc", "precode.conversation_encoder.gru"),
    "biLM": _linear("cont_embed.0", "context_projection"),
    "mlpDecoder": _linear("output1.0", "classifier.dense") | _linear("output1.2", "classifier.output"),
}
UTTERANCE_ENCODERS = {"sentEncoder": "gru", "sentGRUEncoder": "gru2", "sentGRU2LEncoder": "stacked_gru"}
# The classes that the files of the original name, in any module: `__main__.Dictionary`, `Modules.biLM`.
CLASS_NAMES = {*TENSOR_NAMES, "GRUtrans", "Dictionary"}
HEADS = {"biLM": PreCodeForConversationCompletion, "mlpDecoder": PreCodeForUtteranceClassification}


class OriginalModule(NamedTuple):
    """A module of the original: its file, its class, its tensors by their new names, and two settings."""

    path: Path
    class_name: str
    tensors: dict[str, Tensor]
    is_frozen: bool
    embedding_max_norm: float | None


def convert_original_checkpoint(
    wordenc: str | Path,
    sentenc: str | Path,
    contenc: str | Path,
    dec: str | Path,
    output_dir: str | Path,
    vocab: str | Path | None = None,
    emotions: str | Path | None = None,
    pooling_length: int = ORIGINAL_POOLING_LENGTH,
):
    """Convert an original model to a folder, and check the folder by loading it.

    Args:
        wordenc: The pickled word embedding of the original.
        sentenc: The pickled utterance encoder, of any of the three kinds.
        contenc: The pickled conversation encoder.
        dec: The pickled head, for Conversation Completion or for emotion recognition.
        output_dir: The folder to create. After an error, nothing is written.
        vocab: The pickled vocabulary (`glob_vocab.pt`). Without it, the folder has no tokenizer.
        emotions: The pickled emotion dictionary (`<corpus>_emodict.pt`). Without it, the labels are `LABEL_0` and so
            on.
        pooling_length: The number of tokens to which the original padded or cut an utterance, and over which it pooled.
            No file contains this number. With a vocabulary, it is at least 2.

    Raises:
        FileExistsError: `output_dir` is a file, or is not empty.
        FileNotFoundError: An input file does not exist.
        ValueError: An input file has other content, or the files do not belong together.
    """
    # The original cuts utterances at this length, and a tokenizer that cuts at one token is refused.
    least = 1 if vocab is None else SHORTEST_UTTERANCE
    if pooling_length < least:
        raise ValueError(f"pooling_length must be at least {least}; got {pooling_length}")
    output_dir = check_new_folder(output_dir)
    words = _read_module("wordenc", Path(wordenc), ["wordEncoder"])
    utterances = _read_module("sentenc", Path(sentenc), list(UTTERANCE_ENCODERS))
    conversation = _read_module("contenc", Path(contenc), ["contEncoder"])
    head = _read_module("dec", Path(dec), list(HEADS))
    config = _config(words, utterances, conversation, head, pooling_length)
    if emotions is not None:
        _set_labels(config, Path(emotions), head)
    tokenizer = None if vocab is None else _tokenizer(Path(vocab), words)
    if tokenizer is not None:
        tokenizer.model_max_length = pooling_length  # the original cuts utterances at the length to which it pads them

    model = HEADS[head.class_name](config)
    modules = (words, utterances, conversation, head)
    _check_shapes(modules, model.state_dict())
    tensors = {name: tensor for module in modules for name, tensor in module.tensors.items()}
    model.load_state_dict(tensors)
    with whole_folder(output_dir, replace=False) as folder:
        model.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        _check_reloaded(folder, type(model), tensors, tokenizer)


def _read_module(argument: str, path: Path, class_names: list[str]) -> OriginalModule:
    record, storages = read_pickle(path, CLASS_NAMES)
    class_name = record.name if isinstance(record, Record) else type(record).__name__
    if class_name not in class_names:
        raise ValueError(f"{path} contains {class_name}; --{argument} takes {' or '.join(class_names)}")
    try:
        parameters = {name: rebuild_tensor(parameter, storages) for name, parameter in _parameters(record)}
        embedding = record.state["_modules"].get("embedding")
        max_norm = None if embedding is None else embedding.state["max_norm"]
        max_norm = None if max_norm is None else float(max_norm)
    except Exception as error:
        # A file that is not a module can fail in any way.
        raise ValueError(f"{path} contains a {class_name} that cannot be read ({str(error)!r})") from error
    names = TENSOR_NAMES[class_name]
    if parameters.keys() != names.keys():
        odd = ", ".join(sorted(map(repr, parameters.keys() ^ names.keys())))
        raise ValueError(f"{path} contains a {class_name} with missing or unexpected tensors: {odd}")
    for name, (tensor, _) in parameters.items():
        if tensor.ndim != (1 if "bias" in name else 2) or tensor.numel() == 0:
            raise ValueError(f"{path} contains a {name} of the invalid shape {tuple(tensor.shape)}")
        if not tensor.isfinite().all():
            number = tensor[~tensor.isfinite()][0].item()
            raise ValueError(f"{path} contains a {name} with the number {number}, which is not finite; train it again")
    is_frozen = not any(requires_grad for _, requires_grad in parameters.values())
    tensors = {names[name]: tensor for name, (tensor, _) in parameters.items()}
    return OriginalModule(path, class_name, tensors, is_frozen, max_norm)


def _parameters(module: Record, prefix: str = "") -> Iterator[tuple[str, Record]]:
    """The records of the parameters of a pickled module, with their names."""
    for name, parameter in module.state["_parameters"].items():
        if parameter is not None:
            yield prefix + name, parameter
    for name, child in module.state["_modules"].items():
        yield from _parameters(child, f"{prefix}{name}.")


def _config(
    words: OriginalModule,
    utterances: OriginalModule,
    conversation: OriginalModule,
    head: OriginalModule,
    pooling_length: int,
) -> PreCodeConfig:
    vocab_size, word_vector_size = words.tensors[f"{_UTTERANCE_ENCODER}.word_embedding.weight"].shape
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "word_vector_size": word_vector_size,
        "utterance_hidden_size": len(utterances.tensors[f"{_UTTERANCE_ENCODER}.projection.bias"]),
        "conversation_hidden_size": conversation.tensors["precode.conversation_encoder.gru.weight_hh_l0"].shape[1],
    }
    if head.class_name == "mlpDecoder":
        sizes["classifier_hidden_size"] = len(head.tensors["classifier.dense.bias"])
        sizes["num_labels"] = len(head.tensors["classifier.output.bias"])
    return PreCodeConfig(
        **sizes,
        word_vector_max_norm=words.embedding_max_norm,
        freeze_word_vectors=words.is_frozen,
        utterance_encoder=UTTERANCE_ENCODERS[utterances.class_name],
        pooling_length=pooling_length,
        convcom_objective="sampled_bce",
    )


def _set_labels(config: PreCodeConfig, path: Path, head: OriginalModule):
    labels = _read_dictionary(path)
    if head.class_name != "mlpDecoder":
        raise ValueError(f"--emotions: {head.path} is a head for Conversation Completion and has no labels; omit it")
    if len(labels) != config.num_labels:
        raise ValueError(f"{path} has {len(labels)} emotions, but {head.path} has {config.num_labels} classes")
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}


def _tokenizer(path: Path, embedding: OriginalModule) -> PreCodeTokenizer:
    words = _read_dictionary(path)
    vectors = len(embedding.tensors[f"{_UTTERANCE_ENCODER}.word_embedding.weight"])
    if len(words) != vectors:
        raise ValueError(f"{path} has {len(words)} words, but {embedding.path} has {vectors} word vectors")
    try:
        return PreCodeTokenizer.from_vocabulary(words, text_mode="original")
    except ValueError as error:
        raise ValueError(f"{path} is not a vocabulary of the original: {error}") from None


def _read_dictionary(path: Path) -> list[str]:
    """The words of a pickled `Dictionary` of the original, in the order of their ids."""
    record, _ = read_pickle(path, CLASS_NAMES)
    state = record.state if isinstance(record, Record) else None
    words = state.get("index2word") if isinstance(state, dict) else None
    if not isinstance(words, dict):
        raise ValueError(f"{path} is not a Dictionary of the original")
    if set(words) != set(range(len(words))) or not all(isinstance(word, str) for word in words.values()):
        raise ValueError(f"{path} contains a Dictionary whose word ids are not 0, 1, 2 and so on")
    if len(set(words.values())) != len(words):
        raise ValueError(f"{path} contains a Dictionary with two ids for one word")
    return [words[index] for index in range(len(words))]


def _check_shapes(modules: Iterable[OriginalModule], expected: dict[str, Tensor]):
    for module in modules:
        for name, tensor in module.tensors.items():
            if tensor.shape != expected[name].shape:
                raise ValueError(
                    f"{module.path} does not belong to the other files: its {name} has the shape "
                    f"{tuple(tensor.shape)}; the other files need {tuple(expected[name].shape)}"
                )


def _check_reloaded(
    folder: Path,
    model_class: type[PreCodePreTrainedModel],
    tensors: dict[str, Tensor],
    tokenizer: PreCodeTokenizer | None,
):
    loaded = model_class.from_pretrained(folder).state_dict()
    different = [name for name, tensor in tensors.items() if not torch.equal(loaded[name], tensor)]
    if tokenizer is not None and PreCodeTokenizer.from_pretrained(folder).get_vocab() != tokenizer.get_vocab():
        different.append("the vocabulary")
    if different:
        raise ValueError(f"the converted files differ after loading: {', '.join(different)}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Return 0 if the folder was created, else 1 after a one-line error."""
    parser = argparse.ArgumentParser(description="Convert an original Pre-CODE model to a Hugging Face folder.")
    for name, what in {
        "wordenc": "pickled word embedding",
        "sentenc": "pickled utterance encoder",
        "contenc": "pickled conversation encoder",
        "dec": "pickled head: biLM (Conversation Completion) or mlpDecoder (emotion recognition)",
        "output_dir": "folder to create; new or empty",
    }.items():
        parser.add_argument(f"--{name}", required=True, help=what)
    parser.add_argument("--vocab", help="pickled vocabulary, glob_vocab.pt; without it, the folder has no tokenizer")
    parser.add_argument("--emotions", help="pickled emotion dictionary, <corpus>_emodict.pt, with the label names")
    parser.add_argument(
        "--pooling_length",
        type=int,
        default=ORIGINAL_POOLING_LENGTH,
        help="number of tokens to which the original padded or cut an utterance (default: %(default)s)",
    )
    options = vars(parser.parse_args(arguments))
    try:
        convert_original_checkpoint(**options)
    except (OSError, ValueError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    print(f"Wrote {printable(options['output_dir'])} and checked it by loading it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
