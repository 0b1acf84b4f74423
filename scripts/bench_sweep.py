"""What a sweep's bookkeeping costs, by its size: finished runs that are asked for again, and read.

    python scripts/bench.py sweep [--sizes 500 2000 10000] [--json FILE]

Finished runs of the default config are laid out, one a seed, and timed as whole commands, so that
start-up counts: the same sweep again (nothing is trained), status, compare, clean. Seconds, and the
milliseconds of one run more between the smallest size and each other: they stay the same where
the cost grows with the sweep, and not with its square. (Two shared cores: 10 000 finished runs are
found finished in 8 s, listed in 11 s, compared in 16 s.)
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from gp_lab.launching.compose import compose, hydra_session
from gp_lab.runs.identity import Config, run_id

SETTINGS = ("steps=5", "tracking=none", "probe=[]", "architecture.width=8")


def lay_out(config: Config, out: Path, count: int) -> None:
    """Finished runs below `out`, with what the trainer leaves of the smallest."""
    for seed in range(count):
        of_seed = config | {"seed": seed, "out": str(out)}
        folder = out / "runs" / run_id(of_seed)
        (folder / "checkpoints").mkdir(parents=True)
        status = {"state": "finished", "step": 5, "id": folder.name, "format": 1}
        (folder / "config.yaml").write_text(yaml.safe_dump(of_seed, sort_keys=False))
        (folder / "status.json").write_text(json.dumps(status))
        (folder / "metrics.jsonl").write_text('{"step": 5, "loss_d": 1.0}\n')


def seconds(*arguments: str) -> float:
    began = time.monotonic()
    command = [sys.executable, "-m", "gp_lab", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.py sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2000, 10_000])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(words)
    with hydra_session() as hydra:
        config = compose(hydra, list(SETTINGS))
    found: dict[str, dict[int, float]] = {}
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            lay_out(config, out, size)
            sweep = ("train", "-m", f"seed=range({size})", f"out={out}", *SETTINGS)
            commands = {"train -m": sweep} | {
                name: (name, str(out)) for name in ("status", "compare", "clean")
            }
            for name, command in commands.items():
                found.setdefault(name, {})[size] = seconds(*command)
    first = args.sizes[0]
    print(f"{'command':10} {'runs':>7} {'seconds':>8} {'ms a run more':>14}")
    for name, by_size in found.items():
        for size, took in by_size.items():
            more = (
                1000 * (took - by_size[first]) / (size - first) if size != first else float("nan")
            )
            print(f"{name:10} {size:7} {took:8.2f} {more:14.2f}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
