"""Learning from notes whose spans nobody told."""
