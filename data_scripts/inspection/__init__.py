"""A look at a corpus: counts and plots, and what appears in another corpus too."""
