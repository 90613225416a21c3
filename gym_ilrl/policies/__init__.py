"""Policies that SB3 lacks."""
