"""Losses over pairs, small and large, on a processor and on a card."""
