"""`gp-lab wandb-view`: what runs have, for a workspace on W&B."""

import argparse
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gp_lab.errors import BadInput, LabError, one_line
from gp_lab.launching.program import outputs_of, parsed
from gp_lab.probes.base import Probe
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.identity import Config, canonical
from gp_lab.runs.metrics import last_values, values_of
from gp_lab.runs.scores import LOSSES, SCORES
from gp_lab.tracking.sweeps import place_of
from gp_lab.tracking.workspaces import Seen, make, needs_package
from gp_lab.training.dashboard import evaluated, probe_of

USAGE = "gp-lab wandb-view [OUTPUTS] [--project NAME] [--entity NAME]"


def view(arguments: list[str], about: str | None) -> str:
    """What `gp-lab wandb-view` says. Raises `LabError`."""
    parser = argparse.ArgumentParser("gp-lab wandb-view", description=about)
    parser.add_argument("outputs", metavar="OUTPUTS", nargs="?")
    parser.add_argument("--project", help="left out, that of the runs")
    parser.add_argument("--entity", help="left out, W&B's own setting or your account")
    args = parsed(parser, arguments, USAGE)
    needs_package()
    root = outputs_of([args.outputs] if args.outputs else [], USAGE)
    folders = find_runs(root)
    if not folders:
        raise BadInput(f"{root}: no runs there yet; write {USAGE}")
    return make(seen(folders), root, args.project, args.entity)


def seen(folders: Iterable[RunFolder]) -> Seen:
    """What runs have on W&B; one whose files are damaged is passed over."""
    names, pictures = dict[str, None](), dict[str, None]()
    last, projects, looked_at = dict[str, str](), Counter[str](), set[str]()
    for folder in folders:
        try:
            config = folder.config
            projects.update(_project(folder, config))
            probes = dict(_probes(config))
            metrics = last_values(folder.inside("metrics.jsonl"), probes)
            names |= dict.fromkeys(metrics)
            last |= {name: _in_summary(name, probes) for name in metrics if _is_score(name)}
            for line in folder.evaluations():
                last |= {name: name for name in values_of(evaluated(line) | {"step": line["step"]})}
            for name, probe in probes.items():
                if (text := f"{name} {canonical(config['probe'][name])}") not in looked_at:
                    found = _pictures(folder, name, probe)
                    looked_at |= {text} if found else set()
                    pictures |= dict.fromkeys(found)
        except (LabError, OSError, LookupError, TypeError, ValueError, AttributeError):
            continue
    scores = sorted(filter(_is_score, names), key=_rank)
    return Seen(
        losses=tuple(name for name in LOSSES if name in names),
        scores=tuple(scores),
        last={name: last[name] for name in sorted(last, key=_rank) if not name.endswith("/step")},
        pictures=tuple(pictures),
        project=next((name for name, _ in projects.most_common(1)), None),
    )


def _project(folder: RunFolder, config: Config) -> Iterator[str]:
    tracking = config["tracking"]
    nodes = [tracking, *(tracking.get("parts") or {}).values()]
    said = [place_of(folder).get("project"), *(node.get("project") for node in nodes)]
    yield from [str(project) for project in said if project][:1]


def _probes(config: Config) -> Iterator[tuple[str, Probe]]:
    """The probes of a run; one of somebody's own package is none, as nothing there is trusted."""
    nodes = config.get("probe")
    for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
        try:
            yield name, probe_of(name, node)
        except BadInput:
            continue


def _pictures(folder: RunFolder, name: str, probe: Probe) -> Sequence[str]:
    """The names of the pictures that a probe draws, by drawing what it wrote last."""
    if type(probe).pictures is Probe.pictures or not folder.array_steps(name):
        return []
    try:
        return list(probe.pictures(folder.arrays(name)))
    except Exception as error:  # arrays of strangers can make a drawing raise nearly anything
        warnings.warn(f"{folder.path}: no picture of {name} ({one_line(error)})", stacklevel=2)
        return []


def _is_score(name: str) -> bool:
    return name.partition("/")[0] in SCORES and not name.endswith("_std")


def _in_summary(name: str, probes: Mapping[str, Any]) -> str:
    """Of a score of which W&B keeps the best value, too, the last one."""
    probe, _, quantity = name.partition("/")
    best = probes[probe].best if probe in probes else {}
    return f"{name}.last" if any(fnmatchcase(quantity, pattern) for pattern in best) else name


def _rank(name: str) -> tuple[int, str]:
    probe = name.removeprefix("evaluated/").partition("/")[0]
    return SCORES.index(probe) if probe in SCORES else len(SCORES), name
