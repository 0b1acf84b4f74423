"""Methods of one's own that join an entry, beside the paper's.

    gp-lab figure zero_gp/fig2 method.mine='penalty=my_penalty;penalty.weight=3'

The file of an entry says which axis a new method joins, as which of the paper's methods it is
trained, and by which quantities methods are compared:

    joins: {axis: method, like: zero_gp, scores: {modes: higher, radial_error: lower}}

It stands in every cell in which `like` stands (or `at` some levels of other axes), at that method's
settings and at those of the scale; its own words come on top. Where they name a choice of a group
(`penalty=`), that choice is taken as its own file has it, without what `like` sets in that group.
`keeps` names groups that it cannot change, as the entry measures by them. Without such an axis in
the grid a method is the whole entry once more, and the paper's runs are the level `paper` of a new
axis.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gp_lab.errors import BadInput, bad_choice
from gp_lab.fields import Execution
from gp_lab.launching.config_groups import EXPERIMENT, choices, config_file
from gp_lab.overrides import group_of, parse, shortened, values
from gp_lab.runs.settings import run_keys

Methods = Mapping[str, tuple[str, ...]]
"""Name of a method -> its overrides."""
NO_METHODS: Methods = {}

PAPER = "paper"
"""The level of the paper's own runs, where a method joins an axis that the grid lacks."""

BETTER = ("higher", "lower", "near_zero")
"""What a score says of a method that is better."""

WORD = re.compile(r"method\.([^=]*)=(.*)", re.DOTALL)
NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)
OF_THE_COMMAND = run_keys(Execution) | {"figure", "scale", "seed", "panel", "hydra", "trust"}
"""Keys that are not one method's."""

_ELEMENT = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^;"'])+""")
"""What stands between semicolons, those inside quotes aside."""


@dataclass(frozen=True)
class Joins:
    """Which axis a new method joins, as which level, and by what methods are compared.

    at: the levels of other axes at which it stands; keeps: groups that it cannot change.
    """

    axis: str
    like: str
    scores: Mapping[str, str]
    at: Mapping[str, Any] = field(default_factory=dict)
    keeps: Sequence[str] = ()


def joins_of(figure: Mapping[str, Any]) -> Joins:
    """What an entry's file says. Raises `BadInput` if it says nothing, or nothing that fits."""
    name, said = figure.get("id"), figure.get("joins")
    if not said:
        raise BadInput(f"figure={name}: no method of one's own joins it (its file has no joins:)")
    known = [key.name for key in fields(Joins)]
    if wrong := [key for key in known[:3] if key not in said] or set(said) - set(known):
        raise bad_choice(f"figure={name}: joins", min(wrong), known)
    joins = Joins(**{**said, "like": str(said["like"])})
    for score, better in joins.scores.items():
        if better not in BETTER:
            raise bad_choice(f"figure={name}: joins.scores.{score}", better, BETTER)
    levels = figure["grid"].get(joins.axis, {PAPER: ()})
    if joins.like not in levels:
        raise bad_choice(f"figure={name}: joins.like", joins.like, levels)
    return joins


def split(words: Sequence[str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The words of a command without its methods, and these. Raises `BadInput`."""
    rest, found = [], {}
    for word in words:
        if match := WORD.fullmatch(word):
            found[_name(match[1])] = method_overrides(match[1], _ELEMENT.findall(match[2]))
        else:
            rest.append(word)
    return rest, found


def methods_of(figure: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The methods of a file: of each a list of overrides, or key -> value. Raises `BadInput`."""
    found = {}
    for name, said in (figure.get("methods") or {}).items():
        words = [f"{k}={v}" for k, v in said.items()] if isinstance(said, Mapping) else said
        if isinstance(words, str) or not isinstance(words, Sequence):
            raise BadInput(f"methods.{name}={words}: neither a list of overrides nor key: value")
        found[_name(str(name))] = method_overrides(name, list(map(str, words)))
    return found


def methods_of_experiment(word: str, config_dir: str | None) -> dict[str, tuple[str, ...]]:
    """Those of the file that `experiment=NAME` names. Raises `BadInput` if it says more.

    What else an experiment has is for `gp-lab train`: an entry has settings of its own.
    """
    folder = Path(config_dir) if config_dir else None
    name = str(values([word])[EXPERIMENT])
    if name not in (known := choices(EXPERIMENT, folder)):
        raise bad_choice(EXPERIMENT, name, known)
    said = config_file(EXPERIMENT, name, folder)
    figure = said.get("figure")
    if set(said) != {"figure"} or not isinstance(figure, Mapping) or set(figure) != {"methods"}:
        raise BadInput(
            f"{shortened(word)}: an entry has settings of its own; of an experiment it takes"
            " figure.methods, and that has to be all of the file"
        )
    return methods_of(figure)


def method_overrides(name: str, words: Sequence[str]) -> tuple[str, ...]:
    """The overrides of a method, well-formed and one value each. Raises `BadInput`."""
    kept = [word.strip() for word in words if word.strip()]
    if not kept:
        raise BadInput(f"method.{name}: sets nothing; write method.{name}='penalty=mine;key=value'")
    try:
        found = parse(kept)
    except BadInput as error:
        raise BadInput(f"method.{name}: {error}") from error
    for override, word in zip(found, kept, strict=True):
        if override.is_sweep_override():
            raise BadInput(f"method.{name}: {shortened(word)}: one value; name a method for each")
        if group_of(word) in OF_THE_COMMAND:
            raise BadInput(
                f"method.{name}: {shortened(word)}: not one method's; it stands beside it"
            )
    return tuple(kept)


def not_renamed(overrides: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """What is left of overrides in groups of which `own` names another choice."""
    named = {group_of(o) for o in own if re.fullmatch(r"\w+", o.lstrip("+").partition("=")[0])}
    return tuple(o for o in overrides if group_of(o) not in named)


def refuse(joins: Joins, method: str, own: Sequence[str], levels: Collection[str]) -> None:
    """Raises `BadInput` for a name that the paper's methods have, or a group the entry keeps."""
    if method in levels:
        raise BadInput(f"method.{method}: the entry has one of that name; call yours otherwise")
    for word in own:
        if (group := group_of(word)) in joins.keeps:
            why = f"the entry keeps its {group}, by which it measures"
            raise BadInput(f"method.{method}: {shortened(word)}: {why}")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadInput(
            f"method.{shortened(name)}: the name of a method is a letter, then letters, digits"
            " and _, at most 40"
        )
    return name
