"""What the lab's parts take, read in their source: PyTorch, which they import, takes a second."""

import ast
import typing
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gp_lab import fields

ROOT = Path(__file__).parent

KNOWN = vars(typing) | vars(fields)
"""What an annotation may name to be understood without its module."""


@cache
def hints(path: str) -> dict[str, Any]:
    """Name -> type of what a class of the lab, `gp_lab.package.module.Class`, is made from.

    Those alone that its body, its `__init__` or its bases give in the words of `typing`,
    `gp_lab.fields` and the module's short names for these; none of what is no such class.
    """
    module, _, name = path.rpartition(".")
    package, *names = module.split(".")
    if package != ROOT.name or not names or not all(map(str.isidentifier, names)):
        return {}
    file = ROOT.joinpath(*names).with_suffix(".py")
    if not file.is_file():
        return {}
    known, places = dict(KNOWN), dict[str, str]()
    for statement in ast.parse(file.read_bytes()).body:
        match statement:
            case ast.ImportFrom(module=str(other), names=imported):
                places |= {one.asname or one.name: f"{other}.{one.name}" for one in imported}
            case ast.Assign(targets=[ast.Name(id=short)], value=ast.Subscript() as value):
                known[short] = _understood(ast.unparse(value), known)  # Shape = Literal[...]
            case ast.ClassDef(name=other) if other == name:
                return _hints_of(statement, places, known)
            case ast.ClassDef(name=other):
                places[other] = f"{module}.{other}"
    return {}


def _hints_of(
    class_: ast.ClassDef, places: dict[str, str], known: dict[str, Any]
) -> dict[str, Any]:
    """Of a class in a module where these names have these places and meanings."""
    found = dict[str, Any]()
    init, own = _annotations(class_)
    bases = [] if init else [b.id for b in reversed(class_.bases) if isinstance(b, ast.Name)]
    for base in bases:
        found |= hints(places.get(base, ""))
    found |= {name: _understood(hint, known) if hint else None for name, hint in own.items()}
    return {name: hint for name, hint in found.items() if hint is not None}


def _annotations(class_: ast.ClassDef) -> tuple[bool, dict[str, str]]:
    """Whether a class has an `__init__`, and the arguments of that, or else its fields."""
    for statement in class_.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            given = statement.args.args + statement.args.kwonlyargs
            return True, {a.arg: ast.unparse(a.annotation) for a in given if a.annotation}
    return False, {
        statement.target.id: "" if _is_not_given(statement) else ast.unparse(statement.annotation)
        for statement in class_.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def _is_not_given(field: ast.AnnAssign) -> bool:
    """Whether this is a `field(init=False)`, which a class may put in place of one of its base."""
    return isinstance(field.value, ast.Call) and any(w.arg == "init" for w in field.value.keywords)


def _understood(annotation: str, known: dict[str, Any]) -> Any:
    """The type that an annotation names, or None."""
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, known, include_extras=True)["it"]
    except (NameError, AttributeError, TypeError, SyntaxError):  # of its module's own
        return None
