"""The file and the module of an entry of one's own."""

FILE = """\
# @package figure
id: mine/widths
title: What two penalties make of two data sets and widths
module: my_lab.widths
common: [probe=samples, batch_size=16, threads=1, architecture.depth=1, log_every=1]
grid:
  dataset:
    ring: {title: 8 Gaussians, set: [dataset=eight_gaussians]}
    roll: {title: swiss roll, set: [dataset=swiss_roll]}
  method:
    none: {title: no GP, set: [penalty=none]}
    zero_gp: {title: 0-GP, set: [penalty=zero_gp]}
  width: {each: [8, 16], set: ["architecture.width={}"], title: "{} units"}
without:
  - {dataset: roll, width: 16}
scales:
  paper: {seeds: 5, overrides: [steps=1000]}
  smoke: {seeds: 2, overrides: [steps=2, probe.samples.count=50]}
minutes: {paper: 1}
assumptions: [These are nobody's settings but mine.]
"""

CODE = '''\
"""Whether 0-GP makes samples that are nearer to the data than those of no penalty."""

from gp_lab.evaluation.points import wasserstein
from gp_lab.figures.claims import Claim, paired_greater
from gp_lab.figures.entry import Entry
from gp_lab.figures.plots import page
from gp_lab.figures.style import points


def measure(run):
    samples = run.arrays("samples")
    return {"w1": wasserstein(samples["real"], samples["fake"])}


def claims(table):
    found = []
    for dataset, name in table.grid.titles("dataset").items():
        none, zero = (
            table.values("w1", dataset=dataset, method=m, width=8) for m in ("none", "zero_gp")
        )
        test = paired_greater(none, zero, quantity="W1, no GP minus 0-GP")
        found.append(Claim(f"{name}: 0-GP comes nearer to the data", test, "mine"))
    return found


def draw(runs, table):
    def of(axes, run):
        arrays = run.arrays("samples")
        points(axes, arrays["real"], arrays["fake"])
        return f"{run.cell['width']} units"

    return page(runs, of, "method", "dataset", height=4)[0]


ENTRY = Entry(measure, claims, draw)
'''
