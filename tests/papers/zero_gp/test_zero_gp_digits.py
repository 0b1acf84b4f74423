"""What sec. 6.1 and Figures 7 to 9 of zero_gp measure and claim, on made-up runs and rows."""

from pathlib import Path

import numpy as np
import pytest
from lab import config_of
from made_up import changed, rows_of, told, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row
from gp_lab.papers.zero_gp import fig9, sec61
from gp_lab.runs.folder import RunFolder

SEEDS = 10
FIGURES = ("zero_gp/fig7", "zero_gp/fig8", "zero_gp/sec61")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = RunFolder(tmp_path / "run")
    config = config_of("dataset=mnist", "dataset.pixels=mnist_authors", f"out={tmp_path}", base=())
    folder.create(config, "id")
    return Run({"method": "zero_gp"}, 0, folder, "finished", 30)


def of_the_paper(name: str) -> list[Row]:
    """0-GP has learnt on every seed, nothing else has on any; its D learns less by heart."""
    names = ("confident", "confident_early", "learnt", "learnt_early")
    rows = rows_of(name, SEEDS, by_heart=0.2, **dict.fromkeys(names, 0))
    return changed(rows, {"method": "zero_gp"}, by_heart=0.1, **dict.fromkeys(names, 1))


@pytest.mark.parametrize("name", FIGURES)
def test_the_papers_outcome_supports_every_claim(name: str) -> None:
    rows = [row | {"by_heart": row["by_heart"] + row["seed"] / 1000} for row in of_the_paper(name)]
    found = verdicts(name, rows)
    assert len(found) == {"zero_gp/fig7": 4, "zero_gp/fig8": 5, "zero_gp/sec61": 8}[name]
    assert set(found.values()) == {Verdict.SUPPORTED}


@pytest.mark.parametrize("name", FIGURES)
def test_one_gp_that_learns_contradicts_what_is_said_of_it_alone(name: str) -> None:
    rows = changed(of_the_paper(name), {"method": "one_gp"}, confident=1, learnt=1)
    found = verdicts(name, rows)
    refuted = [text for text, verdict in found.items() if verdict == Verdict.NOT_SUPPORTED]
    assert len(refuted) == (2 if name == "zero_gp/fig8" else 1)
    assert all("1-GP" in text for text in refuted)


@pytest.mark.parametrize("name", FIGURES)
def test_zero_gp_that_learns_nothing_contradicts_the_paper(name: str) -> None:
    nothing = dict.fromkeys(("confident", "confident_early", "learnt", "learnt_early"), 0)
    found = verdicts(name, changed(of_the_paper(name), {"method": "zero_gp"}, **nothing))
    said = {text: verdict for text, verdict in found.items() if text.startswith("0-GP has")}
    said |= {text: verdict for text, verdict in found.items() if text.startswith("0-GP:")}
    assert set(said.values()) == {Verdict.NOT_SUPPORTED}
    # That the others have learnt nothing either is no finding about them.
    others = {text: v for text, v in found.items() if "nothing" in text or " not " in text}
    assert set(others.values()) == {Verdict.INCONCLUSIVE}
    assert len(others) == {"zero_gp/fig7": 3, "zero_gp/fig8": 4, "zero_gp/sec61": 3}[name]


@pytest.mark.parametrize("name", FIGURES)
def test_a_rival_whose_units_died_shows_nothing_of_its_penalty(name: str) -> None:
    rows = changed(of_the_paper(name), {"method": "one_gp"}, dead=1)
    undecided = {t for t, verdict in told(name, rows).items() if verdict == Verdict.INCONCLUSIVE}
    assert undecided
    assert all("1-GP" in text for text in undecided)


def test_a_collapsed_gan_is_no_gan_that_has_learnt_nothing() -> None:
    """Fig. 7's sentence is met by collapse, that of sec. 6.1 is not; Fig. 8 asks both."""
    yes, no = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED
    for name, expected in zip(FIGURES, ([yes], [no, yes], [no]), strict=True):
        rows = changed(of_the_paper(name), {"method": "one_gp"}, confident=1, learnt=0)
        said = verdicts(name, rows).items()
        found = [v for text, v in said if "1-GP" in text and "discriminator" not in text]
        assert found == expected, name


def test_what_d_has_learnt_by_heart_is_its_accuracy_on_reals_seen_minus_others(run: Run) -> None:
    f = {"train": [1.0, 2, 3, 4], "held_out": [1.0, 2, -3, -4], "fake": [-1.0, -1, -1, 1]}
    run.folder.write_arrays("critic_losses", 30, {k: np.array(x) for k, x in f.items()})
    found = sec61.overfit(run)
    assert found == {"accuracy_train": 0.875, "accuracy_held_out": 0.625, "by_heart": 0.25}


def test_a_discriminator_that_overfits_as_much_under_zero_gp_contradicts_the_paper() -> None:
    rows = changed(of_the_paper("zero_gp/sec61"), {"method": "zero_gp"}, by_heart=0.3)
    rows = [row | {"by_heart": row["by_heart"] + row["seed"] / 1000} for row in rows]
    found = verdicts("zero_gp/sec61", rows)
    (verdict,) = {v for text, v in found.items() if text.startswith("the discriminator of 0-GP")}
    assert verdict == Verdict.NOT_SUPPORTED


def test_a_discriminator_that_does_nothing_does_not_overfit_less() -> None:
    rows = changed(of_the_paper("zero_gp/sec61"), {"method": "zero_gp"}, learnt=0, by_heart=0.0)
    rows = [row | {"by_heart": row["by_heart"] + row["seed"] / 1000} for row in rows]
    found = verdicts("zero_gp/sec61", rows)
    (verdict,) = {v for text, v in found.items() if text.startswith("the discriminator of 0-GP")}
    assert verdict == Verdict.INCONCLUSIVE


def write_lines(run: Run, share: float) -> None:
    numbers = {"confidence_share": share, "class_entropy": 2.0, "spread": 4.0, "spread_real": 5.0}
    for probe, names in (("classifier", list(numbers)[:2]), ("neighbours", list(numbers)[2:])):
        run.folder.write_arrays(probe, 30, {k: np.array(numbers[k]) for k in names})
    step = np.array([[1.0, 1, 1, 1], [0.0, 0, 4, 0]])  # at constant speed, and one jump
    nearest = np.array([[9.0, 1, 1, 1, 9], [9.0, 3, 3, 3, 9]])
    lines = {"step": step, "nearest": nearest, "nearest_real": np.array([4.0, 4.0])}
    run.folder.write_arrays("image_lines", 30, lines)


def test_lines_of_a_gan_that_makes_digits_have_a_jump_and_a_distance_on_the_way(run: Run) -> None:
    write_lines(run, 0.6)
    row = fig9.measure(run)
    assert row["jump"] == row["jump_any"] == (1 + 4) / 2
    assert row["way"] == row["way_any"] == 2 / 4
    assert row["nearing"] == row["nearing_any"] == (9 - 2) / 4


def test_of_lines_between_images_that_nobody_recognises_nothing_is_said(run: Run) -> None:
    write_lines(run, 0.4)
    row = fig9.measure(run)
    assert np.isnan([row["jump"], row["way"]]).all()
    assert row["jump_any"] == 2.5


def of_lines(jump: float, nearing: float) -> dict[str, Verdict]:
    """What is concluded where 0-GP-sample's jump and nearing differ by these from 0-GP's."""
    rows = rows_of("zero_gp/fig9", SEEDS, nearing=0.1)
    rows = [row | {"jump": 2.0 + row["seed"] / 99} for row in rows]
    cell = {"method": "zero_gp_sample"}
    rows = [
        row
        | {
            "jump": row["jump"] + jump + row["seed"] / 50,
            "nearing": 0.1 + nearing + row["seed"] / 1000,
        }
        if row["method"] in cell.values()
        else row
        for row in rows
    ]
    return verdicts("zero_gp/fig9", rows)


def test_a_generator_that_jumps_and_remembers_is_the_papers_and_its_opposite_is_not() -> None:
    assert set(of_lines(jump=1, nearing=0.5).values()) == {Verdict.SUPPORTED}
    assert set(of_lines(jump=-1, nearing=-0.5).values()) == {Verdict.NOT_SUPPORTED}


def test_lines_of_few_gans_that_make_digits_decide_nothing() -> None:
    assert set(of_lines(jump=float("nan"), nearing=float("nan")).values()) == {Verdict.INCONCLUSIVE}
