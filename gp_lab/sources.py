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

    Those alone that its own body or `__init__` gives in the words of `typing`, `gp_lab.fields` and
    the module's short names for these; none of what is no such class.
    """
    package, *names = path.split(".")
    if package != ROOT.name or len(names) < 2 or not all(map(str.isidentifier, names)):
        return {}
    file = ROOT.joinpath(*names[:-1]).with_suffix(".py")
    if not file.is_file():
        return {}
    known = dict(KNOWN)
    for statement in ast.parse(file.read_bytes()).body:
        match statement:
            case ast.ClassDef(name=name) if name == names[-1]:
                found = {n: _understood(hint, known) for n, hint in _annotations(statement)}
                return {n: hint for n, hint in found.items() if hint is not None}
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                known[name] = _understood(ast.unparse(value), known)  # Shape = Literal[...]
    return {}


def _annotations(class_: ast.ClassDef) -> list[tuple[str, str]]:
    """The annotated fields of a class without an `__init__`, else the arguments of that."""
    for statement in class_.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            given = statement.args.args + statement.args.kwonlyargs
            return [(a.arg, ast.unparse(a.annotation)) for a in given if a.annotation]
    return [
        (statement.target.id, ast.unparse(statement.annotation))
        for statement in class_.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not (isinstance(statement.value, ast.Call) and _is_not_given(statement.value))
    ]


def _is_not_given(field: ast.Call) -> bool:
    """Whether this is a `field(init=False)`."""
    return any(word.arg == "init" for word in field.keywords)


def _understood(annotation: str, known: dict[str, Any]) -> Any:
    """The type that an annotation names, or None."""
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, known, include_extras=True)["it"]
    except (NameError, AttributeError, TypeError, SyntaxError):  # of its module's own
        return None
