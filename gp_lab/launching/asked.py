"""What `gp-lab train` is asked for: one run, a sweep, or only to show something."""

from argparse import Namespace

from hydra.types import RunMode

from gp_lab.errors import BadInput
from gp_lab.launching.arguments import refuse_sweeps
from gp_lab.launching.compose import (
    CONFIG_NAME,
    compose,
    known,
    master_of,
    of_the_sweep,
    sweep_of,
)
from gp_lab.launching.hydra_internals import Hydra, asked_to_show, show
from gp_lab.launching.jobs import runs_table
from gp_lab.runs.identity import Config


def is_sweep(hydra: Hydra, args: Namespace) -> bool:
    """Whether a command has -m, or its overrides or their experiment say `hydra.mode=MULTIRUN`.

    Raises `BadInput` for several values of a key of one run.
    """
    first = of_the_sweep(hydra, args.overrides)
    if args.multirun or (first and master_of(hydra, first).hydra.mode == RunMode.MULTIRUN):
        return True
    refuse_sweeps(args.overrides)
    return False


def one_run(hydra: Hydra, args: Namespace) -> Config:
    """The config of the run that a command asks for. Raises `BadInput`."""
    config = compose(hydra, args.overrides)
    if config["figure"]["id"]:
        raise BadInput(
            f"figure={config['figure']['id']}: a figure has many runs; use gp-lab figure"
        )
    return config


def shown(hydra: Hydra, args: Namespace, sweep: bool) -> bool:
    """Print what --help, --hydra-help, --cfg or --info ask for; whether one of them is there.

    Of a sweep, --cfg job shows its runs, the others what all of them are made from.
    """
    if not asked_to_show(args):
        return False
    if sweep and args.cfg == "job":
        print(runs_table(sweep_of(hydra, args.overrides).jobs))
        return True
    args.overrides = (of_the_sweep if sweep else known)(hydra, args.overrides)
    show(hydra, CONFIG_NAME, args)
    return True
