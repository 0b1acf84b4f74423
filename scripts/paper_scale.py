"""The edition at the papers' own scale, on a machine with a GPU or on a Slurm cluster.

    python scripts/paper_scale.py                              what there is to do, and the hours
    python scripts/paper_scale.py --go                         do it, entry by entry
    python scripts/paper_scale.py --go wgan_gp/fig2 dataset.root=DIR hydra/launcher=slurm

Each entry is `gp-lab figure ENTRY scale=paper` in a process of its own: what is finished is not
trained again, what was interrupted goes on, an entry that fails (its data are not here) is said at
the end and the others go on. Words with a `=` go to every entry, so one data set's entries are best
asked for by name.

Hours are reckoned, not measured: the floating-point operations of an update as PyTorch counts them
of one sample forward, thrice that with its gradients, three times that again for a penalty, over
`--rate`; never less than `FLOOR` seconds an update, which launching small kernels takes. Runs of
small networks train as one stack and share that.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from gp_lab.errors import BadInput, Exit
from gp_lab.figures.plan import plan_of
from gp_lab.instantiate import instantiate
from gp_lab.launching.config_groups import entry_of, figure_ids
from gp_lab.runs.lookup import folders_of

RATE = 30e12
"""Operations a second of a large GPU on networks of this kind: a guess."""

FLOOR = 1e-3
"""Seconds of an update, however small: a guess."""

STACK, SMALL = 64, 1e7
"""Runs that train at once where a sample takes fewer operations than that."""


MOST_CHARACTERS = 2048


class Work(NamedTuple):
    """Of an entry: runs, those that are finished, operations and hours of the others."""

    runs: int
    finished: int
    operations: float
    hours: float


def operations(node: Mapping[str, Any]) -> tuple[float, float]:
    """Of one sample through the generator and through the discriminator of an architecture."""
    torch.manual_seed(0)
    nets = {k: dict(node[k]) for k in ("generator", "discriminator")}
    for net in nets.values():
        if net.get("characters", 0) is None:  # as many as the text has: at most
            net["characters"] = MOST_CHARACTERS
    generator, discriminator = (instantiate(net, k) for k, net in nets.items())
    latent = instantiate(node["latent"], "latent")
    z = torch.zeros(2, *latent.shape)
    labels = [torch.zeros(2, dtype=torch.int64)]
    found = []
    for net in (generator, discriminator):
        given = labels if getattr(net, "classes", 0) else []
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            z = net(z, *given)
        found.append(counter.get_total_flops() / 2)
    return found[0], found[1]


def hours(
    config: Mapping[str, Any], known: dict[str, tuple[float, float]], rate: float
) -> tuple[float, float]:
    """(operations, hours) of a run from its beginning."""
    key = str(config["architecture"])
    if key not in known:
        known[key] = operations(config["architecture"])
    of_g, of_d = known[key]
    d_steps, g_steps, batch = (config[k] for k in ("d_steps", "g_steps", "batch_size"))
    penalised = config["penalty"]["name"] != "none"
    of_critic = of_g + of_d * (6 + 9 * penalised)  # fakes; both kinds, forth and back; the penalty
    update = batch * (d_steps * of_critic + g_steps * 3 * (of_g + of_d))
    at_once = STACK if of_g + of_d < SMALL else 1
    seconds = max(update / rate, FLOOR * (d_steps + g_steps) / at_once)
    return update * config["steps"], seconds * config["steps"] / 3600


def work(name: str, words: Sequence[str], rate: float) -> Work:
    """What an entry has to do at the paper's scale. Raises `BadInput` for words that it refuses."""
    sweep, known = plan_of(name, ["scale=paper", *words]).sweep, dict[str, tuple[float, float]]()
    configs = [job.config for job in sweep.jobs] if sweep else []
    left = [
        config
        for config, folders in zip(configs, folders_of(configs), strict=True)
        if not any(folder.finished(config["steps"]) for folder in folders)
    ]
    each = [hours(config, known, rate) for config in left]
    total = (sum(values) for values in zip(*each, strict=True)) if each else (0.0, 0.0)
    return Work(len(configs), len(configs) - len(left), *total)


def say(names: Sequence[str], words: Sequence[str], rate: float) -> None:
    """Print a line for each entry as it is known, and their sum."""
    line = "{:24} {:>6} {:>9} {:>16} {:>17}".format
    print(line("entry", "runs", "finished", "operations left", "hours (reckoned)"))
    total = 0.0
    for name in names:
        found = work(name, words, rate)
        total += found.hours
        of_rest = (f"{x:.2g}" for x in (found.operations, found.hours))
        print(line(name, found.runs, found.finished, *of_rest), flush=True)
    print(line("all", "", "", "", f"{total:.2g}"), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="ENTRY | key=value")
    parser.add_argument("--go", action="store_true", help="train, and do not only say what")
    parser.add_argument("--rate", type=float, default=RATE, help="operations a second")
    args = parser.parse_intermixed_args(arguments)
    words = [word for word in args.words if "=" in word]
    asked = [entry_of(word) for word in args.words if "=" not in word] or figure_ids()
    names = list(dict.fromkeys(asked))
    say(names, words, args.rate)
    if not args.go:
        return 0
    failed = []
    for number, name in enumerate(names, 1):
        print(f"\n== {number} of {len(names)}: {name}", flush=True)
        command = [sys.executable, "-m", "gp_lab", "figure", name, "scale=paper", *words]
        status = subprocess.run(command).returncode
        if status in (Exit.PREEMPTED, Exit.INTERRUPTED):
            return Exit(status)  # the same command goes on
        if status:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall are drawn")
    return Exit.FAILED if failed else Exit.OK


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BadInput as error:
        print(f"paper_scale: {error}", file=sys.stderr)
        sys.exit(Exit.BAD_INPUT)
