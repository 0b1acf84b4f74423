"""What a report of many runs costs: seconds to build and megabytes, of made-up run folders.

    python scripts/bench.py report --runs 1000 --lines 1000

Five seeds in a group; in each run seven metrics a line and the time of each, and two probes with
arrays at four steps.
Prints the medians of the builds; the page is kept in the folder that it names.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gp_lab.launching.compose import hydra_session, sweep_of
from gp_lab.report.page import write_report
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.identity import run_id

METRICS = ("loss_d", "loss_g", "penalty", "gradient_norm", "f_real", "f_fake", "modes/w1")
SEEDS = 5


def made_up(out: Path, runs: int, lines: int) -> None:
    """A sweep over rates and weights that nobody trained."""
    base = ["dataset=eight_gaussians", "penalty=one_gp", "probe=[samples,surface]", f"out={out}"]
    with hydra_session() as hydra:
        config = sweep_of(hydra, [*base, f"steps={lines * 10}"]).jobs[0].config
    rng = np.random.default_rng(0)
    axis = np.linspace(-10, 10, 40)
    for run in range(runs):
        group, seed = divmod(run, SEEDS)
        own = json.loads(json.dumps(config)) | {"seed": seed}
        own["optimizer"]["lr"] = 1e-4 * 2 ** (group % 10)
        own["penalty"]["weight"] = 1 + group // 10
        folder = RunFolder(out / "runs" / run_id(own))
        folder.path.mkdir(parents=True)
        folder.create(own, run_id(own))
        walk = rng.normal(size=(lines, len(METRICS))).cumsum(axis=0)
        folder.append_metrics(
            [
                {"step": 10 * (i + 1), **dict(zip(METRICS, map(float, row), strict=True))}
                for i, row in enumerate(walk)
            ]
        )
        for i, seconds in enumerate(rng.uniform(0.1, 0.2, size=lines).cumsum()):
            clock = {"seconds": float(seconds), "iterations_per_second": 10 * (i + 1) / seconds}
            folder.append_timing({"step": 10 * (i + 1), **clock})
        for step in np.linspace(10, lines * 10, 4).astype(int):
            real, fake = rng.normal(size=(2, 500, 2))
            folder.write_arrays("samples", step, {"real": real, "fake": fake})
            logit = np.sin(axis)[:, None] * np.cos(axis)
            surface = {"axis": axis, "axis_y": axis, "logit": logit}
            folder.write_arrays("surface", step, surface)
        folder.set_status(State.FINISHED, step=lines * 10, rate=100.0, disk_bytes=10**6)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.py report", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a folder to keep; else a temporary one")
    args = parser.parse_args(words)
    out = args.out or Path(tempfile.mkdtemp(prefix="gp-lab-report-"))
    if not (out / "runs").exists():
        made_up(out, args.runs, args.lines)
    walls, cpus = [], []
    for _ in range(args.repeats):
        wall, cpu = time.monotonic(), time.process_time()
        path = write_report(out)
        walls.append(time.monotonic() - wall)
        cpus.append(time.process_time() - cpu)
    print(
        f"{args.runs} runs of {args.lines} lines: {statistics.median(walls):.1f} s"
        f" ({statistics.median(cpus):.1f} s of CPU), {path.stat().st_size / 1e6:.1f} MB: {path}"
    )


if __name__ == "__main__":
    main()
