"""`python -m gp_lab` is `gp-lab`."""

from gp_lab.cli import entry

entry()
