"""Bridges to other packages, each optional and imported on use."""
