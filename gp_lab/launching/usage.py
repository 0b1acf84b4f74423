"""What `gp-lab --help` and `gp-lab COMMAND --help` say."""

import inspect
import re
from collections.abc import Callable
from typing import Any

USAGE = """\
gp-lab: gradient penalties and generalisation in GANs, five papers as an executable edition

  gp-lab train [-m] [key=value ...]      one run, or with -m the product of comma-separated values
                                         (experiment=NAME: settings that a file has)
  gp-lab resume RUN [steps=N]            go on with a run; with more steps, extend it
  gp-lab sample RUN [-n 64] [--kind ..]  what a run's generator makes, as a picture or a text
  gp-lab evaluate RUN [probe=inception]  its scores now; step=N: at that checkpoint; of several
                                         runs, or OUTPUTS and filters: one after another
                                         (all three: dataset.root=DIR where its data lie now)
  gp-lab figure PAPER/ITEM [key=value]   run what is missing, draw it, test its claims
  gp-lab figures [key=value ...]         all of them, the report, and a table of the verdicts
  gp-lab status [OUTPUTS] [--watch]      how the runs stand: step, time left, job, why it failed
                                         (state=running, penalty=one_gp, ...: only such runs)
  gp-lab compare [OUTPUTS] [METRIC ...]  a sweep's runs in groups: means over seeds, intervals
                                         (--sort KEY, --baseline KEY=VALUE, --format markdown;
                                         KEY=A,B, KEY=LOW..HIGH, KEY~TEXT: only such runs)
  gp-lab report [OUTPUTS] [--watch]      one page of all figures, claims and runs
                                         (--watch: live, for this machine; --port N)
  gp-lab list [figures|datasets|...]     what there is to choose from
                                         (train, figure, figures, evaluate, list: --config-dir=DIR
                                         adds your own)
  gp-lab clean [OUTPUTS] [--yes]         what could be deleted; with --yes, delete it
  gp-lab wandb-sync [OUTPUTS]            upload the runs that W&B has offline, each once
  gp-lab wandb-view [OUTPUTS]            a workspace on W&B: curves by penalty, surfaces by step,
                                         scores grouped over seeds (--project, --entity)
  gp-lab doctor [OUTPUTS]                what there is here: GPU, Slurm, W&B, data, weights, disk

  gp-lab train --cfg job [key=value ...] the composed config; with -m, the runs
  gp-lab COMMAND --help                  what a command takes; of train, all of Hydra's flags
  gp-lab figure PAPER/ITEM --cfg job     the runs it would train, and which are finished
  eval "$(gp-lab -sc install=bash)"      shell completion
"""


def help_of(name: str, command: Callable[..., Any]) -> str:
    """Of one command: its lines above, and what its function says of itself."""
    lines = re.findall(rf"^  gp-lab {name}\b.*\n(?: {{8,}}.*\n)*", USAGE, re.M)
    return f"{''.join(lines)}\n{inspect.getdoc(command)}\n"
