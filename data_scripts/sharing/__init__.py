"""Sharing of corpora: the dataset card, the export to Parquet, and the push to the Hub."""
