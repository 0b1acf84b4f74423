"""The miniature of an entry: the first candidate of its `pilot:` that meets the criterion.

    python scripts/pilot.py zero_gp/fig2 [outputs/pilot]

Candidates are trained in the order of the entry's file, on three pilot seeds (1000 and up, or as
many as the file says), in the cells that the criterion looks at, until one passes; what came out,
and what it cost, is printed as YAML for the file (`tried:`). No claim is tested and no picture
drawn. Those that the file says were tried are not trained again; finished runs are kept, so the
script goes on where it was stopped.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gp_lab.errors import Exit
from gp_lab.figures.pilot import (
    FIRST_SEED,
    SEEDS,
    measured,
    meets,
    tried,
    unmeasured,
    unproven,
)
from gp_lab.launching.config_groups import figure_file

MEASURED = "measured_alone"
"""The module of an entry that measures as another one does, and claims and draws nothing."""

ENTRY = """
from gp_lab.figures.entry import Entry
from matplotlib.figure import Figure
from {module} import ENTRY as whole

ENTRY = Entry(whole.measure, lambda table: [], lambda runs, table: Figure())
"""


def main(name: str, out: str = "outputs/pilot") -> int:
    text = figure_file(name)
    pilot, root = text["pilot"], Path(out) / name
    known = tried(pilot)
    if not unproven(text):
        print(f"{name}: a candidate has passed, or none is needed")
        return 0
    if known == len(pilot["candidates"]):
        print(f"{name}: no candidate is left; write another one down")
        return 1
    print("  tried:", flush=True)
    for number, candidate in enumerate(pilot["candidates"][known:], known + 1):
        began = time.monotonic()
        drawn = draw(name, text, candidate, number, root)
        rows = measured(drawn, root / "runs", list(text["grid"]))
        passed, found = meets(pilot["measured"], rows)
        minutes = (time.monotonic() - began) / 60
        worst = ", ".join(f"{cell} {value:.3g}" for cell, value in found.items())
        verdict = "passes" if passed else "fails"
        print(f"    - '{number} {verdict}: {worst}; {minutes:.1f} minutes'", flush=True)
        if passed:
            return 0
    return 1


def draw(
    name: str, text: dict[str, Any], candidate: dict[str, Any], number: int, root: Path
) -> Path:
    """The entry's runs with a candidate for its miniature, on pilot seeds, measured; the folder of
    what was measured."""
    own = f"pilot/{name.replace('/', '-')}-{number}"
    module = f"gp_lab.papers.{name.replace('/', '.').replace('-', '_')}"
    seeds = int(text["pilot"].get("seeds", SEEDS))
    scales = {"miniature": {"seeds": seeds, **candidate}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figure", f"{own}.yaml")
        file.parent.mkdir(parents=True)
        node = text | {"id": own, "module": MEASURED, "scales": scales, "without": unmeasured(text)}
        file.write_text("# @package figure\n" + json.dumps(node))  # YAML whose words stay words
        Path(folder, f"{MEASURED}.py").write_text(ENTRY.format(module=module))
        first = text["pilot"].get("first_seed", FIRST_SEED)
        of_pilot = f"seed=range({first},{first + seeds})"
        command = [sys.executable, "-m", "gp_lab", "figure", own, f"--config-dir={folder}"]
        command += ["scale=miniature", of_pilot, f"out={root}", f"trust=[{MEASURED}]"]
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        known = os.environ | {"PYTHONPATH": path}
        began = time.time()
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=known)
    drawn = [
        table.parent  # one of other seeds, of an earlier criterion, may lie beside it
        for table in (root / "figures" / own).glob("miniature*/data.csv")
        if table.stat().st_mtime >= began
    ]
    if not drawn or done.returncode not in (Exit.OK, Exit.FAILED):  # a failed run fails a candidate
        sys.exit(done.returncode)
    return drawn[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
