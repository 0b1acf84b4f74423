"""The runs that the tests of stacks train."""

from lab import SMALL, config_of

from gp_lab.runs.identity import Config

BARE = (*(o for o in SMALL if not o.startswith("probe.")), "probe=[]", "log_every=10")


def bare(*overrides: str) -> Config:
    """A small run without probes."""
    return config_of(*overrides, base=BARE)
