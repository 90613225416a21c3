"""Reward models: tables, linear in features, neural networks."""
