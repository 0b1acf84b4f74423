"""What the lab takes from inside wandb, all of it here: settings, credentials, its own process.

What W&B would do alone is for its own code to say. None of this is public there; a test
(`tests/unit/tracking/test_wandb_inside.py`) says what is relied on, and a version that has it
elsewhere keeps runs offline.
"""

import os
import threading
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from gp_lab.errors import one_line

TEARDOWN_SECONDS = 1.0
"""How long the end of W&B's process is waited for, before it is killed and after."""

Decision = Literal["online", "offline", "disabled"]

_SAID: dict[str, Decision] = {"disabled": "disabled", "offline": "offline", "dryrun": "offline"}
"""W&B's modes; all others (online, run, shared) go to the server."""

OF_A_RUN = {"group": "run_group", "tags": "run_tags", "name": "run_name"}
"""Arguments of `wandb.init` that the lab has values of its own for, and W&B's settings for them."""

_TRUE = {"1", "true", "t", "yes", "y", "on"}


class Unknown(Exception):
    """This version of wandb does not say what it would do."""


class Own(NamedTuple):
    """What W&B's own settings say.

    server: its address; decision: of the mode, None where the user has set none; project: None
    for none; init_timeout: None where the user has set none; proxies: scheme -> URL; given: those
    of `OF_A_RUN` that the user has set; entity: None for the user's own account.
    """

    server: str
    decision: Decision | None
    project: str | None
    init_timeout: float | None
    proxies: dict[str, str]
    given: frozenset[str] = frozenset()
    entity: str | None = None


def own_settings() -> Own:
    """W&B's settings as it merges them: defaults, its settings files, WANDB_*, its environment.

    They are read once a process. Raises `ValueError` for settings that it refuses, `Unknown` where
    they cannot be asked for.
    """
    # Its error reports hold stack traces, and hold up the end of a process by their own time-outs.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    try:
        from wandb.sdk import wandb_setup

        found = wandb_setup.singleton().settings
        given = found.model_fields_set
        decision = _SAID.get(found.mode, "online") if "mode" in given else None
        if os.environ.get("WANDB_DISABLED", "").lower() in _TRUE:  # as transformers has it
            decision = "disabled"
        proxies = {"http": found.http_proxy, "https": found.https_proxy}
        wandb.termsetup(found.model_copy(update={"silent": True}), None)
        return Own(
            found.base_url,
            decision,
            found.project,
            found.init_timeout if "init_timeout" in given else None,
            {scheme: url for scheme, url in proxies.items() if url},
            frozenset(k for k, setting in OF_A_RUN.items() if getattr(found, setting)),
            found.entity,
        )
    except (ImportError, AttributeError, TypeError) as error:
        raise Unknown(f"wandb {wandb.__version__}: {one_line(error)}") from error
    except Exception as error:
        with suppress(Exception):
            wandb.teardown()  # the half that was read would be taken for the whole next time
        raise ValueError(_refusal(error)) from error


def has_credentials(server: str) -> bool:
    """Whether W&B finds a key or a token for a server where it looks itself; it never asks.

    Raises `ValueError` for one that it refuses, `Unknown` where that cannot be asked.
    """
    import wandb

    try:
        from wandb.sdk.lib import wbauth

        found = wbauth.authenticate_session(
            host=server, source="gp_lab", prompt=False, update_session=False
        )
    except (ImportError, AttributeError, TypeError) as error:
        raise Unknown(f"wandb {wandb.__version__}: {one_line(error)}") from error
    except Exception as error:
        raise ValueError(one_line(error)) from error
    return found is not None


def service_pid() -> int | None:
    """The process that writes the runs of this one; None without one, or if it is another's."""
    process = _process()
    return None if process is None else process.pid


def end_service() -> None:
    """End W&B's process, and what waits for it; the next run gets a new one.

    It has `TEARDOWN_SECONDS` to close its logs, and is killed then. One that belongs to another
    process is left alone.
    """
    import wandb

    process = _process()

    def teardown() -> None:
        with suppress(Exception, SystemExit):  # it is dead, or has ended in an error
            wandb.teardown()
        if process is not None:
            process.wait()

    thread = threading.Thread(target=teardown, name="end of wandb", daemon=True)
    thread.start()
    thread.join(TEARDOWN_SECONDS)
    if thread.is_alive() and process is not None:
        process.kill()
        thread.join(TEARDOWN_SECONDS)


def _process() -> Any:
    """The `Popen` of W&B's process, if it was started by this one."""
    try:
        from wandb.sdk import wandb_setup

        setup = wandb_setup._singleton
        if setup is None or setup._pid != os.getpid() or setup._connection is None:
            return None
        owner = setup._connection._proc
        return None if owner is None else owner._process
    except (ImportError, AttributeError):
        return None


def _refusal(error: Exception) -> str:
    """What a setting is and why it is refused, in one line; pydantic's errors have several."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return one_line(error)
    first = errors()[0]
    name, why = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    secret = any(word in name for word in ("key", "token", "proxy"))
    return f"{name}: {why}" if secret else f"{name}={first['input']}: {why}"
