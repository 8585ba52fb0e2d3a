"""Converts the files of the original implementation to a checkpoint."""
