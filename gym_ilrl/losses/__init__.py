"""The imitation loss of every Stable-Baselines3 and sb3-contrib policy."""
