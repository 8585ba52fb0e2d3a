"""The command `precode`, and its output."""
