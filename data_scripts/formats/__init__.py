"""Readers of file formats, one module per format. Each turns a file into dialogues."""
