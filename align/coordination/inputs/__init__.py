"""Sessions -> input columns and training examples: which channel is which, on which grid, with which raw signal."""
