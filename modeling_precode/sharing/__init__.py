"""Sharing of checkpoints: the model card, the push to the Hub, and Spaces."""
