"""The names and limits of the files of a checkpoint and of an exported model, without torch and transformers."""

TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
# The maximum size of `tokenizer.json` and of a file of settings in bytes.
LARGEST_TOKENIZER, LARGEST_SETTINGS = 2**28, 2**24
# The maximum size of a vector or state, and the maximum number of speakers. Larger ones could exhaust the memory.
LARGEST_SIZE = 2**16
# With one token, a label would depend on the first word only.
SHORTEST_UTTERANCE = 2
# A start token, a token and a separator, and one more: with fewer, no utterance has two tokens.
SHORTEST_WINDOW = 4
# The sides on which a tokenizer pads and cuts.
SIDES = ("left", "right")
