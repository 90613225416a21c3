"""Supervised learning on demonstrations: the inside of BC, of every DAgger round, and of the callbacks."""
