"""Parts from configs: which targets are trusted, and how a YAML node becomes a checked object.

A target is accepted for what it resolves to, not for how its path begins: the object's own module
and name equal the path, and it is a public class of one of the rooms that hold parts, an
`nn.Module` or an optimiser. The constructor's signature is the schema: unknown keys, missing keys,
wrong types and impossible values end in one sentence that names the key.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gp_lab import sources
from gp_lab.errors import BadInput, bad_choice, bad_key, out_of_memory, show

if TYPE_CHECKING:  # most commands look at names and numbers alone
    import torch

ROOMS = (
    "gp_lab.data.",
    "gp_lab.networks.",
    "gp_lab.objectives.",
    "gp_lab.probes.",
    "gp_lab.tracking.",
    "gp_lab.training.optimizers.",
    "gp_lab.training.schedules.",
)


class Run(Protocol):
    """A run that is built and not begun, as its parts see it when each checks that it fits in.

    A part that has something to check has a method `check(key, run)`, `key` being the part's own
    in the config; it raises `BadInput`.
    """

    @property
    def config(self) -> Mapping[str, Any]:
        """Resolved: plain values by group and key."""

    @property
    def settings(self) -> Any:
        """Its scalars, as `gp_lab.runs.settings.Settings` lists them."""

    @property
    def game(self) -> Any:
        """Networks, loss, penalty, constraint, ...: a `gp_lab.training.step.Game`."""

    @property
    def dataset(self) -> Any:
        """A prepared `gp_lab.data.base.Dataset`."""

    @property
    def latent(self) -> Any:
        """A prepared `gp_lab.data.base.Latent`."""

    @property
    def device(self) -> "torch.device":
        """Where the networks are."""

    @property
    def dtype(self) -> "torch.dtype":
        """Of their parameters."""


def chosen(run: Run, group: str) -> str:
    """The choice of a group, as in `architecture=mlp`."""
    return f"{group}={run.config[group].get('name')}"


def network_key(run: Run, network: str, key: str) -> str:
    """Where the config gives a network's key: once for all networks, or for this one."""
    of_all = key in run.config["architecture"]
    return f"architecture.{key}" if of_all else f"architecture.{network}.{key}"


def resolve(path: str, key: str = "_target_", trust: Sequence[str] = ()) -> type:
    """The class that a dotted path names, if it is one that a config may name.

    Raises `BadInput` if the path leads nowhere, leads somewhere under another name than its own,
    or names something that is no part (a function, a private name, a class of another package).
    """
    refusal = f"{key}={show(path)}: not a part that a config may name"
    if not isinstance(path, str) or not all(
        name.isidentifier() and not name.startswith("_") for name in path.split(".")
    ):
        raise BadInput(f"{refusal}: a part is a public class, written package.module.Class")
    root = path.split(".")[0]
    if root in trust:
        look_here(root)
    if root not in ("gp_lab", "torch", *trust):
        raise BadInput(
            f"{refusal}; parts are classes of gp_lab, torch.nn.Module and torch.optim.Optimizer"
            f" (add trust=[{root}] on the command line to admit your own package)"
        )
    module_name, _, name = path.rpartition(".")
    if root == "torch" and module_name not in sys.modules:
        importlib.import_module("torch")
    try:
        # Of torch only what its own import loads; of gp_lab only the rooms that hold parts.
        if root == "gp_lab" and not (module_name + ".").startswith(ROOMS):
            raise BadInput(f"{refusal}: gp_lab's parts live in {', '.join(r[:-1] for r in ROOMS)}")
        module = sys.modules[module_name] if root == "torch" else _import(module_name)
        target = getattr(module, name)
    except (KeyError, AttributeError, ValueError, ImportError) as error:
        where = ", installed or in the current folder" if root in trust else ""
        raise BadInput(f"{key}={path}: nothing of that name can be imported{where}") from error
    if not inspect.isclass(target):
        raise BadInput(f"{refusal}: it is not a class")
    if getattr(target, "_is_protocol", False):
        raise BadInput(f"{refusal}: it only says what such a part has to have")
    own = f"{target.__module__}.{target.__qualname__}"
    if own != path:
        raise BadInput(f"{refusal}: its own name is {own}")
    if lacking := sorted(getattr(target, "__abstractmethods__", ())):
        raise BadInput(f"{refusal}: it does not define {' and '.join(lacking)}")
    if root == "torch":
        import torch

        if not issubclass(target, torch.nn.Module | torch.optim.Optimizer):
            raise BadInput(f"{refusal}: neither an nn.Module nor an optimiser")
    return target


def packages(value: Any) -> list[str]:
    """The packages that a value of `trust` names: one, or a list. Raises `BadInput`.

    One that only the current folder has is found there from now on.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise BadInput(f"trust={show(value)}: not a package, nor a list; write [a,b,...]")
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise BadInput(f"trust={show(name)}: not the name of a package")
        look_here(name)
    return list(names)


def look_here(package: str) -> None:
    """Lets a trusted package be imported from the current folder, if it is found nowhere else."""
    here = Path.cwd()
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return
    if (here / package).is_dir() or (here / f"{package}.py").is_file():
        sys.path.append(str(here))


class Checked:
    """A part of the lab: from Python, too, a wrong value is refused when it is made.

    What a config would be told of a value is said of it, as `BadInput`; a list may stand for a
    tuple. Objects are taken as they are, and all values of a part that stands for those of a stack
    (tensors, checked before they were stacked): compilers see it being made.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if not any(map(_is_stacked, kwargs.values())):
            _check_arguments(cls, args, kwargs)
        return super().__new__(cls)


def _is_stacked(value: Any) -> bool:
    several = isinstance(value, tuple) and any(map(_is_stacked, value))
    return several or hasattr(value, "requires_grad")


def _check_arguments(target: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    given = _signature(target).bind_partial(*args, **kwargs).arguments if args else kwargs
    for name, value in given.items():
        hint = _hints(target).get(name, Any)
        if _kind(hint) is None and _is_plain(value):
            _checked(_as_tuples(value), hint, name)


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a config can hold."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@cache
def _signature(target: type) -> inspect.Signature:
    """What a class is made from: its `__init__` says so, also where a base has a `__new__`."""
    init = inspect.getattr_static(target, "__init__")
    if init is object.__init__:
        return inspect.Signature()
    own = inspect.signature(init)
    return own.replace(parameters=[*own.parameters.values()][1:])


def checked(target: type, values: Mapping[str, Any], key: str = "", **given: Any) -> Any:
    """`target(**values)`, checked as by `instantiate`; keys are named as they stand below `key`."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return _construct(target, plain, key, given)


def instantiate(
    node: Any, key: str, trust: Sequence[str] = (), kind: type | None = None, **given: Any
) -> Any:
    """The object that a config node describes, built from the leaves up.

    `node` is a plain value (mapping, list, scalar); a mapping with `_target_` becomes an instance
    of that class. Keys are checked against the constructor's signature and types; at the top of a
    group (`key` without a dot) it may have a `name`, the `digest` of its data, and keys that stand
    for those of the parts inside, as `root` does for `source.root`. `given` supplies arguments that
    are not in the config; `kind` is the base class or protocol of what is asked for. Raises
    `BadInput` naming the key.
    """
    if isinstance(node, Mapping) and "_target_" in node:
        target = resolve(node["_target_"], f"{key}._target_", trust)
        if kind is not None and not _is_a(target, kind):
            known = f"{kind.__module__}.{kind.__qualname__}"
            raise BadInput(
                f"{key}._target_={node['_target_']}: cannot be used as {key}, which is a {known}"
            )
        hints = _hints(target)
        own = _own_keys(target, node, key)
        values = {
            k: instantiate(v, f"{key}.{k}", trust, _kind(hints.get(k))) for k, v in own.items()
        }
        return _construct(target, values, key, given)
    if kind is not None:
        raise BadInput(f"{key}={show(node)}: not a part; a part names its class with _target_")
    if isinstance(node, Mapping):
        return {k: instantiate(v, f"{key}.{k}", trust) for k, v in node.items()}
    if isinstance(node, list | tuple):
        return tuple(instantiate(v, f"{key}[{i}]", trust) for i, v in enumerate(node))
    return node


def check_types(node: Any, key: str, trust: Sequence[str] = ()) -> None:
    """Raises `BadInput` for what `instantiate` would refuse by a part's signature alone.

    Nothing is made. Null is let pass: the data may say what it stands for.
    """
    if isinstance(node, Mapping) and "_target_" in node:
        target = resolve(node["_target_"], f"{key}._target_", trust)
        _check_values(_own_keys(target, node, key), _hints(target), key)
    for name, value in _inside(node, key):
        check_types(value, name, trust)


def check_types_in_source(node: Any, key: str) -> None:
    """As `check_types`, of what the sources of the lab's parts say; PyTorch is not imported."""
    if isinstance(node, Mapping):
        _check_values(node, sources.hints(str(node.get("_target_"))), key)
    parts = sorted(_inside(node, key), key=itemgetter(0))  # D before G, as they are made
    for name, value in parts:
        check_types_in_source(value, name)


def _check_values(node: Mapping[str, Any], hints: Mapping[str, Any], key: str) -> None:
    for name, value in node.items():
        if value is not None and _is_plain(value):
            _checked(_as_tuples(value), hints.get(name, Any), f"{key}.{name}")


def _inside(node: Any, key: str) -> list[tuple[str, Any]]:
    """What a node holds, with the keys of that."""
    if isinstance(node, Mapping):
        return [(f"{key}.{name}", value) for name, value in node.items()]
    return [(f"{key}[{i}]", x) for i, x in enumerate(node)] if isinstance(node, list) else []


def _own_keys(target: type, node: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A part's node without what stands there for people, or for the parts inside."""
    parameters = _signature(target).parameters
    inside = {"name", "digest"}.union(*(v for v in node.values() if isinstance(v, Mapping)))
    of_group = "." not in key
    return {
        k: v
        for k, v in node.items()
        if k != "_target_" and not (of_group and k in inside and k not in parameters)
    }


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _is_a(target: type, kind: type) -> bool:
    if getattr(kind, "_is_protocol", False):
        return all(hasattr(target, name) for name in vars(kind) if not name.startswith("_"))
    return issubclass(target, kind)


@cache
def _hints(target: type) -> dict[str, Any]:
    return get_type_hints(inspect.getattr_static(target, "__init__"), include_extras=True)


def _kind(hint: Any) -> type | None:
    """A hint that is a class of parts, as `distribution: Distribution`; not int or str."""
    return hint if isinstance(hint, type) and hint.__module__ != "builtins" else None


def _import(name: str) -> Any:
    return importlib.import_module(name)


def _construct(target: type, values: dict[str, Any], key: str, given: dict[str, Any]) -> Any:
    parameters = _signature(target).parameters
    hints = _hints(target)
    arguments = dict(given)
    for name, value in values.items():
        if name not in parameters or name in given:
            raise bad_key(f"{key}.{name}", [p for p in parameters if p not in given])
        arguments[name] = _checked(value, hints.get(name, Any), _join(key, name))
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in arguments:
            raise BadInput(f"{_join(key, name)}: missing; {target.__name__} needs it")
    try:
        return target(**arguments)
    except (RuntimeError, MemoryError, TypeError, OverflowError, ValueError) as error:
        if out_of_memory(error):
            raise BadInput(f"{key}: too large for the memory of this machine") from error
        if not isinstance(error, ValueError):
            raise
        # A part says what it cannot be in its own words.
        named = re.match(r"\w+", str(error))
        own = named is not None and named[0] in parameters
        raise BadInput(_join(key, str(error)) if own else f"{key}: {error}") from error


def _checked(value: Any, hint: Any, key: str) -> Any:
    if hint is Any:
        return value
    try:
        return _adapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        raise _refusal(key, value, error.errors()) from None


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config={"arbitrary_types_allowed": True})


def _refusal(key: str, value: Any, problems: list[Any]) -> BadInput:
    """What pydantic found, for the entry of a list that it found it in."""
    problem = problems[0]
    short_of = problem["type"] in ("missing", "too_short", "too_long")
    if not short_of:
        key += "".join(f"[{i}]" for i in problem["loc"] if isinstance(i, int))
        value = problem["input"]
    expected = [p["ctx"]["expected"] for p in problems if p["type"] == "literal_error"]
    if expected:
        return bad_choice(key, value, re.findall(r"'([^']*)'", " ".join(expected)))
    bound = next(iter(problem.get("ctx", {}).values()), "")
    bound = f"{bound:g}" if isinstance(bound, float) else bound
    words = _WORDS.get(problem["type"], "").format(bound) or problem["msg"].lower()
    return BadInput(f"{key}={show(value)}: {words}")


_WORDS = {
    "int_type": "not a whole number",
    "float_type": "not a number",
    "bool_type": "not true or false",
    "string_type": "not a text",
    "tuple_type": "not a list; write [a,b,...]",
    "missing": "too few entries",
    "too_short": "too few entries",
    "too_long": "too many entries",
    "finite_number": "not a finite number",
    "greater_than": "must be greater than {}",
    "greater_than_equal": "must be at least {}",
    "less_than": "must be less than {}",
    "less_than_equal": "must be at most {}",
    "is_instance_of": "not a {}",
    "value_error": "{}",
    "string_too_short": "must not be empty",
}
"""pydantic's findings as a user would say them."""


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
