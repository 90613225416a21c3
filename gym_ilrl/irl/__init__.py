"""Inverse reinforcement learning with known dynamics: what demonstrations say, objectives, optimisers; only numpy."""
