"""File formats: one module each, from a file to dialogues."""
