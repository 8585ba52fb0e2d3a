"""What the arguments of both scripts promise: each does something or is refused, and a file repeats a run."""

import json
import sys

import datasets
import pytest
import yaml
from corpus_of_topics import write_corpus
from safetensors.torch import load_file
from text_encoders import write_text_encoder
from tiny import WORDS
from transformers import AutoTokenizer, TrainingArguments

import run_finetune
import run_pretrain
from modeling_precode import PreCodeConfig, PreCodeForConversationCompletion, PreCodeTokenizer
from modeling_precode.cli.main import main as precode
from modeling_precode.training.arguments import PARTS, CorpusArguments, EncoderArguments, check_output_dir
from modeling_precode.training.finetuning_arguments import UtteranceClassificationArguments
from modeling_precode.training.fingerprint import changes
from modeling_precode.training.original_recipe import finetuning_settings
from modeling_precode.training.parsing import ScriptParser, parse_arguments, write_config
from modeling_precode.training.pretraining_arguments import ConversationCompletionArguments
from modeling_precode.training.starting import build_model, build_tokenizer, load_splits

pytestmark = pytest.mark.usefixtures("no_state_of_another_test")

TINY = "--hidden_size 8 --word_vector_size 8"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), sizes=(("train", 40), ("validation", 16), ("test", 16)))


@pytest.fixture
def train(corpus, tmp_path):
    """`train(script, arguments, folder)` -> the output folder."""

    def run(script, arguments: str, folder: str = "output"):
        data = f"--corpus custom --data_dir {corpus} --output_dir {tmp_path / folder}"
        script.main([*data.split(), *arguments.split()])
        return tmp_path / folder

    return run


def test_one_seed_is_given_as_a_user_of_trainer_gives_it(train):
    folder = train(run_finetune, f"{TINY} --seed 42 --num_train_epochs 1")
    assert (folder / "seed_42").is_dir() and not (folder / "seed_1").exists()
    with pytest.raises(ValueError, match="--seed 3 and --seeds 1 2: leave one of them out"):
        UtteranceClassificationArguments(seed=3, seeds=[1, 2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size must be at least 1; got 0"),
        ({"per_device_eval_batch_size": 0}, "--per_device_eval_batch_size must be at least 1; got 0"),
        ({"max_grad_norm": -1}, "--max_grad_norm must be at least 0, which is no limit; got -1"),
        (
            {"optim": "schedule_free_adamw"},
            "--optim schedule_free_adamw: .*; give an optimizer with a schedule, such as",
        ),
        ({"eval_strategy": "no"}, "--eval_strategy no: the checkpoint is chosen by evaluations; give epoch or steps"),
        ({"eval_strategy": "steps", "save_strategy": "epoch"}, "--save_strategy epoch: not every evaluation"),
        ({"eval_steps": 3}, "--eval_steps 3: this is for --eval_strategy steps; give that too, or leave this out"),
        ({"save_steps": 7}, "--save_steps 7: this is for --eval_strategy steps"),
        ({"logging_steps": 1}, "--logging_steps 1: this is for --logging_strategy steps"),
        ({"group_by_length": True}, "unexpected keyword"),
        ({"torch_compile": True}, "--torch_compile True: this does not work here; leave it out"),
        ({"dataloader_drop_last": True}, "--dataloader_drop_last True: this does not work here"),
        ({"recipe": "original", "fp16": True}, "--fp16 cannot be used with --recipe original, .*; give --bf16"),
        (
            {"recipe": "original", "metric_for_best_model": "loss"},
            "--recipe original .* highest metric; got --metric_for_best_model loss, .*; leave one of them out",
        ),
        ({"skip_memory_metrics": False}, "--skip_memory_metrics False: this does not work here"),
    ],
)
def test_what_would_do_nothing_or_harm_is_refused_by_name(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        UtteranceClassificationArguments(**settings)


def test_a_device_that_was_not_chosen_is_not_saved_and_may_change(monkeypatch):
    here = UtteranceClassificationArguments()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    launched = UtteranceClassificationArguments()
    assert launched.use_cpu and "use_cpu" not in launched.saved_names
    assert changes(here.fingerprint(), launched.fingerprint()) == ""
    assert "use_cpu" in UtteranceClassificationArguments(use_cpu=True).saved_names


def test_checkpoints_follow_the_evaluations():
    args = UtteranceClassificationArguments(eval_strategy="steps", eval_steps=7)
    assert (args.save_strategy, args.save_steps) == ("steps", 7)


@pytest.mark.parametrize(("metric", "greater"), [("eval_weighted_f1", True), ("eval_loss", False), ("loss", False)])
def test_a_metric_may_be_named_as_trainer_names_it(metric, greater):
    args = UtteranceClassificationArguments(metric_for_best_model=metric)
    assert args.metric_for_best_model == metric.removeprefix("eval_") and args.greater_is_better is greater


def test_the_loss_can_choose_the_checkpoint(train):
    folder = train(run_finetune, f"{TINY} --num_train_epochs 2 --metric_for_best_model eval_loss")
    results = json.loads((folder / "results.json").read_text())
    losses = [record["eval_loss"] for record in results["history"] if "eval_loss" in record]
    assert results["scores"]["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("script", "length"), [(run_pretrain, "--max_steps 2"), (run_finetune, "--num_train_epochs 1")]
)
def test_resuming_is_asked_for_as_a_user_of_trainer_does(train, script, length):
    command = f"{TINY} {length} --resume_from_checkpoint True"
    folder = train(script, command)
    weights = load_file(folder / "model.safetensors")
    assert train(script, command) == folder
    again = load_file(folder / "model.safetensors")
    assert all((weights[name] == again[name]).all() for name in weights)


def test_a_checkpoint_is_scored_and_not_trained(train, tmp_path, caplog):
    caplog.set_level("INFO")
    trained = train(run_finetune, f"{TINY} --num_train_epochs 2 --learning_rate 0.01")
    scored = train(run_finetune, f"--model {trained} --do_eval --do_predict", "scored")
    expected = json.loads((trained / "results.json").read_text())["scores"]
    assert json.loads((scored / "scores.json").read_text()) == expected
    assert not (scored / "model.safetensors").exists() and not (scored / "seed_1").exists()
    run_finetune.main(["--config", f"{scored}/run.yaml", "--output_dir", f"{tmp_path}/again"])
    assert (tmp_path / "again" / "scores.json").read_bytes() == (scored / "scores.json").read_bytes()
    caplog.clear()
    train(run_finetune, f"--model {trained} --do_train false --do_predict", "test_only")
    assert set(json.loads((tmp_path / "test_only" / "scores.json").read_text())) == {"test"}


def test_labels_that_differ_are_told_and_never_scored(train, tmp_path, caplog):
    caplog.set_level("INFO")
    trained = train(run_finetune, f"{TINY} --num_train_epochs 1")
    rows = [{"utterances": ["so", "very"], "labels": ["glee", "gloom"]}] * 40
    (tmp_path / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = f"--corpus custom --data_dir {tmp_path / 'other.jsonl'} --model {trained}"
    with pytest.raises(ValueError, match="labels anger, joy, neutral; the corpus has glee, gloom"):
        run_finetune.main([*other.split(), "--do_predict", "--output_dir", str(tmp_path / "scored")])
    run_finetune.main([*other.split(), "--num_train_epochs", "1", "--output_dir", str(tmp_path / "new_head")])
    assert "has the labels anger, joy, neutral; the head for glee, gloom is new" in caplog.text


def test_scoring_needs_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="score a checkpoint: give one with --model"):
        run_finetune.main(["--do_eval", "--output_dir", str(tmp_path / "out")])


def test_scoring_pushes_nothing(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=f"--push_to_hub is for a run that trains; .* precode push {checkpoint}"):
        start = ["--model", str(checkpoint), "--output_dir", str(tmp_path / "out")]
        run_finetune.main([*start, "--do_predict", "--push_to_hub"])


@pytest.mark.parametrize("mode", ["clean", "unicode"])  # unicode is the default
def test_a_tokenizer_keeps_its_own_text_mode(train, tmp_path, mode):
    PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", "cake", "party"], "original").save_pretrained(tmp_path / "t")
    PreCodeConfig(vocab_size=4).save_pretrained(tmp_path / "t")
    with pytest.raises(ValueError, match=f"--text_mode {mode}: the tokenizer of .* normalizes text as 'original'"):
        train(run_pretrain, f"{TINY} --max_steps 1 --tokenizer {tmp_path / 't'} --text_mode {mode}")


def test_a_default_that_is_asked_for_is_refused_where_it_has_no_effect(checkpoint, tmp_path):
    start = f"--model {checkpoint} --output_dir {tmp_path / 'output'}"
    for option in ("--size small", "--size=small", "--min_count 2"):
        with pytest.raises(ValueError, match=f"{option[:6]}.* is for a model from scratch; leave it out with --model"):
            run_finetune.main([*start.split(), *option.split()])


@pytest.mark.parametrize("parts", [["word_vectors"], list(PARTS)])
def test_parts_to_transfer_are_refused_without_a_checkpoint_to_take_them_from(parts):
    args = EncoderArguments(transferred_parts=parts)
    args.requested = {"transferred_parts"}
    with pytest.raises(ValueError, match="--transferred_parts is for a checkpoint; give one with --model, or leave it"):
        build_tokenizer(args, datasets.Dataset.from_dict({"utterances": [["so"]]}))


def test_word_vectors_that_are_not_transferred_are_trained(tiny_config, tmp_path):
    PreCodeForConversationCompletion(tiny_config(freeze_word_vectors=True)).save_pretrained(tmp_path / "start")
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *WORDS], "clean")
    for options, frozen in (("", True), (PARTS[1], False), (f"{PARTS[1]} --freeze_word_vectors true", True)):
        parts = f"--transferred_parts {options}" if options else ""
        args = read_arguments(f"--model {tmp_path / 'start'} {parts}")[1]
        model = build_model(args, PreCodeForConversationCompletion, tokenizer, seed=1)
        assert model.config.freeze_word_vectors is frozen
        assert model.get_input_embeddings().weight.requires_grad is not frozen


@pytest.mark.parametrize("option", ["--freeze_text_encoder", "--text_context dialogue", "--max_window_tokens 64"])
def test_an_option_of_a_text_encoder_is_refused_over_words(option):
    args = read_arguments(option)[1]
    tokenizer = PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *WORDS], "clean")
    with pytest.raises(ValueError, match=f"{option.split()[0]} .*: this is for a text encoder; give one with --text_e"):
        build_model(args, PreCodeForConversationCompletion, tokenizer, seed=1)


def test_a_setting_that_a_configuration_refuses_is_told_without_the_name_of_its_check(checkpoint, tmp_path):
    start = f"finetune --corpus sample --model {checkpoint} --output_dir {tmp_path / 'output'}"
    with pytest.raises(SystemExit, match="^error: `text_context` is for `utterance_encoder`"):
        precode([*start.split(), "--text_context", "dialogue"])


def test_a_folder_with_nothing_but_a_lock_is_a_new_one(tmp_path):
    (tmp_path / "run" / "seed_1" / ".run").mkdir(parents=True)
    (tmp_path / "run" / ".run").mkdir()
    for lock in (tmp_path / "run" / ".run" / "lock", tmp_path / "run" / "seed_1" / ".run" / "lock"):
        lock.touch()
    check_output_dir(str(tmp_path / "run"), overwrite=False, resume=None)
    (tmp_path / "run" / "seed_1" / "notes").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        check_output_dir(str(tmp_path / "run"), overwrite=False, resume=None)


def test_freezing_word_vectors_is_refused_for_a_text_encoder_unless_a_recipe_does_it(tmp_path):
    encoder = write_text_encoder(tmp_path / "encoder", WORDS)
    sizes = {"utterance_hidden_size": 4, "conversation_hidden_size": 4}
    PreCodeForConversationCompletion.from_utterance_encoder(encoder, **sizes).save_pretrained(tmp_path / "start")
    start, tokenizer = f"--model {tmp_path / 'start'}", AutoTokenizer.from_pretrained(encoder)
    for value in ("true", "false"):
        args = read_arguments(f"{start} --freeze_word_vectors {value}")[1]
        message = f"--freeze_word_vectors {value}: .* text encoder; give --freeze_text_encoder {value}"
        with pytest.raises(ValueError, match=message):
            build_model(args, PreCodeForConversationCompletion, tokenizer, seed=1)
    args = read_arguments(f"{start} --recipe original")[1]
    build_model(args, PreCodeForConversationCompletion, tokenizer, seed=1)


def test_the_forward_half_of_an_encoder_is_a_start_for_a_causal_one(train):
    both = train(run_pretrain, f"{TINY} --max_steps 2", "both")
    folder = train(run_finetune, f"--model {both} --causal --num_train_epochs 1 --learning_rate 1e-12", "causal")
    names = [name for name in load_file(both / "model.safetensors") if "conversation_encoder.gru" in name]
    before, after = (load_file(path / "model.safetensors") for path in (both, folder))
    kept = [name for name in names if name in after]
    assert json.loads((folder / "config.json").read_text())["causal"] is True
    assert 0 < len(kept) < len(names)
    assert all((before[name] - after[name]).abs().max() < 1e-6 for name in kept)


def test_a_file_repeats_a_run(train, tmp_path):
    first = train(run_finetune, f"{TINY} --seeds 2 --num_train_epochs 1 --class_weight_rate 0.5", "first")
    content = yaml.safe_load((first / "run.yaml").read_text())
    assert content["seeds"] == [2] and content["class_weight_rate"] == 0.5 and "hub_token" not in content
    run_finetune.main(["--config", str(first / "run.yaml"), "--output_dir", str(tmp_path / "again")])
    one, other = (load_file(folder / "model.safetensors") for folder in (first, tmp_path / "again"))
    assert all((one[name] == other[name]).all() for name in one)
    config = tmp_path / "run.json"
    config.write_text(json.dumps({**content, "output_dir": str(tmp_path / "json")}))
    run_finetune.main(["--config", str(config)])
    assert (tmp_path / "json" / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()


def read_arguments(command):
    parser = ScriptParser((CorpusArguments, EncoderArguments, UtteranceClassificationArguments), {}, "test", "")
    return parse_arguments(parser, finetuning_settings, command.split())


@pytest.mark.parametrize(
    ("first", "change", "name", "value"),
    [
        ("", "--metric_for_best_model loss", "greater_is_better", False),
        ("", "--eval_strategy steps --eval_steps 5", "save_strategy", "steps"),
        ("--eval_strategy steps --eval_steps 5", "--eval_steps 7", "save_steps", 7),
        ("--eval_strategy steps --logging_steps 5", "--logging_steps 7", "eval_steps", 7),
        ("--seeds 1 2 3", "--seed 7", "seeds", [7]),
        ("--seed 7", "--seeds 1 2", "seeds", [1, 2]),
        ("--recipe original", "--seed 7", "seeds", [7]),
        ("--push_to_hub --hub_strategy best", "", "hub_strategy", "best"),
    ],
)
def test_an_argument_takes_precedence_over_a_file_with_all_that_follows_from_it(tmp_path, first, change, name, value):
    parsed = read_arguments(first)
    write_config(tmp_path, *parsed)
    assert read_arguments(f"--config {tmp_path}/run.yaml")[2].to_dict() == parsed[2].to_dict()
    assert getattr(read_arguments(f"--config {tmp_path}/run.yaml {change}")[2], name) == value


def test_the_default_warm_up_of_a_file_follows_the_number_of_steps(train, tmp_path):
    first = train(run_pretrain, f"{TINY} --max_steps 10", "first")
    run_pretrain.main(["--config", f"{first}/run.yaml", "--max_steps", "20", "--output_dir", f"{tmp_path}/second"])
    results = [json.loads((folder / "pretrain_results.json").read_text()) for folder in (first, tmp_path / "second")]
    assert [one["settings"]["warmup_steps"] for one in results] == [1, 2]


def test_a_file_leaves_to_a_checkpoint_or_tokenizer_what_it_determines(tiny_config, tmp_path):
    PreCodeForConversationCompletion(tiny_config(causal=True)).save_pretrained(tmp_path / "causal")
    PreCodeTokenizer.from_vocabulary(["<pad>", "<unk>", *WORDS], "clean").save_pretrained(tmp_path / "causal")
    for start, name, value in (("model", "causal", True), ("tokenizer", "text_mode", "clean")):
        args = EncoderArguments(**{start: str(tmp_path / "causal")})
        loaded = build_tokenizer(args, datasets.Dataset.from_dict({}))
        build_model(args, PreCodeForConversationCompletion, loaded, seed=1)
        write_config(tmp_path, args)
        content = yaml.safe_load((tmp_path / "run.yaml").read_text())
        assert getattr(args, name) == args.settings().get(name) == value and name not in content and start in content
    write_config(tmp_path, EncoderArguments(causal=True, text_mode="clean"))
    content = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert content["causal"] is True and content["text_mode"] == "clean"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("learning_rat: 1", "unknown argument 'learning_rat'; learning_rate?"),
        ("- 1", "contains a list; write one `name: value` per line"),
        ("a: [", "neither YAML nor JSON"),
        ("batch_size: many", "invalid int value: 'many'"),
    ],
)
def test_a_broken_file_of_arguments_is_named(tmp_path, content, message):
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        run_pretrain.main(["--config", str(tmp_path / "run.yaml")])
    with pytest.raises(FileNotFoundError, match=r"--config other.yaml: No such file or directory; give a YAML or JSON"):
        run_pretrain.main(["--config", "other.yaml"])


def test_no_token_is_written_into_a_file(tmp_path):
    write_config(tmp_path, UtteranceClassificationArguments(hub_token="hf_secret"))
    assert "hf_secret" not in (tmp_path / "run.yaml").read_text()


@pytest.mark.parametrize(
    ("script", "classes"),
    [(run_pretrain, ConversationCompletionArguments), (run_finetune, UtteranceClassificationArguments)],
)
def test_the_help_shows_the_usual_arguments_and_on_demand_all(script, classes, capsys):
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as end:
            script.main([option])
        assert end.value.code == 0
    text = capsys.readouterr().out
    usual, every = text.split("usage:")[1:]
    assert usual.count("\n  --") < 45 and "(default: None)" not in text
    assert all(f"--{name} " in every for name in ("learning_rate", "seed", "save_total_limit"))
    assert usual.index("--corpus ") < usual.index("--learning_rate ")
    assert ("as in transformers.TrainingArguments" in every) == issubclass(classes, TrainingArguments)
    assert ScriptParser((classes,), {}, "x", "").prog == "x"
    # What is refused is neither shown nor proposed.
    assert "--fsdp" not in every and "--deepspeed" not in every and "%%" not in every
    with pytest.raises(ValueError, match=r"--torch_compil: unknown argument(?!.*--torch_compile\?)"):
        script.main(["--torch_compil"])


def test_the_command_hands_over_and_says_what_it_knows(capsys, monkeypatch):
    precode(["--version"])
    precode([])
    printed = capsys.readouterr().out
    assert printed.startswith("precode ") and all(
        f"\n  {name}" in printed for name in ("predict", "pretrain", "finetune", "evaluate", "corpus", "push")
    )
    with pytest.raises(SystemExit, match="error: fly: not a command of precode; known are predict"):
        precode(["fly"])
    monkeypatch.setattr(sys, "argv", ["precode"])
    with pytest.raises(SystemExit, match="error: .*see precode finetune --help"):
        precode(["finetune", "--nonsense"])


def test_a_number_of_training_dialogues_is_drawn_and_a_larger_number_holds_the_smaller(corpus):
    def drawn(**settings) -> dict[str, list[str]]:
        splits = load_splits(CorpusArguments("custom", str(corpus), **settings))
        return {split: rows["dialogue_id"] for split, rows in splits.items()}

    every, few, more = drawn(), drawn(train_dialogues=5), drawn(train_dialogues=10)
    assert (len(few["train"]), len(more["train"])) == (5, 10)
    assert set(few["train"]) < set(more["train"]) < set(every["train"])
    assert more == drawn(train_fraction=0.25)
    assert few["validation"] == every["validation"] and few["test"] == every["test"]
    assert drawn(train_dialogues=40) == every


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_dialogues": 0}, "--train_dialogues must be at least 1; got 0"),
        ({"train_dialogues": 5, "train_fraction": 0.5}, "--train_dialogues 5 and --train_fraction 0.5: leave one out"),
        ({"train_dialogues": 41}, "--train_dialogues 41: the training split has 40; give a"),
    ],
)
def test_a_number_of_training_dialogues_that_cannot_be_drawn_is_refused(corpus, settings, message):
    with pytest.raises(ValueError, match=message):
        load_splits(CorpusArguments("custom", str(corpus), **settings))
