"""The words and labels of the tests' tiny models."""

LABELS = ["anger", "joy", "neutral"]
WORDS = ["i", "you", "we", "are", "so", "very", "happy", "angry", "sad", "about", "the", "weather", "what", "!", "?"]
