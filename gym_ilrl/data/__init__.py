"""Demonstrations: the container, collecting, files."""
