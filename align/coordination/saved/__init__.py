"""Models on disk: what makes one, what may be in its files, and reading it back."""
