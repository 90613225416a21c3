"""The ``ilrl/`` environments, one file each; no torch is imported here."""
