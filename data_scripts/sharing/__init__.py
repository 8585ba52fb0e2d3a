"""A corpus shared: its dataset card, its export to Parquet, its push to the Hub."""
