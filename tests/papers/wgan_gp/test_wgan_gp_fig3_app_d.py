"""What wgan_gp's Fig. 3 and App. D measure and conclude, on made-up runs and rows."""

from pathlib import Path

import numpy as np
import pytest
from made_up import changed, rows_of, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.entry import Run
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of
from gp_lab.papers.wgan_gp import fig3
from gp_lab.runs.folder import RunFolder, State

SEEDS = 8
FIG3, APP_D = "wgan_gp/fig3", "wgan_gp/appD"

# -- App. D --------------------------------------------------------------------------------


def nonlinearities(elu: float, smooth: float, state: str = "finished") -> list[Verdict]:
    """Of ELU and of its twin, at 4 and at 12 layers."""
    rows = changed(rows_of(APP_D, SEEDS, score=smooth), {"activation": "elu"}, score=elu)
    rows = changed(rows, {"activation": "elu"}, state=state)
    return list(verdicts(APP_D, rows).values())


def test_elu_that_fails_beside_a_twin_that_works_is_the_paper_s_outcome() -> None:
    assert nonlinearities(1.5, 6.0) == [Verdict.SUPPORTED] * 4
    assert nonlinearities(np.nan, 6.0, "diverged") == [Verdict.SUPPORTED] * 4


def test_elu_that_works_contradicts_it_and_two_that_fail_say_nothing_of_elu() -> None:
    assert nonlinearities(6.0, 6.0) == [Verdict.NOT_SUPPORTED, Verdict.SUPPORTED] * 2
    assert nonlinearities(1.5, 1.5) == [Verdict.INCONCLUSIVE, Verdict.NOT_SUPPORTED] * 2


# -- Fig. 3 --------------------------------------------------------------------------------


def methods(**of: tuple[float, float, float]) -> list[Row]:
    """By method its final score, how unsteady it is, and the iterations to any score below that;
    an iteration of DCGAN takes a tenth of the others' time."""
    rows = rows_of(FIG3, SEEDS)
    for row in rows:
        score, unsteady, steps = of[row["method"]]
        noise = 0.01 * row["seed"]
        row |= {"score": score + noise, "unsteady": unsteady * (1 + noise)}
        row["hours_of_one"] = (0.1 if row["method"] == "dcgan" else 1.0) * (1 + noise)
        for level in fig3.LEVELS:
            row[f"steps_to_{level:g}"] = steps + row["seed"] if level <= score else np.inf
    return rows


PAPERS = {
    "clipping": (4.0, 0.1, 300.0), "gp_rmsprop": (5.0, 0.1, 200.0),
    "gp_adam": (6.0, 0.1, 100.0), "dcgan": (6.2, 0.4, 100.0),
}  # fmt: skip


def test_the_paper_s_outcome_supports_every_claim_of_fig_3() -> None:
    found = verdicts(FIG3, methods(**PAPERS))
    assert len(found) == 6
    assert set(found.values()) == {Verdict.SUPPORTED}


def test_the_opposite_contradicts_every_claim_of_fig_3() -> None:
    opposite = {
        "clipping": (8.0, 0.1, 100.0), "gp_rmsprop": (7.0, 0.1, 200.0),
        "gp_adam": (5.0, 0.4, 100.0), "dcgan": (8.0, 0.1, 2000.0),
    }  # fmt: skip
    assert set(verdicts(FIG3, methods(**opposite)).values()) == {Verdict.NOT_SUPPORTED}


def test_where_wgan_gp_does_not_learn_nothing_is_decided_with_that_optimiser() -> None:
    of_adam = verdicts(FIG3, methods(**PAPERS | {"gp_adam": (2.0, 0.1, 100.0)}))
    of_rmsprop = verdicts(FIG3, methods(**PAPERS | {"gp_rmsprop": (2.0, 0.1, 100.0)}))
    for text, verdict in of_adam.items():
        same = text.startswith("with the same optimizer")
        both = same or text.startswith("Adam improves")
        assert verdict == (Verdict.SUPPORTED if same else Verdict.INCONCLUSIVE)
        assert of_rmsprop[text] == (Verdict.INCONCLUSIVE if both else Verdict.SUPPORTED)


@pytest.mark.parametrize("method", ["gp_adam", "dcgan"])
def test_the_clock_of_a_stack_is_one_measurement(method: str) -> None:
    rows = methods(**PAPERS)
    for row in rows:
        if row["method"] == method:
            row["hours_of_one"] = np.nan if row["seed"] == 0 else 0.1 + 0.1 * (row["seed"] % 2)
            row["hours_of_one"] *= 1 if method == "dcgan" else 10
    found = {text for text, v in verdicts(FIG3, rows).items() if v == Verdict.INCONCLUSIVE}
    assert found == {"WGAN-GP converges more slowly than DCGAN in wall-clock time"}


def test_speed_is_compared_at_the_highest_score_that_both_reach() -> None:
    rows = methods(**PAPERS)
    rows = changed(rows, {"method": "clipping"}, steps_to_4=700.0)
    rows = changed(rows, {"method": "gp_rmsprop"}, steps_to_4=400.0)
    rows = changed(rows, {"method": "clipping", "seed": "0"}, **dict.fromkeys(
        (f"steps_to_{level:g}" for level in fig3.LEVELS), np.inf))  # fmt: skip
    slow, fast = fig3.to_one_score(
        Table(rows, grid_of(figure_file(FIG3))), "clipping", "gp_rmsprop"
    )
    assert np.isnan(slow[0])
    assert np.isnan(fast[0])
    assert (slow[1:].tolist(), fast[1:].tolist()) == ([700.0] * 7, [400.0] * 7)


def test_a_run_s_score_is_the_mean_of_its_last_fifth_and_its_hours_its_part_of_a_stack(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path / "run")
    node = {"out": str(tmp_path), "dataset": {"name": "mnist_5k_16"}, "probe": {"classifier": {}}}
    folder.create(node, "id")
    for step in range(10, 101, 10):
        scores = {"score": np.array(1 + step / 20), "fid": np.array(2.0)}
        folder.write_arrays("classifier", step, scores)
    folder.set_status(State.FINISHED, rate=2.0, stack=5)
    row = fig3.measure(Run({"method": "gp_adam"}, 0, folder, "finished", 100))
    assert row["score"] == pytest.approx(np.mean([5.0, 5.5, 6.0]))
    assert row["unsteady"] == pytest.approx(0.5)
    assert (row["steps_to_3"], row["steps_to_6"], row["steps_to_6.5"]) == (40, 100, np.inf)
    assert row["hours_of_one"] == pytest.approx(1 / (3600 * 2 * 5))
