"""Two entries, run small: the files are whole, their numbers are those of the runs' arrays."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from figure_files import UNDECIDED, claims_of, densities, rows_of
from lab import PATIENCE, environment, lab, once
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gp_lab.runs.folder import find_runs

pytestmark = pytest.mark.seconds


def made(name: str, out: Path, *more: str) -> None:
    """Runs and draws a figure at the smallest scale."""
    smoke = ("scale=smoke", "tracking=none", f"out={out}")
    done = lab("figure", name, *smoke, *more, env=environment(out))
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def fig1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = once(tmp_path_factory, "fig1", lambda out: made("zero_gp/fig1", out))
    return out / "figures" / "zero_gp" / "fig1" / "smoke"


@pytest.fixture(scope="module")
def fig1a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = ("hydra/launcher=local", "probe.surface.points=32", "architecture.width=32")
    out = once(tmp_path_factory, "fig1a", lambda out: made("wgan_gp/fig1a", out, *small))
    (folder,) = (out / "figures" / "wgan_gp" / "fig1a").glob("smoke-*")  # with settings of its own
    return folder


def assert_complete(folder: Path, panels: int) -> None:
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")
    summary, rows = claims_of(folder), rows_of(folder)
    assert len(rows) == len(summary["runs"]) == len(summary["settings"]) == panels
    assert {row["state"] for row in rows.values()} == {"finished"}
    for claim in summary["claims"]:
        assert claim["verdict"] == UNDECIDED
        assert claim["n"] == 1
        assert math.isfinite(claim["estimate"])


def test_fig1_of_zero_gp_leaves_picture_data_and_claims_without_a_verdict(fig1: Path) -> None:
    assert_complete(fig1, panels=8)


def test_fig1a_of_wgan_gp_leaves_picture_data_and_claims_without_a_verdict(fig1a: Path) -> None:
    assert_complete(fig1a, panels=6)


def arrays(folder: Path, panel: str, probe: str) -> dict[str, np.ndarray]:
    """What the run of a panel stored, found through claims.json."""
    (run_id_,) = (r["id"] for r in claims_of(folder)["runs"] if r["panel"] == panel)
    (run,) = (r for r in find_runs(folder.parents[3]) if r.status["id"] == run_id_)
    return run.arrays(probe)


def test_errors_in_fig1s_data_are_those_to_p_r_over_p_r_plus_p_g(fig1: Path) -> None:
    for (panel, _), row in rows_of(fig1).items():
        stored = arrays(fig1, panel, "surface")
        real, fake = densities(stored["axis"])
        squares = (stored["probability"] - real / (real + fake)) ** 2
        plain = math.sqrt(squares.mean())
        weighted = math.sqrt(np.average(squares, weights=real + fake))
        assert float(row["rmse_plain"]) == pytest.approx(plain, rel=1e-9)
        assert float(row["rmse_weighted"]) == pytest.approx(weighted, rel=1e-9)


def test_other_numbers_in_fig1s_data_are_those_of_the_arrays(fig1: Path) -> None:
    for (panel, _), row in rows_of(fig1).items():
        stored = arrays(fig1, panel, "held_out")
        for part in ("train", "held_out"):
            right = np.concatenate(
                [stored[f"{part}_real_logit"] > 0, stored[f"{part}_fake_logit"] < 0]
            )
            assert float(row[f"accuracy_{part}"]) == pytest.approx(right.mean())
        f = np.concatenate([stored["train_real_logit"], stored["train_fake_logit"]])
        slopes = np.concatenate([stored["train_real_slope"], stored["train_fake_slope"]])
        on_train = slopes * np.exp(-f) / (1 + np.exp(-f)) ** 2
        largest = arrays(fig1, panel, "surface")["probability_slope"].max()
        share = float(row["slope_train_share"])
        assert share == pytest.approx(on_train.mean() / largest, rel=1e-9)


def test_fig1a_measures_against_the_assignment_between_the_held_out_samples(fig1a: Path) -> None:
    for (panel, _), row in rows_of(fig1a).items():
        stored, surface = arrays(fig1a, panel, "held_out"), arrays(fig1a, panel, "surface")
        cost = cdist(stored["held_out_real"], stored["held_out_fake"])
        w1 = cost[linear_sum_assignment(cost)].mean()  # equal weights: a plan is an assignment
        assert float(row["w1"]) == pytest.approx(w1, rel=1e-9)
        difference = stored["held_out_real_logit"].mean() - stored["held_out_fake_logit"].mean()
        slopes = [surface["logit_slope"].ravel()]
        slopes += [stored[f"held_out_{kind}_slope"] for kind in ("real", "fake")]
        steepest = np.concatenate(slopes).max()
        assert float(row["w1_share"]) == pytest.approx(difference / (steepest * w1), rel=1e-9)


def test_fig1a_fits_a_quadratic_as_least_squares_does(fig1a: Path) -> None:
    for (panel, _), row in rows_of(fig1a).items():
        surface = arrays(fig1a, panel, "surface")
        x, y = (a.ravel() for a in np.meshgrid(surface["axis"], surface["axis"]))
        f = surface["logit"].ravel()
        for name, terms in (("affine", [1 + 0 * x, x, y]), ("quadratic", None)):
            design = np.stack(terms or [1 + 0 * x, x, y, x * x, x * y, y * y], axis=1)
            fitted = design @ np.linalg.lstsq(design, f, rcond=None)[0]
            r2 = 1 - ((f - fitted) ** 2).sum() / ((f - f.mean()) ** 2).sum()
            assert float(row[f"r2_{name}"]) == pytest.approx(r2, abs=1e-9)


def test_redrawing_trains_nothing_and_imports_no_torch(fig1: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(fig1.parents[3], tmp_path / "copy"))
    fig1 = out / fig1.relative_to(fig1.parents[3])
    before = {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*") if p.is_file()}
    data, table = (fig1 / "data.csv").read_text(), claims_of(fig1)
    for path in fig1.iterdir():
        path.unlink()
    script = (
        "import sys; from gp_lab.cli import main; status = main(sys.argv[1:]);"
        "print('imported:', *(m for m in ('torch', 'wandb') if m in sys.modules)); sys.exit(status)"
    )
    command = [sys.executable, "-c", script, "figure", "zero_gp/fig1", "scale=smoke"]
    done = subprocess.run(
        [*command, "tracking=none", f"out={out}"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"
    after = {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*") if p.is_file()}
    assert after == before
    assert (fig1 / "data.csv").read_text() == data
    assert claims_of(fig1) == table
    assert (fig1 / "figure.png").exists()
