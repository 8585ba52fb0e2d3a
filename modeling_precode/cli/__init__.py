"""The command `precode`, and what it prints and writes."""
