"""What Figure 3 of zero_gp measures and claims, on made-up runs and rows; its choice of data."""

import math
from pathlib import Path

import numpy as np
import pytest
from lab import config_of
from made_up import told

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.zero_gp import _digits, fig3
from gp_lab.runs.folder import RunFolder

SEEDS = 6
GRID = grid_of(figure_file("zero_gp/fig3"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = RunFolder(tmp_path / "run")
    config = config_of("dataset=mnist", "dataset.pixels=mnist_authors", f"out={tmp_path}", base=())
    folder.create(config, "id")
    return Run({"method": "zero_gp", "weight": "100"}, 0, folder, "finished", 30)


def write(run: Run, step: int, share: float, entropy: float, spread: float) -> None:
    judged = {"confidence_share": share, "class_entropy": entropy, "score": 1.0, "fid": 2.0}
    near = {"spread": spread, "spread_real": 5.0, "duplicates": 0.0}
    run.folder.write_arrays("classifier", step, {k: np.array(x) for k, x in judged.items()})
    numbers = {k: np.array(x) for k, x in near.items()}
    run.folder.write_arrays("neighbours", step, numbers | {"nearest": np.zeros(3)})


def rows_of(**learnt: tuple[int, int]) -> list[Row]:
    """Six seeds of each panel; by method, whether it is confident and whether it has learnt, at the
    paper's weight."""

    def row(method: str, weight: str, seed: int) -> Row:
        papers = weight == fig3.WEIGHTS[method]
        confident, has_learnt = learnt.get(method, (0, 0)) if papers else (0, 0)
        return {
            "method": method, "weight": weight, "seed": seed, "state": "finished",
            "confident_early": confident, "learnt_early": has_learnt,
            "classifier_class_entropy": math.log1p(float(weight)), "spread": -float(weight),
        }  # fmt: skip

    return [row(**panel.cell, seed=seed) for panel in GRID.panels for seed in range(SEEDS)]


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    return {claim.text: claim.test.verdict for claim in fig3.claims(Table(rows, GRID))}


@pytest.mark.parametrize(
    ("share", "entropy", "spread", "expected"),
    [
        (0.6, 2.2, 4.0, (1, 0, 1)),
        (0.4, 2.2, 4.0, (0, 0, 0)),  # not confident
        (0.6, 1.1, 4.0, (1, 1, 0)),  # few classes: log(10) / 2 is 1.15
        (0.6, 2.2, 1.2, (1, 1, 0)),  # near to one another: a quarter of 5 is 1.25
    ],
)
def test_a_gan_has_learnt_if_it_is_confident_and_has_not_collapsed(
    run: Run, share: float, entropy: float, spread: float, expected: tuple[int, int, int]
) -> None:
    write(run, 10, share, entropy, spread)
    found = _digits.scores(run, 10)
    assert (found["confident"], found["collapsed"], found["learnt"]) == expected
    assert "nearest" not in found


def test_a_row_holds_the_first_step_of_the_probes_beside_the_last(run: Run) -> None:
    write(run, 10, 0.6, 2.2, 4)
    write(run, 30, 0.1, 2.0, 3)
    row = _digits.both_looks(run)
    assert row["data"] == "mnist"
    assert (row["early_step"], row["learnt_early"], row["learnt"]) == (10, 1, 0)
    assert (row["classifier_class_entropy_early"], row["classifier_class_entropy"]) == (2.2, 2.0)


def test_the_paper_s_outcome_supports_every_claim_about_the_penalties() -> None:
    found = verdicts(rows_of(zero_gp=(1, 1)))
    assert len(found) == 10
    wider = "a higher weight of 0-GP makes samples more diverse: the mean distance"
    for text, verdict in found.items():
        contradicted = text.startswith(wider)  # the rows' spread falls with the weight
        assert verdict == (Verdict.NOT_SUPPORTED if contradicted else Verdict.SUPPORTED), text


def test_a_rival_that_learns_contradicts_the_claims_about_it() -> None:
    found = verdicts(rows_of(zero_gp=(1, 1), one_gp=(1, 1), none=(1, 0)))
    early = "after 1,000 iterations"
    for name, learnt in (("1-GP", Verdict.NOT_SUPPORTED), ("no GP", Verdict.SUPPORTED)):
        recognised = f"most samples of {name} are not recognised {early}"
        assert found[recognised] == Verdict.NOT_SUPPORTED
        assert found[f"{name} has collapsed or has learnt nothing {early}"] == learnt


def test_a_seed_that_diverged_has_learnt_nothing() -> None:
    rows = [
        {"method": "one_gp", "weight": "100", "seed": r["seed"], "state": "diverged"}
        if r["method"] == "one_gp"
        else r
        for r in rows_of(zero_gp=(1, 1))
    ]
    text = "most samples of 1-GP are not recognised after 1,000 iterations"
    assert verdicts(rows)[text] == Verdict.SUPPORTED


def test_rivals_whose_units_died_have_shown_no_mode_collapse() -> None:
    rows = [r | {"dead": int(r["method"] == "one_gp")} for r in rows_of(zero_gp=(1, 1))]
    found = told("zero_gp/fig3", rows)
    undecided = [text for text, verdict in found.items() if verdict == Verdict.INCONCLUSIVE]
    assert undecided == [
        "most samples of 1-GP are not recognised after 1,000 iterations",
        "1-GP has collapsed or has learnt nothing after 1,000 iterations",
    ]


def test_a_gan_that_learns_on_half_of_the_seeds_decides_nothing() -> None:
    rows = [r | {"learnt_early": r["seed"] % 2} for r in rows_of(zero_gp=(1, 1))]
    found = verdicts(rows)
    assert found["0-GP has learnt, without mode collapse after 1,000 iterations"] == (
        Verdict.INCONCLUSIVE
    )
