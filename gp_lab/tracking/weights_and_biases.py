"""Weights & Biases: one run there for each run folder, online or offline, never in the way.

W&B's own settings decide: what its user has set (`wandb offline`, WANDB_MODE, ...) and what
`tracking.mode` says meet, and the quieter of the two wins. Where neither says anything, a run is
online when there is a key and the server answers (asked once a process: an unreachable server
otherwise blocks for more than a minute), else offline. The id there is the run's id, or that of the
run of a sweep that `wandb agent` asks for; steps are explicit, and after a resume what is missing
comes from `metrics.jsonl`.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np

from gp_lab.errors import BadInput, Exit, one_line
from gp_lab.instantiate import Checked
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, setting_id
from gp_lab.runs.result import RunResult, result_of
from gp_lab.runs.status import State
from gp_lab.tracking import ending, sweeps, wandb_inside
from gp_lab.tracking.base import Best, Mode, Tracker
from gp_lab.tracking.reachable import silence
from gp_lab.tracking.syncing import mark, start_log
from gp_lab.tracking.wandb_inside import Decision, Own
from gp_lab.tracking.wandb_models import model_of

log = logging.getLogger(__name__)

PROJECT = "gp_lab"

INIT_SECONDS = 30.0
"""How long the beginning of a run waits for a server, unless W&B's own settings say."""

LONGEST_GROUP, LONGEST_TAG = 128, 64
"""Characters; W&B's server refuses more."""

MADE_BY = ("commit", "dirty", "versions", "device", "engine", "threads", "stack", "ranks")
"""Of `status.json`, in the config on the dashboard."""

MARGIN = 5.0
"""Seconds by which W&B itself gives up an upload before the lab does: its log is whole then."""


@dataclass(frozen=True)
class WandbTracking(Checked):
    """Args:
    mode: auto leaves it to W&B's own settings, and where they are silent to whether it works.
    project, entity: where the runs go; null for W&B's own settings, and there gp_lab and the user.
    group, tags, run_name: null for W&B's own settings, and there the setting without its seed; data
        set, loss, penalty, figure and panel; the folder's name.
    notes: null for W&B's own settings.
    artifact: final uploads the last checkpoint of a run that has finished, as a model.
    """

    mode: Mode = "auto"
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] | None = None
    run_name: str | None = None
    notes: str | None = None
    artifact: Literal["none", "final"] = "none"

    place: ClassVar[str] = "wandb"

    def open(self, config: Config, folder: RunFolder) -> Tracker:
        """A tracker for this run; one that leads nowhere if W&B refuses (it says why).

        A server that can be reached but does not answer costs `INIT_SECONDS` once a process.
        """
        return self.opened(lambda own, mode: _WandbTracker(self, own, mode, config, folder))

    def opened(self, begin: Callable[[Own | None, Decision], Tracker]) -> Tracker:
        """What begins with W&B's own settings and a mode, as `open` says."""
        try:
            own = wandb_inside.own_settings()
        except wandb_inside.Unknown as error:
            _say_once(f"W&B: its settings cannot be read ({error}); runs are written offline")
            own = None
        except ValueError as error:
            _say_once(f"W&B is left out: {error}")
            return Tracker()
        mode = "offline" if own is None else choose_mode(self.mode, own)
        if mode == "disabled":
            return Tracker()
        try:
            if own is not None and mode == "online":
                try:
                    return begin(own, mode)
                except Exception as error:
                    log.warning("W&B: %s; runs are written offline", one_line(error))
                    _fail(own.server)
            return begin(own, "offline")
        except Exception as error:
            log.warning("W&B is left out of this run: %s", one_line(error))
            return Tracker()


def choose_mode(mode: Mode, own: Own) -> Decision:
    """What becomes of a run: the quieter of what `tracking.mode` and W&B's own settings say.

    `online` goes there without asking the server first; without a key W&B would ask for one, so
    that stays offline.
    """
    order: list[Decision] = ["disabled", "offline", "online"]
    wanted = [said for said in (own.decision, None if mode == "auto" else mode) if said]
    decision = min(wanted, key=order.index, default=None)
    if mode == "online" and decision != "online":
        _say_once(
            f"W&B: tracking.mode=online, but W&B's own settings (WANDB_MODE, `wandb {decision}`)"
            f" say {decision}, which wins"
        )
    if decision in ("disabled", "offline"):
        return decision
    if own.server in _failed:
        return "offline"
    try:
        if not wandb_inside.has_credentials(own.server):
            if decision == "online":
                _say_once(f"W&B: no key for {own.server}, see wandb login; {_OFFLINE}")
            return "offline"
    except (ValueError, wandb_inside.Unknown) as error:
        _say_once(f"W&B: {error}; {_OFFLINE}")
        return "offline"
    if decision == "online":
        return "online"
    if why := _silence(own.server, tuple(own.proxies.items())):
        _say_once(f"W&B: {own.server} cannot be reached ({why}); {_OFFLINE}")
        return "offline"
    return "online"


_OFFLINE = "runs are written offline"

_silence = cache(lambda server, proxies: silence(server, dict(proxies)))

_say_once = cache(log.warning)

_failed: set[str] = set()
"""Servers that could be reached, but let no run begin, or end."""

_open: set[int] = set()
"""Ids of the trackers whose runs W&B's process, which all runs of this one share, still writes."""


def _fail(server: str) -> None:
    _failed.add(server)
    _end_service()


def _end_service() -> None:
    """End W&B's process where no run depends on it."""
    if not _open:
        wandb_inside.end_service()


class _WandbTracker(Tracker):
    def __init__(
        self,
        tracking: WandbTracking,
        own: Own | None,
        mode: Decision,
        config: Config,
        folder: RunFolder,
    ) -> None:
        import wandb

        self._wandb, self._artifact = wandb, tracking.artifact
        self._folder, self._server = folder, own.server if own and mode == "online" else None
        self._steps = config.get("steps")
        self._gone, self._lost = False, 0
        place = {} if sweeps.asked() else sweeps.place_of(folder)
        run_id = sweeps.asked() or place.get("id") or _own_id(config, folder)
        # What a killed process left is written anew, whole, from metrics.jsonl.
        uploaded = start_log(folder, run_id) if mode == "offline" else None
        self._again = uploaded is not None
        self._newest: dict[str, Any] = {}
        self._scores: dict[str, Any] = {}
        self._best: dict[str, Best] = {}
        self._defined: set[str] = set()
        self._run = wandb.init(
            mode="online" if mode == "online" else "offline",
            dir=folder.path,
            id=run_id,
            project=tracking.project or place.get("project") or (own and own.project) or PROJECT,
            entity=tracking.entity or place.get("entity"),
            notes=tracking.notes,
            **_names(tracking, own, config, folder),
            config=_config(config, folder) | place.get("config", {}),
            reinit="create_new",
            resume="allow" if mode == "online" else None,
            settings=wandb.Settings(
                **settings(own), **({"sweep_id": place["sweep"]} if "sweep" in place else {})
            ),
        )
        if not place and run_id != folder.status["id"]:
            sweeps.keep(folder, self._run)
        self._last = (
            self._run.step - 1 if mode == "online" else -1 if uploaded is None else uploaded
        )
        _open.add(id(self))
        with suppress(Exception):  # charts have W&B's own axis then
            self._run.define_metric("step", hidden=True)
            self._run.define_metric("*", step_metric="step")

    def scores(self, best: Mapping[str, Best]) -> None:
        self._best = dict(best)

    def log(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            self._scores |= {name: value for name, value in line.items() if self._best_of(name)}
            if self._again:
                self._remember(line)
            if line["step"] > self._last:
                self._define(line)
                self._send(dict(line), line["step"])

    def pictures(self, step: int, probe: str, draw: Callable[[], Mapping[str, np.ndarray]]) -> None:
        if step > self._last and not self._gone:
            try:
                caption = f"{probe}, step {step}"
                images = {k: self._wandb.Image(v, caption=caption) for k, v in draw().items()}
            except Exception as error:
                log.warning("W&B: no pictures of step %d: %s", step, error)
                return
            if images:
                self._send({"step": step, **images}, step)

    def results(self, found: Mapping[str, Any]) -> None:
        if not self._gone:
            try:
                self._run.summary.update(dict(found))
            except Exception as error:
                log.warning("W&B was not told %s: %s", ", ".join(found), one_line(error))

    def close(self) -> None:
        if self._lost > 1:
            log.warning("W&B lost %d lines and pictures of %s in all", self._lost, self._name)
        if self._gone:
            return
        try:
            self._run.finish(exit_code=self._say_how_it_ended())
            if self._server is not None:
                mark(self._folder, self._run.id)
        except TimeoutError:
            self._give_up()
        except Exception as error:
            if not self._gone:
                self._gone = True
                log.warning("W&B did not finish: %s; metrics.jsonl has all", one_line(error))
        finally:
            _open.discard(id(self))

    def abandon(self) -> None:
        self._gone = True
        _open.discard(id(self))
        self._give_up()
        _end_service()

    def _say_how_it_ended(self) -> int:
        """Send how the run stands in its folder; the exit status that this stands for."""
        try:
            end = result_of(self._folder, self._steps)
        except BadInput:  # somebody has damaged it
            return int(Exit.FAILED)
        diverged = end.state == State.DIVERGED
        at = {"diverged_at": end.step} if diverged else {}
        with suppress(Exception):  # `finish` says what is wrong
            of_end = {"state": str(end.state), "why": end.why, **at}
            self._run.summary.update({**self._newest, **of_end})
            if diverged:
                self._run.tags = (*(self._run.tags or ()), "diverged")
        if self._artifact == "final":
            self._send_model(end)
        return int(end.exit)

    def _send_model(self, end: RunResult) -> None:
        """The last checkpoint of a run that has finished, unless it has gone on since."""
        try:
            if end.state == State.FINISHED and self._folder.status.get("step") == end.step:
                model = model_of(self._folder, self._run.id, end.step, self._scores)
                self._run.log_artifact(model, aliases=["latest", f"step-{end.step}"])
        except Exception as error:
            log.warning("W&B: %s was not made an artifact: %s", self._name, one_line(error))

    def _remember(self, line: Mapping[str, Any]) -> None:
        """A log of what came after an upload has a summary of its own, which takes the place of the
        one before: it is to hold what that held, too."""
        for name, value in line.items():
            if best := self._best_of(name):
                had = self._newest.get(name, {best: value})
                value = {best: (min if best == "min" else max)(had[best], value), "last": value}
            self._newest[name] = value

    def _best_of(self, name: str) -> Best | None:
        return next((b for k, b in self._best.items() if fnmatchcase(name, k)), None)

    def _define(self, names: Iterable[str]) -> None:
        """Of the scores among these metrics W&B keeps the best value beside the last."""
        for name in set(names) - self._defined:
            self._defined.add(name)
            if best := self._best_of(name):
                with suppress(Exception):
                    self._run.define_metric(name, step_metric="step", summary=f"{best},last")

    @property
    def _name(self) -> str:
        return self._folder.path.name

    def _give_up(self) -> None:
        if self._server is not None:
            _failed.add(self._server)
            self.unsent = str(self._folder.path / "wandb" / "run-*")

    def _send(self, values: dict[str, Any], step: int) -> None:
        if self._gone:
            return
        try:
            self._run.log(values, step=step)
        except ConnectionError as error:
            self._gone = True
            log.warning(
                "W&B's own process has died (%s): %s goes on without it; metrics.jsonl has all",
                error,
                self._name,
            )
            _open.discard(id(self))
            _end_service()
        except Exception as error:
            self._lost += 1
            if self._lost == 1:
                log.warning("W&B lost step %d: %s", step, error)


def _own_id(config: Config, folder: RunFolder) -> str:
    """The run's id; of one that starts over another: what came before stays as it is there."""
    status = folder.status
    if (config.get("force") or status.get("started_over")) and not folder.metrics():
        return f"{status['id']}-{re.sub('[^0-9]', '', status.get('created', ''))}"
    return str(status["id"])


def _names(
    tracking: WandbTracking, own: Own | None, config: Config, folder: RunFolder
) -> dict[str, Any]:
    """What a run is called and found by: as the config says, W&B's own settings, or the lab."""
    of_groups = [config[g].get("name") for g in ("dataset", "loss", "penalty")]
    of_figure = [(config.get("figure") or {}).get("id"), config.get("panel")]
    ours = {
        "group": setting_id(config)[-LONGEST_GROUP:],
        "tags": list(dict.fromkeys(str(t)[:LONGEST_TAG] for t in of_groups + of_figure if t)),
        "name": folder.path.name,
    }
    given = {"group": tracking.group, "tags": tracking.tags, "name": tracking.run_name}
    of_wandb = own.given if own else ()
    return {
        name: value if given[name] is None else given[name]
        for name, value in ours.items()
        if given[name] is not None or name not in of_wandb
    }


def _config(config: Config, folder: RunFolder) -> Config:
    """The run's config, without what is of this machine alone, its setting, and what made it."""
    kept = {k: v for k, v in config.items() if k not in ("trust", "out", "force")}
    status = folder.status
    made_by = {k: status[k] for k in MADE_BY if k in status}
    return kept | {"setting": setting_id(config), "made_by": made_by}


def settings(own: Own | None) -> dict[str, Any]:
    """Silent, of nothing but what the run logs, and never in the way."""
    patience = None if own is None else own.init_timeout
    return {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "x_disable_meta": True,  # in a job of Slurm: SLURM_*, a token among them
        "x_disable_stats": True,
        "init_timeout": INIT_SECONDS if patience is None else patience,
        "finish_timeout": ending.ORDINARY - MARGIN,
        "finish_timeout_raises": True,
    }
