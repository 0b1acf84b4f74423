"""What `reference.py` and `first_sentences.py` share: scales, kinds of verdicts, Markdown."""

import html

from gp_lab.figures.verdicts import Verdict

SCALES = ("miniature", "paper")

VERDICTS = [v for v in Verdict if v != Verdict.NEEDS_MINIATURE]


def plain(text: str) -> str:
    """Text that Markdown is to show as it is."""
    return html.escape(text, quote=False).replace("*", "\\*")


def in_table(text: str) -> str:
    """So, too, in a cell of a table."""
    return plain(text).replace("|", "\\|")
