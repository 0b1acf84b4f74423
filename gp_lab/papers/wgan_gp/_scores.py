"""What the image entries of wgan_gp judge samples by: the Inception network at the paper's scale, a
small classifier of the data in miniature."""

from gp_lab.figures.claims import Test, learnt_on, only_if
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row
from gp_lab.papers._scores import JUDGES, probe_of

SCORE = "score (Inception's at the paper's scale, a classifier's of the data in miniature)"

FID = "FID (of Inception's features at the paper's scale, of a classifier's in miniature)"


def scored(run: Run, step: int | None = None) -> Row:
    """Score and FID of the samples at a step; NaN where there are none (no Inception weights)."""
    probe, step = probe_of(run), run.step if step is None else step
    known = run.arrays(probe, step) if step in run.steps(probe) else {}
    return {name: float(known.get(name, float("nan"))) for name in ("score", "fid")}


def named(runs: list[Run], what: str) -> str:
    """What a quantity is called in a picture of these runs: "classifier score", say."""
    return f"{JUDGES[probe_of(runs[0])]} {what}" if runs else what


def given(learns: Test, test: Test, who: str) -> Test:
    """The verdict where `who` learns on most seeds: to fail beside a failure says nothing."""
    return only_if(learns, test, f"{who} learns on {learnt_on(learns)}")
