"""The drop-in algorithms."""
