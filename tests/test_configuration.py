"""What a configuration promises: it keeps its numbers, and refuses those that make no model."""

import pytest
from transformers import BertConfig, T5Config

from modeling_precode import SIZES, PreCodeConfig


def test_it_comes_back_from_a_folder_as_it_was_saved(tmp_path):
    config = PreCodeConfig(
        vocab_size=7, utterance_encoder="gru", pooling_length=60, class_weights=[0.5, 0.5], dropout=0
    )
    config.save_pretrained(tmp_path)
    assert PreCodeConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


def test_the_papers_sizes():
    assert SIZES == {"small": 150, "mid": 300, "large": 450}
    assert PreCodeConfig().hidden_size == 300


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"utterance_encoder": "lstm"},
            "utterance_encoder` must be one of gru, gru2, stacked_gru, text_encoder; got 'lstm'",
        ),
        ({"convcom_objective": "mlm"}, "convcom_objective` must be one of in_batch_softmax, sampled_bce; got 'mlm'"),
        ({"dropout": 1.0}, "dropout` must be at least 0 and less than 1; got 1.0"),
        ({"pooling_length": 0}, "pooling_length` must be at least 1; got 0"),
        ({"utterance_hidden_size": -3}, "utterance_hidden_size` must be at least 1; got -3"),
    ],
)
def test_a_wrong_setting_is_named(setting, message):
    with pytest.raises(Exception, match=message):
        PreCodeConfig(**setting)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"utterance_encoder": "text_encoder"}, "needs a `text_config`; got None; .*from_utterance_encoder"),
        ({"text_config": BertConfig()}, "`text_config` is for `utterance_encoder` 'text_encoder'; got 'gru2'"),
        ({"speaker_prefix": True}, "`speaker_prefix` is for"),
        ({"utterance_encoder": "text_encoder", "text_config": T5Config()}, "a 't5' is an encoder with a decoder"),
        (
            {"utterance_encoder": "text_encoder", "text_config": BertConfig(), "text_pooling": "sum"},
            "`text_pooling` must be one of mean, cls, max_mean; got 'sum'",
        ),
    ],
)
def test_a_wrong_setting_of_a_text_encoder_is_named(settings, message):
    with pytest.raises(Exception, match=message):
        PreCodeConfig(**settings)


def test_a_configuration_without_what_dialogues_need_is_refused(tiny_config):
    with pytest.raises(Exception, match="`text_context` is for `utterance_encoder` 'text_encoder'; got 'gru2'"):
        tiny_config(text_context="dialogue")
    text = {"utterance_encoder": "text_encoder", "text_config": BertConfig()}
    with pytest.raises(Exception, match="`start_token_id` must be the id of a token .*; got None; .*from_pretrained"):
        PreCodeConfig(text_context="dialogue", **text)
