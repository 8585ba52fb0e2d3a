"""Sharing of checkpoints: the model card and the push to the Hub."""
