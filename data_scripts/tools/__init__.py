"""What corpora, training and the command line share: files written whole, the console, pushes to the Hub."""
