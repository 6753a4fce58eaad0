"""The two encoders and their parts (torch)."""
