"""Hydra's plugins of the lab. Every command scans this package: nothing heavy is imported here."""
