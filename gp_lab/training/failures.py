"""What the machine could not do for a run, and what to change."""

import errno

from gp_lab.errors import failure, out_of_memory
from gp_lab.runs.settings import Settings


def advice(error: BaseException, settings: Settings, stack: int, step: int) -> str | None:
    """What failed in a stack at `step` and what to do; None if the machine is not to blame."""
    what = failure(error)
    if what is None:
        return None
    if out_of_memory(error):
        of_stack = f"hydra.launcher.max_stack={stack}, " if stack > 1 else ""
        numbers = f"batch_size={settings.batch_size}, {of_stack}precision={settings.precision}"
        to_do = f"lower {numbers} or the probes' counts"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        to_do = "the same command goes on once there is room"
    else:
        to_do = "the same command goes on from the last checkpoint"
    return f"{what} at step {step}; {to_do}"
