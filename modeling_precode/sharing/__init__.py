"""A checkpoint shared: its model card and its push to the Hub."""
