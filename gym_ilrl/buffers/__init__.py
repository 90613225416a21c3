"""Replay buffers with demonstrations beside the online data."""
