"""What anomalous's figures of rectangles measure and conclude, on made-up runs and rows."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up import rows_of, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.table import Row
from gp_lab.launching.compose import hydra_session, sweep_of
from gp_lab.papers.anomalous import _codes, _squares, fig1, fig3
from gp_lab.papers.anomalous.fig6 import over_time
from gp_lab.probes.pictures import GAP
from gp_lab.runs.identity import run_hash

SEEDS = 8


class MadeUp:
    """A run of probes' arrays by step."""

    def __init__(self, probe: str, looks: dict[int, dict[str, Any]], **cell: str) -> None:
        self.probe, self.looks, self.cell, self.step = probe, looks, cell, max(looks)
        config = {
            "dataset": {"squares": 2, "square": 2},
            "probe": {"rectangles": {"tolerance": 0}, "matches": {}},
        }
        self.folder = SimpleNamespace(config=config)

    def arrays(self, probe: str, step: int | None = None) -> dict[str, Any]:
        return self.looks[self.step if step is None else step]

    def course(self, probe: str, of: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.array(sorted(self.looks)), np.array(
            [of(self.looks[k]) for k in sorted(self.looks)]
        )


def pictures(*corners: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Images of 8 x 8 pixels with squares of 2 x 2 at these corners."""
    found = np.zeros((len(corners), 1, 8, 8), dtype=np.uint8)
    for image, some in zip(found, corners, strict=True):
        for y, x in some:
            image[0, y : y + 2, x : x + 2] = 255
    return found


ONE, TWO = ((0, 0),), ((0, 0), (4, 4))


def counts(*of: int, exact: bool = True) -> dict[str, Any]:
    both = {"counts": np.array(of), "exact": np.full(len(of), exact)}
    codes = {"codes_count": np.array(of), "codes_exact": np.full(len(of), exact)}
    return both | codes | {"squares": np.array(2)}


# -- Figs. 1 and 7 -------------------------------------------------------------------------


def test_a_share_is_of_images_with_as_many_squares_as_the_data_and_nothing_else() -> None:
    assert _squares.share_correct(counts(2, 2, 1, 3)) == 0.5
    assert _squares.share_correct(counts(2, 2, exact=False)) == 0
    shares = fig1.shares_of_counts(counts(2, 2, 0, 9))
    np.testing.assert_allclose(shares, [0.25, 0, 0.5, 0, 0, 0.25, 0])


def test_a_training_image_is_matched_by_a_sample_of_the_same_squares() -> None:
    training, nearest = pictures(TWO, TWO), pictures(TWO, ONE)
    run: Any = MadeUp("matches", {1: {"training": training, "nearest": nearest}})
    assert _squares.matched(run).tolist() == [True, False]
    assert _squares.differing(training, nearest).tolist() == [0, 4]
    assert _squares.right(nearest, run).tolist() == [True, False]


def test_wrong_images_have_a_red_frame() -> None:
    run: Any = MadeUp("rectangles", {1: {}})
    picture = _squares.framed(pictures(TWO, ONE), run, columns=2)
    assert tuple(picture[GAP, 5]) == _squares.RIGHT
    assert tuple(picture[GAP, -1 - GAP]) == _squares.WRONG


def shares(**of: float) -> list[Row]:
    rows = rows_of("anomalous/fig1", SEEDS)
    for row in rows:
        noise = 0.002 * (row["seed"] % 3)
        value = of[row["method"]] + noise
        row |= {"correct": value, "correct_over_the_run": 0.8 * value, "matched": 0.9}
        row |= {"wrong_of_squares": 1 - value, "squares_only": 0.9}
    return rows


def test_the_papers_shares_support_every_claim_of_fig_1_but_those_of_its_own_scale() -> None:
    found = verdicts("anomalous/fig1", shares(**fig1.PAPERS))
    assert set(found.values()) == {Verdict.SUPPORTED}


def test_corrections_that_make_it_worse_contradict_fig_1() -> None:
    found = verdicts("anomalous/fig1", shares(vanilla=0.9, pcr=0.5, sc=0.3, sc_pcr=0.1))
    assert set(found.values()) == {Verdict.NOT_SUPPORTED}


def test_sc_that_does_nothing_is_easily_matched() -> None:
    found = verdicts("anomalous/fig1", shares(**fig1.PAPERS | {"sc": 0.2}))
    assert found["SC + PCR is at least as good as SC"] == Verdict.INCONCLUSIVE


def test_where_most_samples_show_no_rectangles_their_number_says_nothing() -> None:
    rows = shares(**fig1.PAPERS)
    for row in rows:
        row["squares_only"] = 0.4
    found = [v for v in verdicts("anomalous/fig1", rows).values() if v != Verdict.SUPPORTED]
    assert found == [Verdict.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.9, Verdict.SUPPORTED), (0.1, Verdict.NOT_SUPPORTED)]
)
def test_fig_7_is_about_most_training_images(share: float, verdict: Verdict) -> None:
    rows = rows_of("anomalous/fig7", SEEDS, matched=share)
    for row in rows:
        row["matched"] += 0.01 * (row["seed"] % 2)
    assert set(verdicts("anomalous/fig7", rows).values()) == {verdict}


@pytest.mark.parametrize("scale", ["paper", "miniature"])
@pytest.mark.parametrize("pair", [("fig1", "fig7"), ("fig2", "fig6")])
def test_figs_7_and_6_are_drawn_from_runs_of_figs_1_and_2(
    pair: tuple[str, str], scale: str
) -> None:
    def runs(item: str) -> set[str]:
        with hydra_session() as hydra:
            jobs = sweep_of(hydra, [f"figure=anomalous/{item}", f"scale={scale}"]).jobs
        return {run_hash(job.config) for job in jobs}

    whole, part = map(runs, pair)
    assert part < whole


# -- Figs. 2 and 6 -------------------------------------------------------------------------


def looks(*codes: int, loss: tuple[float, ...]) -> dict[int, dict[str, Any]]:
    return {
        10 * (k + 1): counts(2, code)
        | {"codes": pictures(TWO, TWO if code == 2 else ONE), "loss": np.array(of)}
        | {"parameters": np.array([3.0, 4.0])}
        for k, (code, of) in enumerate(zip(codes, loss, strict=True))
    }


def test_codes_are_judged_in_the_second_half_and_at_the_end() -> None:
    run: Any = MadeUp("rectangles", looks(1, 1, 2, 1, loss=(9.0, 1.0, 2.0, 4.0)))
    row = _codes.measure(run)
    assert row["codes_correct"] == 0.5
    assert row["wrong_late"] == pytest.approx(1 / 3)  # of steps 20, 30 and 40
    assert row["changes"] == 2.0  # 4 pixels of one of two codes, from look to look
    assert row["loss_swing"] == 2.5  # (1 + 4) / 2
    assert row["gradient_swing"] == 0
    assert row["learnt"] == 1
    assert over_time(run, codes=2, looks=3).ndim == 3
    assert len(_codes.frames(run, run)) == 4


@pytest.mark.parametrize("full_is_better", [True, False])
def test_figs_2_and_6_hold_the_full_batch_against_mini_batches(full_is_better: bool) -> None:
    said = Verdict.SUPPORTED if full_is_better else Verdict.NOT_SUPPORTED
    for entry, levels in {
        "anomalous/fig2": ("64", "16"),
        "anomalous/fig6": ("full", "mini"),
    }.items():
        better = levels[0 if full_is_better else 1]
        rows = rows_of(entry, SEEDS)
        for row in rows:
            noise = 1 + 0.01 * (row["seed"] % 3)
            good = row["batch"] == better
            row |= {
                "codes_correct": 0.99 if good else 0.4 * noise,
                "wrong_late": 0.01 * noise if good else 0.6 * noise,
                "changes": noise if good else 9 * noise,
                "loss_swing": noise if good else 9 * noise,
                "gradient_swing": noise if good else 9 * noise,
                "judge": "classifier",
            }
            order = {"16": 3.0, "64": 2.0, "256": 1.0}.get(row["batch"], 0)
            row["fid"] = (order if full_is_better else -order) * noise
            row["learnt"] = 1
        found = verdicts(entry, rows)
        assert set(found.values()) == {said}
        for row in rows:  # FGD learns still, and is ahead as it has seen more
            row["codes_correct"] -= 0.2
            row["wrong_late"] += 0.2
        (beside,) = (t for t in found if "than of MGD's" in t or "beyond those of FGD" in t)
        ahead = Verdict.INCONCLUSIVE if full_is_better else said
        assert verdicts(entry, rows)[beside] == ahead


def test_fid_by_batch_size_is_undecided_where_a_batch_size_has_learnt_nothing() -> None:
    rows = rows_of("anomalous/fig2", SEEDS, judge="classifier", learnt=1, fid=1.0)
    for row in rows:
        row["fid"] = 300 / float(row["batch"]) + row["seed"]

    def of_fid() -> Verdict:
        return next(v for text, v in verdicts("anomalous/fig2", rows).items() if "FID" in text)

    assert of_fid() == Verdict.SUPPORTED
    for row in rows:
        row["learnt"] = int(row["batch"] != "256")
    assert of_fid() == Verdict.INCONCLUSIVE


# -- Fig. 3 --------------------------------------------------------------------------------


def kinds(other: int, training: int, both: int, either: int, **said: float) -> dict[str, Any]:
    of = np.repeat(range(4), (other, training, both, either))
    shown = {"counts": np.full(len(of), 2), "exact": np.full(len(of), True)}
    return {"nearest_kind": of, **shown} | {k: np.array(v) for k, v in said.items()}


def test_fig_3_reads_the_time_until_most_samples_are_training_images() -> None:
    d = {"f_real": 2.0, "f_and": 0.5, "f_or": 1.5, "f_fake": 0.0}
    run: Any = MadeUp(
        "rectangles",
        {5: kinds(10, 0, 0, 0, **d), 10: kinds(4, 0, 4, 2, **d), 20: kinds(2, 4, 4, 0, **d)}
        | {30: kinds(0, 8, 1, 1, **d)},
        images="rectangles",
    )
    row = fig3.measure(run)
    assert row["combined_early"] == pytest.approx(0.5)
    assert row["training_early"] == pytest.approx(0.2)
    assert (row["nearness_and_early"], row["nearness_or_early"]) == (0.25, 0.75)
    assert row["anomalous_combined"] == pytest.approx(10 / 16)  # 6 of 10 and 4 of 6
    assert row["learnt"] == 1
    assert row["training_end"] == 0.8


def test_where_nothing_is_recognised_all_of_a_run_is_early() -> None:
    nothing = np.array([[1.0, 0, 0, 0]] * 3)
    assert fig3.early(nothing).all()
    at_once = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 1.0, 0, 0]])
    assert fig3.early(at_once).tolist() == [False, True, False]


def test_the_codes_of_fig_3_are_framed_by_their_number_of_rectangles() -> None:
    assert fig3.kinds_of_codes(counts(2, 1, 3, 7)).tolist() == [1, 2, 3, 0]
    assert fig3.kinds_of_codes(counts(2, exact=False)).tolist() == [0]


def test_fig_3_counts_samples_that_are_averages_and_nearer_to_them_than_to_any_image() -> None:
    at = {"to_training": np.array([0.05, 0.2, 0.08]), "to_average": np.array([0.06, 0.15, 0.04])}
    run: Any = MadeUp("averages", {1: at}, images="faces")
    row = fig3.measure(run)
    assert row["nearer"] == pytest.approx(2 / 3)
    assert row["averages"] == pytest.approx(1 / 3)
    assert row["learnt"] == 1
    assert np.isnan(row["unseen_averages"])
    run = MadeUp("averages", {1: at | {"to_unseen_average": np.full(3, 0.07)}}, images="faces")
    assert fig3.measure(run)["unseen_averages"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("combined", "training", "near", "averages", "verdict"),
    [(0.4, 0.1, 0.9, 0.2, Verdict.SUPPORTED), (0.0, 0.5, 0.1, 0.0, Verdict.NOT_SUPPORTED)],
)
def test_fig_3s_claims_can_come_out_both_ways(
    combined: float, training: float, near: float, averages: float, verdict: Verdict
) -> None:
    rows = rows_of("anomalous/fig3", SEEDS)
    for row in rows:
        noise = 0.01 * (row["seed"] % 3)
        row |= {
            "combined_early": combined, "training_early": training + noise,
            "anomalous_combined": 2 * combined + noise,
            "nearness_and_early": near + noise, "nearness_or_early": near + noise,
            "averages": averages, "unseen_averages": 0.1 + noise,
        }  # fmt: skip
    assert set(verdicts("anomalous/fig3", rows).values()) == {verdict}
