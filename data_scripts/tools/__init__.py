"""Tools that corpora, training and the command line share: atomic writes, the console, pushes to the Hub."""
