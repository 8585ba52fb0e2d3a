"""Text encoders of transformers for tests: tiny ones with weights at random and their tokenizers, and a real one."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer
from transformers import (
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

SPECIAL = {
    **{"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
    "mask_token": "[MASK]",
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
# What distinguishes DeBERTa-v3 from its predecessors: positions are only relative, and nothing is added for them.
DEBERTA_V3 = {
    **{"relative_attention": True, "position_biased_input": False, "position_buckets": 256, "type_vocab_size": 0},
    **{"share_att_key": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm"},
}
KINDS: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": lambda **more: BertConfig(**SIZES, **more),
    "roberta": lambda **more: RobertaConfig(**SIZES, max_position_embeddings=512, **more),
    "distilbert": lambda **more: DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=24, **more),
    "deberta-v2": lambda **more: DebertaV2Config(**SIZES, **DEBERTA_V3, **more),
    "mpnet": lambda **more: MPNetConfig(**SIZES, max_position_embeddings=512, **more),
    "xlm-roberta": lambda **more: XLMRobertaConfig(**SIZES, max_position_embeddings=512, **more),
    # Its second layer sees fewer tokens than a test's dialogue has.
    "modernbert": lambda **more: ModernBertConfig(
        **SIZES, local_attention=16, bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None, **more
    ),
}


def write_text_encoder(folder: Path, texts: list[str], kind: str = "bert", pad_token_id: int = 0) -> Path:
    """A folder as a person has it: a tiny encoder, and a word-piece tokenizer that is learned from the texts."""
    tokens = [*SPECIAL.values()]
    tokens.insert(pad_token_id, tokens.pop(0))
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(texts, WordPieceTrainer(vocab_size=300, special_tokens=tokens, show_progress=False))
    special = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=128, **SPECIAL)
    torch.manual_seed(0)
    config = KINDS[kind](vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_multilingual_encoder(folder: Path, texts: list[str]) -> Path:
    """A tiny XLM-RoBERTa, and a tokenizer of pieces of any script that is learned from the texts."""
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokens = [*special.values()]
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(vocab_size=400, special_tokens=tokens, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=128, cls_token="<s>", sep_token="</s>", **special
    )
    torch.manual_seed(0)
    config = XLMRobertaConfig(**SIZES, vocab_size=len(tokenizer), pad_token_id=1, max_position_embeddings=512)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
