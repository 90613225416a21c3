"""Experts: scripted and planned policies with Stable-Baselines3's ``predict``."""
