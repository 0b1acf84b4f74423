"""`python signalled.py STEP SIGNAL self|parent train ...`: gp-lab, and a signal in mid-run.

The process, or its parent, gets the signal as soon as the run has the metrics of that step: at the
same point however fast the machine is.
"""

import os
import sys
from functools import partial

import pytest
from lab import act_at

from gp_lab.cli import entry

if __name__ == "__main__":
    step, number, whom = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    pid = os.getppid() if whom == "parent" else os.getpid()
    if whom == "self" or os.environ.get("RANK", "0") == "0":  # one rank of torchrun's is enough
        act_at(step, partial(os.kill, pid, number), pytest.MonkeyPatch())
    sys.argv = ["gp-lab", *sys.argv[4:]]
    entry()
