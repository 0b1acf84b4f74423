"""What is written on pictures and claims that were made with other data than the paper's."""

from collections.abc import Sequence

from gp_lab.figures.registry import Row
from gp_lab.launching.places import figure_file


def stand_in(name: str, rows: Sequence[Row]) -> str:
    """`stand_in` of the entry's file, if its runs (`data` in their rows) have its own data set.

    Empty where the command line chose another data set, the paper's say.
    """
    text = figure_file(name)
    own = {f"dataset={row['data']}" for row in rows if "data" in row} & set(text["common"])
    return text["stand_in"] if own else ""


def marked(claim: str, label: str) -> str:
    """A claim's sentence that says whether stand-in data decide it."""
    return f"{claim} (stand-in data)" if label else claim
