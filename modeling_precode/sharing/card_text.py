"""What every model card of a task says, and how its checkpoint is loaded."""

# By whether the model is causal.
DIRECTION = {
    False: "It reads a conversation in both directions: what it makes of an utterance may change when the dialogue "
    "goes on.",
    True: "It reads a conversation forward only: what it makes of an utterance never changes when the dialogue "
    "goes on.",
}
SPEAKERS = "Name the speakers: it tells {max_speakers} of a conversation apart, by the order in which they first speak."
SPEAKER_PREFIX = "Name the speakers: it reads the name before every utterance."
# By whether it was frozen.
TEXT_ENCODER = {
    False: " It was trained along; its states over the tokens are pooled by `{text_pooling}`.",
    True: " It was not trained along; its states over the tokens are pooled by `{text_pooling}`.",
}
TASKS = {
    "convcom": {
        "task": ("feature-extraction", "Conversation Completion"),
        "tags": ["precode", "conversation", "conversation-completion"],
        "what": "A context-dependent encoder of English conversations (Pre-CODE), pre-trained with Conversation "
        "Completion: given its context, tell the true utterance from utterances of other dialogues. It is a start for "
        "fine-tuning, and labels nothing by itself.",
        "limits": "It knows the kind of dialogue it was trained on, and whatever prejudice that holds. Languages other "
        "than English are out of scope.",
        "limits_of_words": "",
        "load": """model = PreCodeForUtteranceClassification.from_pretrained("{name}", num_labels=7)
tokenizer = AutoTokenizer.from_pretrained("{name}")""",
        "import": "from transformers import AutoTokenizer\n\n"
        "from modeling_precode import PreCodeForUtteranceClassification",
        "load_remotely": """from transformers import AutoModel, AutoTokenizer

encoder = AutoModel.from_pretrained("{name}", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)""",
    },
    "erc": {
        "task": ("text-classification", "Emotion Recognition in Conversations"),
        "tags": ["precode", "conversation", "emotion-recognition-in-conversations", "text-classification"],
        "what": "Labels every utterance of an English conversation with an emotion, in its context (Pre-CODE).",
        "limits": "The labels are guesses about text, learned from few annotators and one kind of dialogue; they say "
        "nothing certain about what a person feels. Do not use them to judge people. Other kinds of dialogue than the "
        "training corpus's, and languages other than English, are out of scope.",
        "limits_of_words": "Numbers, emoji and case are invisible to the tokenizer.",
        "load": """emotions = pipeline("conversation-emotion", model="{name}")
emotions(["I got the job!", "You did? That's wonderful!"])""",
        "import": "from transformers import pipeline\n\nimport modeling_precode",
        "load_remotely": """from transformers import pipeline

emotions = pipeline("conversation-emotion", model="{name}", trust_remote_code=True)""",
    },
}
